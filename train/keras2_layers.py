"""Keras 2's layers and TensorFlow functions as Keras 3 layers and operations. Imports Keras.

TensorFlow functions appear in files of Keras 2 as the layers ``TFOpLambda`` and ``SlicingOpLambda``: a model's author
wrote ``x / 255`` or ``preprocess_input(x)`` in a functional model.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from keras import activations, layers, ops

from tledge.core.errors import ModelError, first_line

_RENAMED = {"LeakyReLU": {"alpha": "negative_slope"}, "ThresholdedReLU": {"theta": "threshold"}}
"""Options with another name in Keras 3, by layer."""

_KINDS = {
    "BatchNormalizationV1": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "ThresholdedReLU": "ReLU",
}
"""Layers with another name in Keras 3."""

_LUMINANCE = np.array([0.2989, 0.5870, 0.1140], np.float32)
"""The weights of red, green and blue in ``tf.image.rgb_to_grayscale``."""

_AXES = {"reduce_max": ops.max, "reduce_mean": ops.mean, "reduce_sum": ops.sum}
_PAIRS = {"add": ops.add, "divide": ops.true_divide, "maximum": ops.maximum, "minimum": ops.minimum}
_PAIRS |= {"multiply": ops.multiply, "pow": ops.power, "subtract": ops.subtract, "truediv": ops.true_divide}
_SINGLE = {name: getattr(ops, name) for name in ("abs", "exp", "negative", "rsqrt", "sqrt", "square", "tanh")}
_ACTIVATIONS = {name: getattr(activations, name) for name in ("elu", "relu", "relu6", "selu", "silu")}


def _with_axes(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, axis=None, keepdims=False: function(x, axis=axis, keepdims=keepdims)


def _of_pair(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(x: Any, y: Any) -> Any:
        return function(*(np.asarray(value, np.float32) if isinstance(value, list) else value for value in (x, y)))

    return call


def _clipped(x: Any, clip_value_min: Any, clip_value_max: Any) -> Any:
    return ops.clip(x, clip_value_min, clip_value_max)


def _sliced(tensor: Any, slice_spec: Any) -> Any:
    parts = slice_spec if isinstance(slice_spec, list | tuple) else [slice_spec]
    return tensor[tuple(_slice(part) for part in parts)]


def _slice(part: Any) -> Any:
    """Returns a part of an index, which a file holds as a dictionary."""
    if not isinstance(part, Mapping):
        return part
    return slice(part["start"], part["stop"], part["step"]) if "start" in part else Ellipsis


def _same(x: Any) -> Any:
    return x


def _squeezed(x: Any, axis: Any = None) -> Any:
    return ops.squeeze(x, axis=tuple(axis) if isinstance(axis, list) else axis)


def _split(value: Any, num_or_size_splits: Any, axis: int = 0) -> Any:
    sizes = num_or_size_splits
    return ops.split(value, sizes if isinstance(sizes, int) else np.cumsum(sizes)[:-1].tolist(), axis=axis)


def _resized(images: Any, size: Any, method: str = "bilinear", antialias: bool = False) -> Any:
    return ops.image.resize(images, tuple(size), interpolation=method, antialias=antialias)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{f"math.{name}": function for name, function in _SINGLE.items()},
    **{f"math.{name}": _of_pair(function) for name, function in _PAIRS.items()},
    **{f"math.{name}": _with_axes(function) for name, function in _AXES.items()},
    **{f"nn.{name}": function for name, function in _ACTIVATIONS.items()},
    "math.sigmoid": ops.sigmoid,
    "math.softplus": ops.softplus,
    "math.l2_normalize": lambda x, axis=-1, epsilon=1e-12: ops.normalize(x, axis=axis, order=2, epsilon=epsilon**0.5),
    "__operators__.add": _of_pair(ops.add),
    "__operators__.getitem": _sliced,
    "nn.bias_add": lambda value, bias, data_format="NHWC": _of_pair(ops.add)(value, bias),
    "nn.gelu": lambda features, approximate=False: activations.gelu(features, approximate=approximate),
    "nn.leaky_relu": lambda features, alpha=0.2: activations.leaky_relu(features, negative_slope=alpha),
    "nn.softmax": lambda logits, axis=-1: ops.softmax(logits, axis=-1 if axis is None else axis),
    "compat.v1.gather": lambda params, indices, axis=0, batch_dims=0: ops.take(params, np.asarray(indices), axis=axis),
    "compat.v1.pad": lambda tensor, paddings, mode="CONSTANT", constant_values=0: ops.pad(
        tensor, paddings, mode.lower(), **({"constant_values": constant_values} if mode == "CONSTANT" else {})
    ),
    "compat.v1.squeeze": _squeezed,
    "compat.v1.transpose": lambda a, perm=None, conjugate=False: ops.transpose(a, perm),
    "cast": lambda x, dtype: ops.cast(x, "float32" if "float" in dtype else dtype),
    "clip_by_value": _clipped,
    "concat": lambda values, axis: ops.concatenate(values, axis=axis),
    "expand_dims": ops.expand_dims,
    "identity": _same,
    "image.resize": _resized,
    "image.rgb_to_grayscale": lambda images: ops.sum(ops.multiply(images, _LUMINANCE), axis=-1, keepdims=True),
    "reshape": lambda tensor, shape: ops.reshape(tensor, tuple(shape)),
    "reverse": lambda tensor, axis: ops.flip(tensor, axis=axis),
    "split": _split,
    "stack": lambda values, axis=0: ops.stack(values, axis=axis),
    "stop_gradient": _same,
    "unstack": lambda value, num=None, axis=0: ops.unstack(value, num=num, axis=axis),
}
"""By TensorFlow's names, with TensorFlow's parameters; those of ``keras_file_check.TENSORFLOW_FUNCTIONS``."""


def make_layer(call: Mapping[str, Any], weights: Sequence[Any]) -> Any:
    """Returns a layer of Keras 2 as a Keras 3 layer, or as a function of symbolic tensors.

    Args:
        call: a call that ``keras2_worker`` describes.
        weights: the layer's, in the order of ``get_weights``.

    Raises:
        ModelError: there is no counterpart.
    """
    kind, name, config = call["kind"], call["name"], call["config"]
    if kind in ("TFOpLambda", "SlicingOpLambda"):
        if config["function"] not in FUNCTIONS:  # as in a Lambda layer
            raise ModelError(f"'{name}' calls TensorFlow's {config['function']!r}, which has no counterpart in Keras 3")
        return FUNCTIONS[config["function"]]
    if kind == "LayerScale":
        return layers.Rescaling(np.asarray(weights[0]).tolist(), name=name)
    if kind == "CustomScaleLayer":
        return lambda inputs: ops.add(inputs[0], ops.multiply(inputs[1], config["scale"]))
    if kind == "Normalization":
        return layers.Rescaling(config["scale"], config["offset"], name=name)
    made = getattr(layers, _KINDS.get(kind, kind), None)
    if made is None or not call["own"]:
        raise ModelError(f"layer '{name}' ({kind}) has no counterpart in Keras 3; replace it with another layer")
    try:
        return made(name=name, **_options(kind, made, config))
    except (TypeError, ValueError) as error:
        raise ModelError(f"layer '{name}' ({kind}) cannot be made in Keras 3: {first_line(error)}") from error


def activation_behind(call: Mapping[str, Any]) -> Callable[[Any], Any] | None:
    """Returns the activation of a layer that Keras 3 computes differently, so that it is separate; otherwise None."""
    if call["config"].get("activation") != "hard_sigmoid":
        return None
    return lambda x: layers.ReLU(max_value=1.0)(layers.Rescaling(0.2, 0.5)(x))


def _options(kind: str, made: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a layer's options for Keras 3, without those that it does not have."""
    known = inspect.signature(made.__init__).parameters
    renamed = {_RENAMED.get(kind, {}).get(key, key): value for key, value in config.items()}
    found = {key: value for key, value in renamed.items() if key in known}
    axis = found.get("axis")
    if isinstance(axis, list) and len(axis) == 1:
        found["axis"] = axis[0]
    if found.get("activation") == "hard_sigmoid":
        found["activation"] = "linear"
    return found
