"""Folds batch norms into the convolutions before them, in a Keras model; a folded batch norm only adds a bias."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[Any]

FOLDED = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


def fold_batch_norms(model: Any) -> dict[str, Any]:
    """Moves the scale of each batch norm into the kernel before it; the norm keeps only a bias.

    Args:
        model: a flat ``keras.Model``, changed in place.

    Returns:
        The batch norm behind a convolution, by that convolution's name; see :func:`norms_by_producer`.
    """
    norms = norms_by_producer(model)
    for name, norm in norms.items():
        layer = model.get_layer(name)
        mean, variance = norm.get_weights()[-2:]
        gamma = np.asarray(norm.gamma) if norm.scale else np.ones_like(mean)
        beta = np.asarray(norm.beta) if norm.center else np.zeros_like(mean)
        scale = gamma / np.sqrt(variance + norm.epsilon)
        kernel, *bias = layer.get_weights()
        offset = bias[0] if bias else np.zeros_like(mean)
        layer.set_weights([kernel * _along(layer, kernel, scale), *(np.zeros_like(values) for values in bias)])
        _set_bias(norm, beta + (offset - mean) * scale)
    return norms


def norms_by_producer(model: Any) -> dict[str, Any]:
    """Returns the batch norms that alone take the output of a convolution, by that convolution's name.

    Convolutions with an activation are left out: their batch norm comes after the activation.
    """
    norms = {}
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization) and not isinstance(layer.input, list):
            producer = layer.input._keras_history.operation
            if type(producer) in FOLDED and is_linear(producer) and len(producer._outbound_nodes) == 1:
                norms[producer.name] = layer
    return norms


def is_linear(layer: Any) -> bool:
    """Returns whether a layer has no activation."""
    return getattr(layer.activation, "__name__", "") == "linear"


def add_to_outputs(layer: Any, norm: Any | None, shift: Floats) -> None:
    """Adds a constant to each output channel of a layer, in its bias or in that of the folded norm behind it.

    Args:
        norm: the batch norm behind it; None if the layer has a bias.
        shift: (output channels,).
    """
    kernel, *bias = layer.get_weights()
    if bias:
        layer.set_weights([kernel, bias[0] + shift])
    elif norm is not None:
        _set_bias(norm, shift - norm.get_weights()[-2])


def scale_outputs(layer: Any, norm: Any | None, factors: Floats) -> None:
    """Multiplies each output channel of a convolution and of the folded norm behind it by ``factors``, (channels,)."""
    kernel, *bias = layer.get_weights()
    layer.set_weights([kernel * _along(layer, kernel, factors), *(values * factors for values in bias)])
    if norm is not None:
        _set_bias(norm, -norm.get_weights()[-2] * factors)


def _along(layer: Any, kernel: Floats, outputs: Floats) -> Floats:
    """Returns values of the output channels in a shape that multiplies a kernel."""
    return outputs.reshape(kernel.shape[2:]) if isinstance(layer, keras.layers.DepthwiseConv2D) else outputs


def _set_bias(norm: Any, bias: Floats) -> None:
    """Makes a batch norm only add a bias. The bias is in its mean, since not every norm has a beta."""
    unit = np.ones_like(bias)
    norm.set_weights(
        [*([unit] if norm.scale else []), *([0 * unit] if norm.center else []), -bias, (1 - norm.epsilon) * unit]
    )
