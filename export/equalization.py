"""Channels brought to one range before they are quantized together. Imports Keras.

A tensor of activations has one scale for all its channels. After the first convolution of MobileNetV2 some channels
reach 6 and others 0.5, which are then left with 20 of 255 steps, and the depthwise convolution that follows amplifies
just these. Scaling such a channel up in the convolution before, and down in the depthwise one, changes nothing in
floats and uses all steps. The depthwise weights have a scale for each channel anyway: nothing is lost there.

Source: Nagel et al., Data-free quantization through weight equalization and bias correction, arXiv 1906.04721,
section 4.1; here by the activations' ranges on the calibration images, and with a ReLU6 only as far as it does not cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tledge.export.folded_norms import FOLDED, is_linear, scale_outputs

HEADROOM = 1.25
"""How far above its largest calibrated value a channel may go before it is cut off."""

LARGEST_FACTOR = 16.0

Factors = npt.NDArray[np.float32]


def equalize(model: Any, norms: dict[str, Any], largest: Mapping[str, Factors]) -> dict[str, Factors]:
    """Equalizes the inputs of the depthwise convolutions that follow a convolution and a ReLU, in place.

    Args:
        model: a flat ``keras.Model`` whose batch norms are folded: what is left of them adds a bias.
        norms: the batch norm behind a layer, by that layer's name.
        largest: (channels,) the largest input of each layer on the calibration images, by its name.

    Returns:
        By the name of the depthwise convolution, (channels,), what its inputs were multiplied by.
    """
    found = {}
    for producer, relu, depthwise in _chains(model, norms):
        if depthwise.name not in largest:
            continue
        reached = largest[depthwise.name]
        ceiling = reached.max() if relu.max_value is None else float(relu.max_value)
        factors = np.ones_like(reached)
        alive = reached > 0
        factors[alive] = np.clip(ceiling / (HEADROOM * reached[alive]), 1.0, LARGEST_FACTOR)
        scale_outputs(producer, norms.get(producer.name), factors)
        kernel, *bias = depthwise.get_weights()
        depthwise.set_weights([kernel / factors[:, np.newaxis], *bias])
        found[depthwise.name] = factors
    return found


def _chains(model: Any, norms: dict[str, Any]) -> Iterator[tuple[Any, Any, Any]]:
    """(convolution, ReLU, depthwise convolution) that follow one another with nothing else in between."""
    for depthwise in model.layers:
        if type(depthwise) is not keras.layers.DepthwiseConv2D:
            continue
        relu = _only_producer(depthwise)
        if relu is not None and not isinstance(relu, keras.layers.ReLU):  # the padding of a strided convolution
            relu = _only_producer(relu) if isinstance(relu, keras.layers.ZeroPadding2D) else None
        if relu is None or not isinstance(relu, keras.layers.ReLU) or relu.negative_slope or relu.threshold:
            continue
        before = _only_producer(relu)
        norm = before if isinstance(before, keras.layers.BatchNormalization) else None
        producer = before if norm is None else _only_producer(norm)
        if producer is None or type(producer) not in FOLDED or not is_linear(producer):
            continue
        if norm is None or norms.get(producer.name) is norm:
            yield producer, relu, depthwise


def _only_producer(layer: Any) -> Any | None:
    """The layer before one, if it has no other consumer."""
    if isinstance(layer.input, list):
        return None
    producer = layer.input._keras_history.operation
    return producer if len(producer._outbound_nodes) == 1 else None
