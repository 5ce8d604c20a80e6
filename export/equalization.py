"""Brings channels to one range before they are quantized together.

An activation tensor has one scale for all its channels, which leaves few steps for the small ones. Scaling such a
channel up in a convolution and down in the depthwise one behind it leaves the float model unchanged and uses all steps.
Nothing is lost in the depthwise weights, which have a scale for each channel.

Source: Nagel et al., Data-free quantization through weight equalization and bias correction, arXiv 1906.04721,
section 4.1; here with the activations' ranges on the calibration images, and only up to the limit of a ReLU6.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

HEADROOM = 1.25
"""How far a channel may exceed its largest calibrated value before it is clipped, as a factor."""

LARGEST_FACTOR = 16.0
"""The largest factor of a channel."""

Factors = npt.NDArray[np.float32]


def equalization_factors(largest: Factors, ceiling: float) -> Factors:
    """Returns by how much each channel can be scaled up.

    Args:
        largest: (channels,), the largest value of each on the calibration images.
        ceiling: the value that the scaled channels may reach, with ``HEADROOM``.

    Returns:
        (channels,), 1 to ``LARGEST_FACTOR``; 1 for a channel that is always 0.
    """
    factors = np.ones_like(largest)
    alive = largest > 0
    factors[alive] = np.clip(ceiling / (HEADROOM * largest[alive]), 1.0, LARGEST_FACTOR)
    return factors


def equalize(model: Any, norms: dict[str, Any], largest: Mapping[str, Factors]) -> dict[str, Factors]:
    """Equalizes the inputs of the depthwise convolutions that follow a convolution and a ReLU, in place.

    Args:
        model: a flat ``keras.Model`` whose batch norms are folded and only add a bias.
        norms: the batch norm behind a layer, by that layer's name.
        largest: (channels,), the largest input of each layer on the calibration images, by its name.

    Returns:
        The factors of its inputs, (channels,), by the name of the depthwise convolution.
    """
    from tledge.export.folded_norms import scale_outputs

    equalized = {}
    for producer, relu, depthwise in _chains(model, norms):
        if depthwise.name not in largest:
            continue
        of_channels = largest[depthwise.name]
        ceiling = float(of_channels.max() if relu.max_value is None else relu.max_value)
        factors = equalization_factors(of_channels, ceiling)
        scale_outputs(producer, norms.get(producer.name), factors)
        kernel, *bias = depthwise.get_weights()
        depthwise.set_weights([kernel / factors[:, np.newaxis], *bias])
        equalized[depthwise.name] = factors
    return equalized


def _chains(model: Any, norms: dict[str, Any]) -> Iterator[tuple[Any, Any, Any]]:
    """Yields each (convolution, ReLU, depthwise convolution) that follow one another directly."""
    import keras

    from tledge.export.folded_norms import FOLDED, is_linear

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
    """Returns the layer before a layer, if it has no other consumer."""
    if isinstance(layer.input, list):
        return None
    producer = layer.input._keras_history.operation
    return producer if len(producer._outbound_nodes) == 1 else None
