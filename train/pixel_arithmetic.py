"""Replaces what a model does to each pixel by itself at its input with one Rescaling layer. Imports Keras.

``preprocess_input(x)``, arithmetic, a Normalization layer, swapped channels and grey values are all the same: each
channel of the result is a weighted sum of red, green and blue, plus a constant. Which sum is measured on random pixels,
so that it does not matter how the model's author wrote it. Quantizers and converters know Rescaling and convolutions.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

IMAGES = 4
"""Images of random pixels, 0 to 255, from which the sums are measured."""

TOLERANCE = 1e-5
"""Largest difference from such a sum, as a fraction of the largest value."""


def fold_pixel_arithmetic(model: Any) -> Any:
    """Returns a model with the same outputs, whose pixels go through at most one Rescaling before the first real layer.

    A mix of channels moves into the kernels of the convolutions behind it. It becomes a convolution of its own if other
    layers follow. The model is returned unchanged if it starts otherwise.

    Args:
        model: a flat functional ``keras.Model`` from float32 RGB pixel values 0 to 255 (N, height, width, 3).
    """
    found = _last_pixels(model)
    if found is None:
        return model
    tensor, (scale, offset, mix) = found
    image = keras.Input(model.input.shape[1:], name=model.input.name, dtype="float32")
    value = keras.layers.Rescaling(scale, offset, name="pixel_scaling")(image)
    rest = keras.Model(tensor, model.output)
    mixed = _mixed_convolutions(rest, mix)
    if mixed is None:
        layer = keras.layers.Conv2D(len(mix), 1, use_bias=False, trainable=False, name="channel_mix")
        value = layer(value)
        layer.set_weights([mix.T.reshape(1, 1, 3, -1)])
    outputs = rest._run_through_graph([value], operation_fn=lambda operation: (mixed or {}).get(operation, operation))
    return keras.Model(image, outputs)


def _last_pixels(model: Any) -> tuple[Any, tuple[Any, Any, Floats]] | None:
    """Returns the last tensor that all paths lead through and that is a scaling of the pixels, and that scaling.

    None if there is nothing to replace.
    """
    size = model.input.shape[1:3]
    nodes = _calls(model)
    candidates = [
        node.outputs[0]
        for node in nodes
        if len(node.outputs) == 1
        and len(node.outputs[0].shape) == 4
        and node.outputs[0].shape[1:3] == size
        and node.outputs[0].shape[3] in (1, 3)
        and _leads_everywhere(nodes, model, node.outputs[0])
    ]
    if not candidates:
        return None
    pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, *size, 3)).astype(np.float32)
    with keras.device("cpu:0"):
        values = keras.Model(model.input, candidates)(pixels, training=False)
    for tensor, value in reversed(list(zip(candidates, keras.tree.flatten(values), strict=True))):
        fitted = _fit(pixels, keras.ops.convert_to_numpy(value))
        split = _split(*fitted) if fitted else None
        if split and tensor is candidates[0] and isinstance(nodes[0].operation, keras.layers.Rescaling):
            return None
        if split:
            return tensor, split
    return None


def _leads_everywhere(nodes: list[Any], model: Any, tensor: Any) -> bool:
    """Returns whether no path from the model's input to its output avoids a tensor."""
    reached = {id(model.input)}
    for node in nodes:
        if any(id(taken) in reached for taken in node.input_tensors):
            reached |= {id(output) for output in node.outputs if output is not tensor}
    return id(model.output) not in reached


def _fit(pixels: Any, values: Any) -> tuple[Floats, Floats] | None:
    """Returns the weights of the sums, (channels, 3), and their constants, (channels,); None if they are no sums."""
    given = pixels.reshape(-1, 3).astype(np.float64)
    wanted = values.reshape(-1, values.shape[-1]).astype(np.float64)
    if not np.isfinite(wanted).all():
        return None
    with_one = np.column_stack([given, np.ones(len(given))])
    solved = np.linalg.lstsq(with_one, wanted, rcond=None)[0]
    if np.abs(with_one @ solved - wanted).max() > TOLERANCE * max(float(np.abs(wanted).max()), 1e-30):
        return None
    weights = solved[:3].T
    weights[np.abs(weights) < 1e-6 * np.abs(weights).max()] = 0.0
    return weights, solved[3]


def _split(weights: Floats, constant: Floats) -> tuple[Any, Any, Floats] | None:
    """Returns a Rescaling's scale and offset, and the mix of its channels, (channels, 3), that give the same sums.

    None if there is no such Rescaling: the channels are mixed, and not to one grey value.
    """
    if len(weights) == 1 and weights.sum() > 0:
        scale = float(weights.sum())
        return scale, float(constant[0]), weights / scale
    used = weights != 0
    if len(weights) != 3 or not ((used.sum(axis=0) == 1).all() and (used.sum(axis=1) == 1).all()):
        return None
    scale, offset = weights.sum(axis=0), used.T @ constant
    if np.ptp(scale) <= 1e-6 * abs(scale[0]) and np.ptp(offset) <= 1e-6 * max(1.0, np.abs(offset).max()):
        return float(scale.mean()), float(offset.mean()), used.astype(np.float64)
    return scale.tolist(), offset.tolist(), used.astype(np.float64)


def _mixed_convolutions(rest: Any, mix: Floats) -> dict[Any, Any] | None:
    """Returns copies of the first convolutions that also mix channels, by the layers that they replace.

    None if other layers take the pixels.
    """
    if np.array_equal(mix, np.eye(3)):
        return {}
    found = {}
    for conv in _consumers(rest):
        if type(conv) is not keras.layers.Conv2D or conv.groups != 1 or _operations(rest).count(conv) != 1:
            return None
        kernel, *bias = conv.get_weights()
        copy = keras.layers.Conv2D.from_config({**conv.get_config(), "trainable": conv.trainable})
        copy.build((None, *rest.input.shape[1:3], 3))
        copy.set_weights([np.einsum("hwkf,kc->hwcf", kernel, mix).astype(np.float32), *bias])
        found[conv] = copy
    return found


def _consumers(rest: Any) -> list[Any]:
    """Returns the layers that take the input of a model, behind zero padding."""
    found, tensors = [], {id(rest.input)}
    for node in _calls(rest):
        if any(id(taken) in tensors for taken in node.input_tensors):
            if isinstance(node.operation, keras.layers.ZeroPadding2D):
                tensors.add(id(node.outputs[0]))
            else:
                found.append(node.operation)
    return found


def _operations(model: Any) -> list[Any]:
    return [node.operation for node in _calls(model)]


def _calls(model: Any) -> list[Any]:
    """Returns the calls of layers and operations in the order of computation."""
    depths = model._nodes_by_depth
    return [node for depth in sorted(depths, reverse=True) for node in depths[depth] if not node.is_input]
