"""The child process of :mod:`keras2_conversion`: reads a Keras 2 file with tf_keras, as plain data.

The graph is flat: models inside the model are taken apart, and layers that do nothing in inference are left out. A
value in the arguments of a call is JSON; what JSON lacks is an object with one key: ``tensor`` (the number of an
output), ``array``, ``slice`` or ``ellipsis``. Weights, random inputs and the model's outputs are in ``ARRAYS``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tledge.core.errors import ModelError, first_line
from tledge.core.progress import Progress
from tledge.core.worker_child import serve
from tledge.train.model_comparison import end_removed, probe_images

ARRAYS = "arrays.npz"
"""Holds ``inputs``, ``outputs``, ``logits`` if a softmax or sigmoid follows, and the weights of layer ``n`` as
``n|0``, ``n|1``, ..."""

_PASSING = frozenset(
    {"ActivityRegularization", "AlphaDropout", "Dropout", "FixedDropout", "GaussianDropout", "GaussianNoise"}
    | {"InputLayer", "SpatialDropout1D", "SpatialDropout2D", "StochasticDepth"}
    | {"RandomBrightness", "RandomContrast", "RandomFlip", "RandomHeight", "RandomRotation", "RandomTranslation"}
    | {"RandomWidth", "RandomZoom"}
)
"""Layers that do nothing in inference."""


def read_file(request: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Reads the file ``path``; ``low`` and ``high`` are the range of its inputs, ``trust`` loads its code."""
    import tensorflow as tf
    import tf_keras
    from tf_keras.src.applications import convnext, inception_resnet_v2

    own = {
        "FixedDropout": tf_keras.layers.Dropout,  # of the package efficientnet
        "relu6": tf.nn.relu6,  # of Keras 2.0
        "LayerScale": convnext.LayerScale,
        "StochasticDepth": convnext.StochasticDepth,
        "CustomScaleLayer": inception_resnet_v2.CustomScaleLayer,
    }
    path = request["path"]
    safe = {"safe_mode": not request["trust"]} if path.endswith(".keras") else {}
    try:
        model = tf_keras.models.load_model(path, custom_objects=own, compile=False, **safe)
    except Exception as error:  # tf_keras passes on any error of a layer's constructor
        raise ModelError(f"tf_keras {tf_keras.__version__} cannot load it: {first_line(error)}") from error
    if not getattr(model, "_is_graph_network", False):
        raise ModelError("it is a subclassed model or has no input shape; save it as a functional model")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ModelError(f"it has {len(model.inputs)} inputs and {len(model.outputs)} outputs; expected one of each")
    shape = tuple(model.inputs[0].shape[1:])
    reader = _Reader()
    output = reader.read(model, [0])[0]
    arrays = {
        f"{index}|{part}": values for index, layer in enumerate(reader.layers) for part, values in enumerate(layer)
    }
    if None not in shape:
        inputs = probe_images(shape, request["low"], request["high"])
        arrays |= {"inputs": inputs, "outputs": np.asarray(model(inputs, training=False))}
        with end_removed(model) as removed:
            if removed:
                arrays["logits"] = np.asarray(model(inputs, training=False))
    np.savez(Path(request["folder"]) / ARRAYS, **arrays)
    return {"shape": shape, "calls": reader.calls, "output": output}


class _Reader:
    """Reads the calls of layers in the order of computation; tensor 0 is the model's input."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.layers: list[list[Any]] = []
        self._numbers: dict[int, int] = {}
        self._names: set[str] = set()
        self._tensors = 1

    def read(self, model: Any, inputs: list[int]) -> list[int]:
        """Reads a model whose inputs are the tensors of these numbers; returns those of its outputs."""
        found = {id(tensor): number for tensor, number in zip(model.inputs, inputs, strict=True)}
        for depth in sorted(model._nodes_by_depth, reverse=True):
            for node in model._nodes_by_depth[depth]:
                if not node.is_input:
                    outputs = node.outputs if isinstance(node.outputs, list | tuple) else [node.outputs]
                    numbers = self._read_call(node, found, len(outputs))
                    found |= {id(tensor): number for tensor, number in zip(outputs, numbers, strict=True)}
        return [found[id(tensor)] for tensor in model.outputs]

    def _read_call(self, node: Any, found: Mapping[int, int], outputs: int) -> list[int]:
        layer = node.layer
        taken = [found[id(tensor)] for tensor in node.keras_inputs]
        if getattr(layer, "_is_graph_network", False):
            return self.read(layer, taken)
        if type(layer).__name__ in _PASSING:
            return taken
        if type(layer).__name__ == "Lambda":
            return self.read(_traced(layer, node.keras_inputs), taken)
        kwargs = {key: value for key, value in node.call_kwargs.items() if key not in ("training", "mask", "name")}
        self.calls.append(
            {
                "layer": self._number(layer),
                "name": self._name(layer.name),
                "kind": type(layer).__name__,
                "own": type(layer).__module__.startswith("tf_keras."),
                "config": _plain(_config(layer), {}),
                "args": _plain(node.call_args, found),
                "kwargs": _plain(kwargs, found),
                "output": self._tensors,
            }
        )
        self._tensors += outputs
        return list(range(self._tensors - outputs, self._tensors))

    def _number(self, layer: Any) -> int:
        if id(layer) not in self._numbers:
            self._numbers[id(layer)] = len(self.layers)
            self.layers.append(layer.get_weights())
        return self._numbers[id(layer)]

    def _name(self, name: str) -> str:
        """Returns a name that no other call has: models inside the model may have layers of the same name."""
        plain = name.replace("/", "_")
        unique = next(
            name for index in range(10**6) if (name := f"{plain}_{index}" if index else plain) not in self._names
        )
        self._names.add(unique)
        return unique


def _traced(layer: Any, tensors: Any) -> Any:
    """Returns a model of the TensorFlow functions that a Lambda layer calls."""
    import tf_keras

    inputs = [tf_keras.Input(batch_shape=tensor.shape) for tensor in tensors]
    try:
        outputs = layer.function(inputs if len(inputs) > 1 else inputs[0], **layer.arguments)
        return tf_keras.Model(inputs, outputs)
    except Exception as error:  # of any code
        raise ModelError(
            f"the Lambda layer '{layer.name}' cannot be taken apart; replace it with other layers: {first_line(error)}"
        ) from error


def _config(layer: Any) -> dict[str, Any]:
    """Returns a layer's configuration without what only training needs, with the names of functions."""
    left_out = ("_initializer", "_regularizer", "_constraint", "dtype", "trainable", "name", "batch_input_shape")
    config = {key: value for key, value in layer.get_config().items() if not key.endswith(left_out)}
    if type(layer).__name__ == "Normalization":  # its statistics are weights or options, by how they were given
        mean, variance = (np.asarray(values, np.float64).reshape(-1) for values in (layer.mean, layer.variance))
        deviation = np.maximum(np.sqrt(variance), 1e-7)
        scale, offset = (deviation, mean) if layer.invert else (1 / deviation, -mean / deviation)
        return {"scale": scale.tolist(), "offset": offset.tolist()}
    if type(layer).__name__ == "TFOpLambda" or "activation" not in config:
        return config
    activation = layer.activation
    return {**config, "activation": getattr(activation, "__name__", type(activation).__name__)}


def _plain(value: Any, found: Mapping[int, int]) -> Any:
    """Returns a value as JSON."""
    if id(value) in found:
        return {"tensor": found[id(value)]}
    if isinstance(value, Mapping):
        return {str(key): _plain(part, found) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part, found) for part in value]
    if isinstance(value, slice):
        return {"slice": [_plain(part, found) for part in (value.start, value.stop, value.step)]}
    if value is Ellipsis:
        return {"ellipsis": True}
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if hasattr(value, "as_numpy_dtype"):
        return str(value.name)
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise ModelError(f"it holds a value that cannot be converted: {value!r}")
    return array.item() if array.ndim == 0 else {"array": array.tolist()}


if __name__ == "__main__":
    sys.exit(serve(read_file))
