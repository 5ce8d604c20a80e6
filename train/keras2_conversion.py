"""Converts a file of Keras 2 to a Keras 3 model that gives the same outputs. Imports Keras.

Keras 3 loads few files of Keras 2, and some of those with other outputs. ``tf_keras``, the Keras 2 of today's
TensorFlow, loads them in a child process; see docs/adr/0021-keras-2-files-are-rebuilt.md.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tledge.core.array_file import open_arrays
from tledge.core.errors import ModelError, first_line
from tledge.core.extras import require
from tledge.core.progress import Progress
from tledge.core.temporary_files import temporary_folder
from tledge.core.worker import python_module, quiet_environment, run_worker
from tledge.train.keras2_layers import activation_behind, make_layer
from tledge.train.keras2_worker import ARRAYS
from tledge.train.model_comparison import LARGEST_DIFFERENCE, end_removed, find_difference


@dataclass(frozen=True)
class ConvertedModel:
    """A Keras 2 model in Keras 3.

    Attributes:
        model: a functional ``keras.Model`` without models inside it, without its layers for training only.
        difference: the largest difference of its outputs and logits from those of tf_keras on ``probe_images``, as
            ``LARGEST_DIFFERENCE`` is.
    """

    model: Any
    difference: float


def convert_keras2(
    path: Path, *, low: float, high: float, trust: bool = False, progress: Progress | None = None
) -> ConvertedModel:
    """Converts a checked file of Keras 2.

    Args:
        low, high: the range of the model's inputs, for the comparison.
        trust: load code in the file; a Lambda layer becomes the TensorFlow functions that it calls.

    Raises:
        MissingExtraError: tf_keras is not installed.
        ModelError: tf_keras cannot load the file, a layer has no counterpart in Keras 3, or the outputs differ.
    """
    require_keras2()
    request = {"path": str(path.resolve()), "low": low, "high": high, "trust": trust}
    try:
        found, values = _read(request, name=f"reading '{path.name}' with tf_keras", progress=progress)
        model = _build(found, values)
    except ModelError as error:
        raise ModelError(f"'{path.name}' is a Keras 2 file that cannot be converted: {error}") from error
    if "inputs" not in values:
        return ConvertedModel(model, 0.0)  # of variable size, which no importer takes
    difference = find_difference(infer(model, values["inputs"]), values["outputs"])
    with end_removed(model) as removed:
        if removed and "logits" in values:
            difference = max(difference, find_difference(infer(model, values["inputs"]), values["logits"]))
    if not difference <= LARGEST_DIFFERENCE:
        raise ModelError(
            f"'{path.name}' is a Keras 2 file that cannot be converted: the outputs would differ by {difference:.2g}"
            f" (limit {LARGEST_DIFFERENCE:g})"
        )
    return ConvertedModel(model, difference)


def require_keras2() -> None:
    """Raises MissingExtraError unless tf_keras is installed."""
    require("tensorflow", "tf_keras", extra="export", purpose="reading a Keras 2 file")


def _read(request: dict[str, Any], *, name: str, progress: Progress | None) -> tuple[Any, dict[str, Any]]:
    """Returns the graph and the arrays that the child process reads."""
    with temporary_folder() as folder:
        found = run_worker(
            python_module("tledge.train.keras2_worker"),
            {**request, "folder": str(folder)},
            name=name,
            error=ModelError,
            progress=progress,
            environment={**quiet_environment(), "TF_USE_LEGACY_KERAS": "1", "CUDA_VISIBLE_DEVICES": "-1"},
        )
        with open_arrays(folder / ARRAYS) as arrays:
            return found, dict(arrays)


def infer(model: Any, inputs: Any) -> Any:
    """Returns a model's outputs as an array, computed on the CPU: GPUs round the factors of convolutions."""
    with keras.device("cpu:0"), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a model whose inputs are a list of one
        return keras.ops.convert_to_numpy(model(inputs, training=False))


def _build(found: Mapping[str, Any], arrays: Mapping[str, Any]) -> Any:
    image = keras.Input(found["shape"], dtype="float32")
    tensors = {0: image}
    layers: dict[int, Any] = {}
    for plain in found["calls"]:
        number, call = plain["layer"], {**plain, "config": _decoded(plain["config"], tensors)}
        weights = [arrays[f"{number}|{part}"] for part in range(_count(arrays, number))]
        layer = layers.setdefault(number, None) or make_layer(call, weights)
        try:
            outputs = _call(layer, call, tensors)
            if layers[number] is None:
                _set_weights(layer, weights)
        except (TypeError, ValueError) as error:
            kind = call["config"].get("function", call["kind"])
            raise ModelError(
                f"layer '{call['name']}' ({kind}) cannot be made in Keras 3: {first_line(error)}"
            ) from error
        layers[number] = layer
        for index, tensor in enumerate(outputs):
            tensors[call["output"] + index] = tensor
    name_uniquely(tensors[found["output"]])
    model = keras.Model(image, tensors[found["output"]])
    model.jit_compile = False
    return model


def name_uniquely(output: Any) -> None:
    """Renames layers and operations that lead to a symbolic tensor and share a name, which Keras does not allow.

    Keras names operations by itself ("multiply"), as a layer of the file may be named; models inside a model may have
    layers of the same name.
    """
    operations: dict[int, Any] = {}
    waiting, seen = [output], set()
    while waiting:
        history = waiting.pop()._keras_history
        node = history.operation._inbound_nodes[history.node_index]
        if id(node) not in seen:
            seen.add(id(node))
            operations[id(history.operation)] = history.operation
            waiting += node.input_tensors
    names: set[str] = set()
    for operation in sorted(operations.values(), key=lambda found: not isinstance(found, keras.layers.Layer)):
        name = operation.name
        operation.name = next(
            new for count in range(10**6) if (new := f"{name}_{count}" if count else name) not in names
        )
        names.add(operation.name)


def _call(layer: Any, call: Mapping[str, Any], tensors: Mapping[int, Any]) -> Sequence[Any]:
    args, kwargs = (_decoded(call[key], tensors) for key in ("args", "kwargs"))
    if not isinstance(layer, keras.layers.Layer):
        kwargs = {key: value for key, value in kwargs.items() if value is not None and key != "validate_indices"}
    outputs = layer(*args, **kwargs)
    behind = activation_behind(call)
    outputs = behind(outputs) if behind else outputs
    return outputs if isinstance(outputs, list | tuple) else [outputs]


def _count(arrays: Mapping[str, Any], number: int) -> int:
    return sum(key.startswith(f"{number}|") for key in arrays)


def _set_weights(layer: Any, weights: Sequence[Any]) -> None:
    if not weights or not isinstance(layer, keras.layers.Layer) or isinstance(layer, keras.layers.Rescaling):
        return
    layer.set_weights(weights)


def _decoded(value: Any, tensors: Mapping[int, Any]) -> Any:
    """Returns what ``keras2_worker`` wrote as JSON."""
    if isinstance(value, list):
        return [_decoded(part, tensors) for part in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"tensor"}:
        return tensors[value["tensor"]]
    if value.keys() == {"array"}:
        return np.asarray(value["array"], np.float32)
    if value.keys() == {"slice"}:
        return slice(*value["slice"])
    if value.keys() == {"ellipsis"}:
        return Ellipsis
    return {key: _decoded(part, tensors) for key, part in value.items()}
