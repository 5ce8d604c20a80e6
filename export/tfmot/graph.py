"""A Keras model as plain data: its layers in order, the inputs of each, and their weights.

This is how a Keras 3 model reaches a process that uses tf_keras. Layers that do nothing in inference are left out,
nested models are flattened, and arithmetic with constants becomes ``Rescaling``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tledge.core import atomic
from tledge.core.array_file import open_arrays
from tledge.core.errors import ConversionError

Weights = Mapping[str, list[npt.NDArray[np.float32]]]
"""Arrays by layer name, in the order of ``get_weights``."""

INPUT = "image"
"""The name of the pixels as an input of a node."""

_ONLY_IN_TRAINING = frozenset(
    {"ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout2D"}
    | {"RandomBrightness", "RandomContrast", "RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom"}
)


@dataclass(frozen=True)
class Node:
    """One use of a layer.

    Attributes:
        name: the layer's name, after that of the model it is in ("backbone.conv1").
        kind: the layer's class ("Conv2D").
        config: its configuration, as JSON.
        inputs: the nodes whose outputs it takes; ``INPUT`` for the pixels.
        shape: of its output, without the batch.
    """

    name: str
    kind: str
    config: Mapping[str, Any]
    inputs: tuple[str, ...]
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Graph:
    """A classifier's layers in the order of computation; the last one gives the logits.

    Attributes:
        size: (height, width) of the pixels.
        weights: of the layers that have any.
    """

    size: tuple[int, int]
    nodes: tuple[Node, ...]
    weights: Weights

    def node(self, name: str) -> Node:
        """Returns the node of that name."""
        return next(node for node in self.nodes if node.name == name)

    def consumers(self, name: str) -> tuple[Node, ...]:
        """Returns the nodes that take a node's output."""
        return tuple(node for node in self.nodes if name in node.inputs)


def save_weights(path: Path, weights: Weights) -> None:
    """Writes weights as an ``.npz`` file."""
    arrays: dict[str, Any] = {
        f"{name}|{index}": array for name, several in weights.items() for index, array in enumerate(several)
    }
    with atomic.replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def load_weights(path: Path) -> Weights:
    """Reads weights that :func:`save_weights` wrote."""
    found: dict[str, list[npt.NDArray[np.float32]]] = {}
    with open_arrays(path) as arrays:
        for key in arrays:  # in the order of writing
            found.setdefault(key.rpartition("|")[0], []).append(arrays[key])
    return found


def read_graph(model: Any, purpose: str) -> Graph:
    """Reads the layer graph of a Keras 3 model.

    Args:
        model: a functional ``keras.Model`` from pixel values (N, height, width, 3) to logits (N, classes).
        purpose: what needs the graph, for error messages ("the recipe qat").

    Raises:
        ConversionError: several inputs or outputs, a layer used twice, or an operation that is not a layer.
    """
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ConversionError(
            f"{purpose} needs a model with one input and one output; received {len(model.inputs)} and"
            f" {len(model.outputs)}"
        )
    reader = _GraphReader(purpose)
    output = reader.read(model, INPUT, prefix="")
    if not reader.nodes or output != reader.nodes[-1].name:
        raise ConversionError(f"{purpose} needs a model whose last layer outputs the logits; its output is '{output}'")
    height, width = model.inputs[0].shape[1:3]
    return Graph(size=(height, width), nodes=tuple(reader.nodes), weights=reader.weights)


def layers_by_name(model: Any, prefix: str = "") -> dict[str, Any]:
    """Returns the layers of a Keras model and of the models inside it, by their names in its graph."""
    found: dict[str, Any] = {}
    for layer in model.layers:
        if hasattr(layer, "layers"):
            found.update(layers_by_name(layer, f"{prefix}{layer.name}."))
        else:
            found[f"{prefix}{layer.name}"] = layer
    return found


class _GraphReader:
    """Reads the nodes of a model in the order of computation."""

    def __init__(self, purpose: str) -> None:
        self.nodes: list[Node] = []
        self.weights: dict[str, list[npt.NDArray[np.float32]]] = {}
        self._purpose = purpose

    def read(self, model: Any, value: str, prefix: str) -> str:
        """Reads a model whose input is the output of node ``value``; returns the name of its output node."""
        if not hasattr(model, "_nodes_by_depth"):
            raise ConversionError(
                f"{self._purpose} needs a functional model; '{model.name}' is a {type(model).__name__}: use int8"
                " instead"
            )
        values = {id(model.inputs[0]): value}
        for depth in sorted(model._nodes_by_depth, reverse=True):
            for call in model._nodes_by_depth[depth]:
                if type(call.operation).__name__ != "InputLayer":
                    taken = tuple(values[id(tensor)] for tensor in call.input_tensors)
                    values[id(call.outputs[0])] = self._read_call(call, taken, prefix)
        return values[id(model.outputs[0])]

    def _read_call(self, call: Any, taken: tuple[str, ...], prefix: str) -> str:
        layer, kind = call.operation, type(call.operation).__name__
        name = f"{prefix}{layer.name}"
        if len(layer._inbound_nodes) > 1 and any(node.name == name for node in self.nodes):
            raise ConversionError(f"{self._purpose} needs each layer used once; '{name}' is used several times")
        if hasattr(layer, "layers"):  # a model inside the model; a Sequential holds a functional one
            return self.read(getattr(layer, "_functional", None) or layer, taken[0], f"{name}.")
        if kind in _ONLY_IN_TRAINING:
            return taken[0]
        shape = tuple(call.outputs[0].shape[1:])
        if not hasattr(layer, "get_weights"):
            self.nodes.append(Node(name, "Rescaling", self._arithmetic(call, name, kind), taken, shape))
        elif kind == "Normalization":
            self.nodes.append(Node(name, "Rescaling", _normalization(layer), taken, shape))
        else:
            self.nodes.append(Node(name, kind, _plain_config(layer), taken, shape))
            weights = [np.asarray(array, np.float32) for array in layer.get_weights()]
            if weights:
                self.weights[name] = weights
        return name

    def _arithmetic(self, call: Any, name: str, kind: str) -> dict[str, Any]:
        """Returns the configuration of a Rescaling that adds or multiplies by a constant."""
        numbers = [value for value in call.arguments.args if isinstance(value, int | float)]
        if kind not in {"Add", "Multiply"} or len(numbers) != 1 or len(call.input_tensors) != 1:
            raise ConversionError(
                f"{self._purpose} only supports layers; '{name}' is the operation"
                f" {type(call.operation).__module__}.{kind}: use int8 instead"
            )
        return {"scale": 1.0, "offset": numbers[0]} if kind == "Add" else {"scale": numbers[0], "offset": 0.0}


def _normalization(layer: Any) -> dict[str, Any]:
    mean, variance = (np.asarray(value, np.float64).reshape(-1) for value in (layer.mean, layer.variance))
    deviation = np.maximum(np.sqrt(variance), 1e-7)
    scale, offset = (deviation, mean) if layer.invert else (1 / deviation, -mean / deviation)
    return {"scale": scale.tolist(), "offset": offset.tolist()}


def _plain_config(layer: Any) -> dict[str, Any]:
    """Returns a layer's configuration without its name, its precision and what only training needs."""
    left_out = ("_initializer", "_regularizer", "_constraint", "dtype", "trainable", "name")
    config = {key: value for key, value in layer.get_config().items() if not key.endswith(left_out)}
    return dict(json.loads(json.dumps(config, default=str)))
