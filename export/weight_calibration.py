"""Rounds the kernels of a Keras model so that each layer's outputs change as little as possible. Imports Keras.

When every weight is rounded to the nearest integer, errors add up where inputs are correlated, as pixels are. Here
weights are rounded one after the other (``export.gptq``); those that follow and the bias compensate the error of each,
according to the correlation of the layer's inputs on the calibration images. Convolutions are matrix products over
patches; a depthwise convolution is one product per channel.
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
from tledge.export.gptq import Floats, damped, round_weights
from tledge.export.model_copy import copy_model

LARGEST_FAN_IN = 1152
"""Layers with more inputs per output are rounded to the nearest: their errors average out, and inverting their
correlation matrix would take minutes."""

PATCHES = 24
"""Patches sampled from each calibration image."""

BATCH = 8


class CalibratedModel:
    """A model and its calibration images, on which its integers are chosen.

    The first rounded or unrounded model runs the images through the model, which is slow; later ones reuse the result.

    Args:
        model: a flat ``keras.Model`` from float32 pixel values (N, height, width, 3).
        pixels: uint8 (n, height, width, 3).
    """

    def __init__(self, model: Any, pixels: Pixels) -> None:
        self._model = model
        self.pixels = pixels

    def rounded(self, levels: int) -> Any:
        """Returns a copy of the model with its batch norms folded and its kernels rounded to an integer grid.

        Every weight is on the grid of a converter that quantizes kernels symmetrically per output channel, with the
        largest weight of a channel at ``levels``: it rounds nothing further.

        Args:
            levels: the largest integer of the grid: 127 for int8.
        """
        prepared, correlations = self._prepared
        rounded = copy_model(prepared)
        norm_after = norms_by_producer(rounded)
        for name, correlation in correlations.items():
            layer = rounded.get_layer(name)
            kernel, shift = _round_kernel(layer, correlation, levels)
            layer.set_weights([kernel, *layer.get_weights()[1:]])
            add_to_outputs(layer, norm_after.get(name), shift)
        return rounded

    @property
    def unrounded(self) -> Any:
        """The model of :meth:`rounded` before rounding: the weights of layers that stay float32."""
        return self._prepared[0]

    @cached_property
    def _prepared(self) -> tuple[Any, dict[str, Floats]]:
        """The model with batch norms folded and channels equalized, and the correlation of each layer's inputs."""
        prepared = copy_model(self._model)
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
    """Moves the zero of scaled pixels to a whole pixel value, so that 8-bit integers can represent them exactly.

    Pixels between -1 and 1 are (p - 127.5) / 127.5: no integer represents 127.5, and each pixel would be off by half a
    step. (p - 128) / 127.5 is exact; the first convolution's bias adds the missing 0.5 / 127.5. If that convolution
    pads with zeros, the zeros are off by half a step instead.
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
    """Measures the correlation and the largest values of each layer's inputs.

    Returns:
        By layer name, the correlation of its inputs and of the constant 1 that its bias multiplies, (groups,
        fan-in + 1, fan-in + 1), with one group per channel of a depthwise convolution; and the largest values,
        (channels,).
    """
    if not layers:
        return {}, {}
    rng = np.random.default_rng(0)
    taps = keras.Model(model.input, [layer.input for layer in layers])
    taps.jit_compile = False  # compiling takes longer than a few batches
    sums: dict[str, Floats] = {}
    largest: dict[str, npt.NDArray[np.float32]] = {}
    for start in range(0, len(calibration), BATCH):
        values = taps.predict_on_batch(calibration[start : start + BATCH].astype(np.float32))
        for layer, value in zip(layers, values if isinstance(values, list) else [values], strict=True):
            samples = _sample(layer, np.asarray(value), rng)
            with_one = np.concatenate([samples, np.ones_like(samples[:, :, :1])], axis=2)
            sums[layer.name] = sums.get(layer.name, 0.0) + with_one.transpose(0, 2, 1) @ with_one
            highest = np.asarray(value).reshape(-1, value.shape[-1]).max(axis=0)
            largest[layer.name] = np.maximum(largest.get(layer.name, highest), highest)
    return {name: damped(total / total[:, -1:, -1:]) for name, total in sums.items()}, largest


def _sample(layer: Any, value: npt.NDArray[np.float32], rng: np.random.Generator) -> Floats:
    """Returns random patches of a layer's input: (groups, samples, fan-in)."""
    if isinstance(layer, keras.layers.Dense):
        return value.reshape(1, -1, value.shape[-1]).astype(np.float64)
    kernel, stride = np.array(layer.kernel_size), np.array(layer.strides)
    size = np.array(value.shape[1:3])
    if layer.padding == "same":  # as TensorFlow pads: an odd pixel comes last
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
    """Returns a layer's kernel on the grid, and what to add to its bias, (output channels,)."""
    kernel = layer.get_weights()[0]
    if isinstance(layer, keras.layers.DepthwiseConv2D):  # (height, width, channels, multiplier)
        by_group = kernel.reshape(-1, *kernel.shape[2:])
    else:
        by_group = kernel.reshape(-1, 1, kernel.shape[-1])
    rounded, shift = round_weights(by_group.transpose(1, 0, 2).astype(np.float64), correlation, levels)
    rounded = rounded.transpose(1, 0, 2)
    return rounded.reshape(kernel.shape).astype(np.float32), shift.reshape(-1).astype(np.float32)
