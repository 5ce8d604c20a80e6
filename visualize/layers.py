"""The layers of a network that hold feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tledge.core.errors import ModelError, OptionError, UnknownNameError
from tledge.core.images import Pixels

Floats = npt.NDArray[np.float32]

PASSING = ("InputLayer", "Rescaling", "Normalization", "ZeroPadding2D", "Cropping2D", "Dropout", "SpatialDropout2D")
"""Layers that compute no features of their own."""

MOST_LAYERS = 5


def feature_layers(model: Any) -> list[Any]:
    """The layers that give feature maps (N, h, w, channels), larger than 1 x 1, from the image on.

    Raises:
        ModelError: there is none.
    """
    found = [
        layer
        for layer in model.layers
        if type(layer).__name__ not in PASSING and _is_spatial(getattr(layer.output, "shape", ()))
    ]
    if not found:
        raise ModelError("the network has no layer with feature maps (N, h, w, channels): it cannot be looked into")
    return found


def _is_spatial(shape: Sequence[int | None]) -> bool:
    """Whether it is that of feature maps larger than 1 x 1, of a size that is known."""
    return len(shape) == 4 and all(side is not None and side > 1 for side in shape[1:3])


def find_layers(model: Any, names: Sequence[str]) -> list[Any]:
    """The layers that a user names, or the last one of each size of feature map, of the smallest sizes.

    Raises:
        UnknownNameError: none of the layers with feature maps has that name.
        ModelError: there is no such layer at all.
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
    """What layers make of photos.

    Args:
        model: whose layers they are.
        layers: one or more.
        pixels: uint8 (N, height, width, 3).

    Returns:
        For each layer float32 (N, h, w, channels).
    """
    import keras

    part = keras.Model(model.input, [layer.output for layer in layers])
    outputs = part(pixels.astype(np.float32), training=False)
    listed = outputs if isinstance(outputs, list | tuple) else [outputs]
    return [np.asarray(keras.ops.convert_to_numpy(output), np.float32) for output in listed]


def split_at(model: Any, name: str | None) -> tuple[Any, Any, str]:
    """Cuts a network into what comes before a layer's feature maps and what comes after them, sharing its weights.

    Args:
        model: whole, from (N, height, width, 3) to logits.
        name: of the layer; the last one at which that can be done without it.

    Returns:
        The ``keras.Model`` to the layer's output, the one from there on, and the layer's name.

    Raises:
        UnknownNameError: none of the layers with feature maps has that name.
        OptionError: a connection goes around the layer.
        ModelError: there is no such layer at all.
    """
    import keras

    candidates = find_layers(model, [name]) if name is not None else list(reversed(feature_layers(model)))
    for layer in candidates:
        try:
            after = keras.Model(layer.output, model.output)
        except ValueError:  # the logits do not follow from this layer alone
            continue
        return keras.Model(model.input, layer.output), after, str(layer.name)
    if name is None:
        raise ModelError("no layer holds all that the logits are made of: Grad-CAM cannot be made of this network")
    raise OptionError(
        f"a connection goes around the layer '{name}', so that the logits do not follow from it alone; without --layer"
        " the last layer that all go through is taken"
    )
