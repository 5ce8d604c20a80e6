"""Layers with feature maps, and models cut at one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tledge.core.errors import ModelError, OptionError, UnknownNameError
from tledge.core.images import Floats, Pixels

PASSING = ("InputLayer", "Rescaling", "Normalization", "ZeroPadding2D", "Cropping2D", "Dropout", "SpatialDropout2D")
"""Types of layers that compute no features."""

MOST_LAYERS = 5


def feature_layers(model: Any) -> list[Any]:
    """Returns the layers whose outputs are feature maps (N, h, w, channels) larger than 1 x 1, from input to output.

    Raises:
        ModelError: there is no such layer.
    """
    computing = (layer for layer in model.layers if type(layer).__name__ not in PASSING)
    found = [layer for layer in computing if _is_spatial(getattr(layer.output, "shape", ()))]
    if not found:
        raise ModelError("the network has no layer with feature maps (N, h, w, channels): it cannot be visualized")
    return found


def _is_spatial(shape: Sequence[int | None]) -> bool:
    """Whether a shape is that of feature maps larger than 1 x 1 with a known size."""
    return len(shape) == 4 and all(side is not None and side > 1 for side in shape[1:3])


def find_layers(model: Any, names: Sequence[str]) -> list[Any]:
    """Returns the named layers, or by default the last layer of each of the five smallest feature map sizes.

    Raises:
        UnknownNameError: no layer with feature maps has that name.
        ModelError: the network has no suitable layer.
    """
    layers = {layer.name: layer for layer in feature_layers(model)}
    for name in names:
        if name not in layers:
            raise UnknownNameError("layer", name, layers)
    if names:
        return [layers[name] for name in names]
    of_size = {layer.output.shape[1:3]: layer for layer in layers.values()}
    last = set(of_size.values())
    return [layer for layer in layers.values() if layer in last][-MOST_LAYERS:]


def feature_maps(model: Any, layers: Sequence[Any], pixels: Pixels) -> list[Floats]:
    """Computes feature maps of photos, uint8 (N, height, width, 3): float32 (N, h, w, channels) for each layer."""
    import keras

    part = keras.Model(model.input, [layer.output for layer in layers])
    outputs = part(pixels.astype(np.float32), training=False)
    listed = outputs if isinstance(outputs, list | tuple) else [outputs]
    return [np.asarray(keras.ops.convert_to_numpy(output), np.float32) for output in listed]


def split_at(model: Any, name: str | None) -> tuple[Any, Any, str]:
    """Cuts a network at a layer into two models that share its weights.

    Args:
        model: the whole network, from (N, height, width, 3) to logits.
        name: name of the layer; by default the last one where a cut is possible.

    Returns:
        The ``keras.Model`` up to the layer's output, the one from there to the logits, and the layer's name.

    Raises:
        UnknownNameError: no layer with feature maps has that name.
        OptionError: a connection bypasses the layer.
        ModelError: the network has no suitable layer.
    """
    import keras

    candidates = find_layers(model, [name]) if name is not None else list(reversed(feature_layers(model)))
    for layer in candidates:
        try:
            after = keras.Model(layer.output, model.output)
        except ValueError:  # a connection bypasses this layer
            continue
        return keras.Model(model.input, layer.output), after, str(layer.name)
    if name is None:
        raise ModelError("Grad-CAM needs a layer that all connections go through; this network has none")
    raise OptionError(
        f"a connection bypasses the layer '{name}', so the logits do not depend on it alone; leave out `layers` to use"
        " the last layer that all connections go through"
    )
