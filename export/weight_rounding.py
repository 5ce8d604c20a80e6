"""Rounding weights to the integer grid so that each layer's outputs stay, not each weight. Imports Keras.

Rounding every weight to the nearest integer lets errors add up wherever inputs are correlated, as pixels are: in
the first convolution of MobileNetV2 it costs more agreement than quantizing all activations. Here each weight
is rounded in turn, and its error is made up for by those that are not rounded yet and by the bias, weighted by
how the layer's inputs correlate on the calibration images.

Source: Frantar et al., GPTQ, arXiv 2210.17323 (equations 2 and 3 and section 3.3, step 3), after Optimal Brain
Quantization, arXiv 2208.11580. Convolutions are matrix products over patches; a depthwise one is one per channel.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tledge.core.images import Pixels
from tledge.export.equalization import equalize
from tledge.export.float_head import float_head
from tledge.export.folded_norms import add_to_outputs, fold_batch_norms, norms_by_producer

LARGEST_FAN_IN = 1152
"""Layers that sum over more inputs keep nearest rounding: their errors average out, and their correlation
matrix would take minutes to invert."""

PATCHES = 24
"""Patches that are looked at in each calibration image."""

DAMPING = 0.01
"""Added to the diagonal of the correlation matrix, as a fraction of its mean."""

BATCH = 8

Floats = npt.NDArray[np.float64]


class CalibratedModel:
    """A model and the images that its integers are chosen on.

    What is expensive, running the images through the model, is done once, when a rounded model is first asked for.

    Args:
        model: a flat ``keras.Model`` from float32 pixel values (N, height, width, 3).
        pixels: uint8 (n, height, width, 3).

    Attributes:
        pixels: the calibration images.
    """

    def __init__(self, model: Any, pixels: Pixels) -> None:
        self._model = model
        self.pixels = pixels

    def rounded(self, levels: int) -> Any:
        """A copy of the model with its batch norms folded and its kernels rounded to an integer grid.

        A converter that quantizes kernels symmetrically per output channel, with the largest weight of a channel at
        ``levels``, finds every weight on its grid and rounds nothing.

        Args:
            levels: the largest integer of the grid: 127 for int8.

        Returns:
            A ``keras.Model`` of the same graph.
        """
        prepared, correlations = self._prepared
        rounded = _copy(prepared)
        norm_after = norms_by_producer(rounded)
        for name, correlation in correlations.items():
            layer = rounded.get_layer(name)
            kernel, shift = _round_kernel(layer, correlation, levels)
            layer.set_weights([kernel, *layer.get_weights()[1:]])
            add_to_outputs(layer, norm_after.get(name), shift)
        return rounded

    @property
    def unrounded(self) -> Any:
        """The same graph with the weights that ``rounded`` begins with: for layers that stay float32."""
        return self._prepared[0]

    @cached_property
    def _prepared(self) -> tuple[Any, dict[str, Floats]]:
        """The model with batch norms folded and channels equalized, and how the inputs of its layers correlate."""
        prepared = _copy(self._model)
        norm_after = fold_batch_norms(prepared)
        _centre_pixels(prepared, norm_after)
        floats = float_head(prepared)
        layers = [
            layer
            for layer in prepared.layers
            if _is_rounded(layer) and (layer.use_bias or layer.name in norm_after) and layer.name not in floats
        ]
        correlations, largest = _observe_inputs(prepared, layers, self.pixels)
        for name, factors in equalize(prepared, norm_after, largest).items():
            along = np.append(np.ones(correlations[name].shape[1] - 1), 0)  # the constant 1 stays
            grown = factors[:, np.newaxis] ** along
            correlations[name] *= grown[:, :, np.newaxis] * grown[:, np.newaxis]
        return prepared, correlations


def _copy(model: Any) -> Any:
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def _is_rounded(layer: Any) -> bool:
    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)
    if type(layer) not in kinds:
        return False
    if getattr(layer, "dilation_rate", (1, 1)) != (1, 1) or getattr(layer, "groups", 1) != 1:
        return False
    kernel = layer.get_weights()[0]
    fan_in = kernel[..., 0, 0].size if isinstance(layer, keras.layers.DepthwiseConv2D) else kernel[..., 0].size
    return bool(fan_in <= LARGEST_FAN_IN)


def _centre_pixels(model: Any, norm_after: dict[str, Any]) -> None:
    """Moves the zero of scaled pixels to that of a whole pixel value, so that 8-bit integers can hold them exactly.

    Pixels between -1 and 1 are (p - 127.5) / 127.5: no integer stands for 127.5, and each pixel would be off by half a
    step. (p - 128) / 127.5 is exact; what is missing, 0.5 / 127.5, the first convolution's bias adds. Where that pads
    with zeros, they are half a step off instead.
    """
    for layer in model.layers:
        consumers = [node.operation for node in layer._outbound_nodes]
        if not isinstance(layer, keras.layers.Rescaling) or len(consumers) != 1:
            continue
        (conv,) = consumers
        scale, offset = np.float64(layer.scale), np.float64(layer.offset)
        if type(conv) is not keras.layers.Conv2D or scale.ndim or offset.ndim or not scale:
            continue
        if not (conv.use_bias or conv.name in norm_after):
            continue
        centred = -np.rint(-offset / scale) * scale
        kernel = conv.get_weights()[0]
        layer.offset = float(centred)
        add_to_outputs(conv, norm_after.get(conv.name), (offset - centred) * kernel.sum(axis=(0, 1, 2)))


def _observe_inputs(
    model: Any, layers: list[Any], calibration: Pixels
) -> tuple[dict[str, Floats], dict[str, npt.NDArray[np.float32]]]:
    """How each layer's inputs correlate, the constant 1 that its bias multiplies among them, and how large they get.

    Returns:
        By layer name, (groups, fan-in + 1, fan-in + 1), where a depthwise convolution has a group per channel, others
        one; and (channels,), the largest value.
    """
    if not layers:
        return {}, {}
    rng = np.random.default_rng(0)
    taps = keras.Model(model.input, [layer.input for layer in layers])
    taps.jit_compile = False  # compiling for a few batches does not pay
    sums: dict[str, Floats] = {}
    largest: dict[str, npt.NDArray[np.float32]] = {}
    for start in range(0, len(calibration), BATCH):
        values = taps.predict_on_batch(calibration[start : start + BATCH].astype(np.float32))
        for layer, value in zip(layers, values if isinstance(values, list) else [values], strict=True):
            samples = _sample(layer, np.asarray(value), rng)
            with_one = np.concatenate([samples, np.ones_like(samples[:, :, :1])], axis=2)
            sums[layer.name] = sums.get(layer.name, 0.0) + with_one.transpose(0, 2, 1) @ with_one
            reached = np.asarray(value).reshape(-1, value.shape[-1]).max(axis=0)
            largest[layer.name] = np.maximum(largest.get(layer.name, reached), reached)
    return {name: _damp(total / total[:, -1:, -1:]) for name, total in sums.items()}, largest


def _damp(correlation: Floats) -> Floats:
    """Raises the diagonal of the inputs a little, so that the matrix can be inverted."""
    inputs = np.arange(correlation.shape[1] - 1)
    mean = correlation[:, inputs, inputs].mean(axis=1, keepdims=True)
    correlation[:, inputs, inputs] += DAMPING * mean + np.finfo(np.float32).tiny
    return correlation


def _sample(layer: Any, value: npt.NDArray[np.float32], rng: np.random.Generator) -> Floats:
    """Random patches of what goes into a layer: (groups, samples, fan-in)."""
    if isinstance(layer, keras.layers.Dense):
        return value.reshape(1, -1, value.shape[-1]).astype(np.float64)
    kernel, stride = np.array(layer.kernel_size), np.array(layer.strides)
    size = np.array(value.shape[1:3])
    if layer.padding == "same":  # as TensorFlow pads: the odd pixel comes after
        outputs = -(-size // stride)
        total = np.maximum((outputs - 1) * stride + kernel - size, 0)
        before = total // 2
        value = np.pad(value, ((0, 0), *zip(before, total - before, strict=True), (0, 0)))
    else:
        outputs = (size - kernel) // stride + 1
    images = np.arange(len(value))[:, np.newaxis, np.newaxis, np.newaxis]
    chosen = rng.integers(0, outputs, (len(value), PATCHES, 2)) * stride
    rows = chosen[:, :, 0, np.newaxis, np.newaxis] + np.arange(kernel[0])[:, np.newaxis]
    columns = chosen[:, :, 1, np.newaxis, np.newaxis] + np.arange(kernel[1])
    patches = value[images, rows, columns].astype(np.float64)  # (images, PATCHES, height, width, channels)
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return np.ascontiguousarray(patches.reshape(-1, kernel.prod(), value.shape[-1]).transpose(2, 0, 1))
    samples: Floats = patches.reshape(1, -1, kernel.prod() * value.shape[-1])
    return samples


def _round_kernel(layer: Any, correlation: Floats, levels: int) -> tuple[Any, Any]:
    """A layer's kernel on the grid, and what its bias has to make up for, (output channels,)."""
    kernel = layer.get_weights()[0]
    if isinstance(layer, keras.layers.DepthwiseConv2D):  # (height, width, channels, multiplier)
        by_group = kernel.reshape(-1, *kernel.shape[2:]).transpose(1, 0, 2)
        rounded, shift = _round(by_group.astype(np.float64), correlation, levels)
        rounded = rounded.transpose(1, 0, 2)
    else:
        by_group = kernel.reshape(1, -1, kernel.shape[-1])
        rounded, shift = _round(by_group.astype(np.float64), correlation, levels)
    return rounded.reshape(kernel.shape).astype(np.float32), shift.reshape(-1).astype(np.float32)


def _round(weights: Floats, correlation: Floats, levels: int) -> tuple[Floats, Floats]:
    """Rounds weights (groups, fan-in, out), the largest inputs first.

    Returns:
        The rounded weights, and what the bias (groups, out) makes up for.
    """
    groups, fan_in, out = weights.shape
    every = np.arange(groups)[:, np.newaxis]
    order = np.argsort(-np.diagonal(correlation, axis1=1, axis2=2)[:, :fan_in], axis=1, kind="stable")
    with_bias = np.concatenate([order, np.full((groups, 1), fan_in)], axis=1)  # it comes last and takes what is left
    ordered = correlation[every[..., np.newaxis], with_bias[:, :, np.newaxis], with_bias[:, np.newaxis]]
    inverse = np.linalg.inv(ordered)
    upper = np.linalg.cholesky((inverse + inverse.transpose(0, 2, 1)) / 2).transpose(0, 2, 1)
    remaining = np.concatenate([weights[every, order], np.zeros((groups, 1, out))], axis=1)
    scale = np.maximum(np.abs(weights).max(axis=1) / levels, np.finfo(np.float32).tiny)
    # The largest weight of a channel defines its grid, and stays; so does a 0, which pruning has made.
    pinned = np.arange(fan_in)[:, np.newaxis] == np.abs(remaining[:, :fan_in]).argmax(axis=1)[:, np.newaxis]
    pruned = remaining[:, :fan_in] == 0
    ends = np.sign(remaining[:, :fan_in]) * levels
    rounded = np.empty_like(weights)
    for place in range(fan_in):
        integers = np.clip(np.rint(remaining[:, place] / scale), -levels, levels)
        integers = np.where(pinned[:, place], ends[:, place], integers)
        integers = np.where(pruned[:, place], 0, integers)
        rounded[every[:, 0], order[:, place]] = integers * scale
        error = (remaining[:, place] - integers * scale) / upper[:, place, place, np.newaxis]
        remaining[:, place + 1 :] -= upper[:, place, place + 1 :, np.newaxis] * error[:, np.newaxis]
    return rounded, remaining[:, -1]
