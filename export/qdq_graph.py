"""Adds 8-bit integers to an ONNX graph as QuantizeLinear and DequantizeLinear pairs (QDQ). Imports ONNX.

Source of the representation: https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from tledge.export.onnx_weights import PRODUCTS, output_axis
from tledge.export.ranges import Range

CLIPPING = ("Relu", "Clip")
"""Activations that the range of the integers expresses."""

SUMS = ("Add",)
MOVING = ("MaxPool", "Pad", "Transpose", "Reshape", "Concat")
"""Operators that only move values, so that their output has their input's scale."""


class QdqGraph:
    """The graph of an ONNX model, to which QuantizeLinear and DequantizeLinear nodes are added.

    Args:
        model: an ``onnx.ModelProto``, changed in place.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        self._weights = {weight.name: weight for weight in model.graph.initializer}
        self._consumers: dict[str, list[Any]] = defaultdict(list)
        for node in model.graph.node:
            for name in node.input:
                self._consumers[name].append(node)
        self._outputs = {value.name for value in model.graph.output}
        self._after: dict[str, list[Any]] = {}
        self._first: list[Any] = []

    def convolutions(self, floats: frozenset[str]) -> list[Any]:
        """Returns the convolutions that compute in integers: all except the nodes ``floats``."""
        return [node for node in products(self._model) if node.op_type == "Conv" and node.name not in floats]

    def integer_tensors(self, convolutions: list[Any]) -> set[str]:
        """Returns the activations that are stored as integers: those between convolutions, sums and moves."""
        integers: set[str] = set()
        for node in convolutions:
            integers |= {node.input[0], self._activated(node.output[0])}
        grown = True
        while grown:
            before = len(integers)
            for node in self._model.graph.node:
                inputs = [name for name in node.input if name and name not in self._weights]
                if node.op_type in SUMS and len(inputs) == 2 and all(name in integers for name in inputs):
                    integers.add(self._activated(node.output[0]))
                elif node.op_type in MOVING and inputs and all(name in integers for name in inputs):
                    integers |= set(node.output)
            grown = len(integers) > before
        return integers - self._outputs

    def pixel_tensors(self, integers: set[str]) -> set[str]:
        """Returns the integer tensors that hold the scaled pixels, whose range is that of 8-bit images."""
        found = {value.name for value in self._model.graph.input}
        for node in self._model.graph.node:
            inputs = {name for name in node.input if name not in self._weights}
            if node.op_type in ("Cast", "Mul", "Add", "Sub", "Div", "Transpose") and inputs and inputs <= found:
                found |= set(node.output)
        return found & integers

    def _activated(self, name: str) -> str:
        """Returns the output of a tensor's only consumer if that is a ReLU, otherwise the tensor itself."""
        consumers = self._consumers[name]
        if len(consumers) == 1 and consumers[0].op_type in CLIPPING and name not in self._outputs:
            return str(consumers[0].output[0])
        return name

    def moving(self, integers: set[str]) -> list[Any]:
        """Returns the nodes between two integer tensors whose output has their input's scale."""
        moves = [node for node in self._model.graph.node if node.op_type in MOVING and node.op_type != "Concat"]
        return [node for node in moves if node.input[0] in integers and node.output[0] in integers]

    def quantize_activation(self, name: str, found: Range) -> None:
        """Inserts QuantizeLinear and DequantizeLinear between a tensor and all its consumers."""
        scale, zero = f"{name}_scale", f"{name}_zero_point"
        self._add(np.float32(found.scale), scale)
        self._add(np.uint8(found.zero_point), zero)
        self._after[name] = [
            helper.make_node("QuantizeLinear", [name, scale, zero], [f"{name}_integers"], f"{name}_quantize"),
            helper.make_node(
                "DequantizeLinear", [f"{name}_integers", scale, zero], [f"{name}_restored"], f"{name}_dequantize"
            ),
        ]
        for node in self._consumers[name]:
            node.input[:] = [f"{name}_restored" if taken == name else taken for taken in node.input]

    def store_weights(self, node: Any, levels: int, activations: Range) -> None:
        """Stores a convolution's weights as int8 and its bias as int32.

        Args:
            levels: the largest integer of a weight.
            activations: the range of the convolution's input.
        """
        scales = self._store_int8(node, levels)
        if len(node.input) > 2:
            bias = numpy_helper.to_array(self._weights[node.input[2]])
            unit = scales.astype(np.float64) * np.float32(activations.scale)
            limit = np.iinfo(np.int32).max
            rounded = np.clip(np.rint(bias / unit), -limit, limit).astype(np.int32)
            node.input[2] = self._restore(f"{node.name}_bias", rounded, unit.astype(np.float32), axis=0)

    def store_head(self, levels: int, floats: frozenset[str]) -> None:
        """Stores the weights of float32 matrix products as int8, except those of the nodes ``floats``."""
        for node in products(self._model):
            if node.op_type != "Conv" and node.name not in floats:
                self._store_int8(node, levels)

    def _store_int8(self, node: Any, levels: int) -> npt.NDArray[np.float32]:
        values = numpy_helper.to_array(self._weights[node.input[1]])
        axis = output_axis(node) % values.ndim
        others = tuple(other for other in range(values.ndim) if other != axis)
        largest = np.abs(values).max(axis=others)
        scales = np.where(largest > 0, largest / levels, 1.0).astype(np.float32)
        along = [-1 if other == axis else 1 for other in range(values.ndim)]
        integers = np.clip(np.rint(values / scales.reshape(along)), -levels, levels).astype(np.int8)
        node.input[1] = self._restore(f"{node.name}_weights", integers, scales, axis)
        return scales

    def _restore(self, name: str, integers: npt.NDArray[Any], scales: npt.NDArray[np.float32], axis: int) -> str:
        """Adds integers and a node that converts them to floats; returns the name of the floats."""
        self._add(integers, f"{name}_integers")
        self._add(scales, f"{name}_scale")
        self._add(np.zeros(scales.shape, integers.dtype), f"{name}_zero_point")
        inputs = [f"{name}_integers", f"{name}_scale", f"{name}_zero_point"]
        self._first.append(helper.make_node("DequantizeLinear", inputs, [name], f"{name}_dequantize", axis=axis))
        return name

    def _add(self, values: Any, name: str) -> None:
        self._model.graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))

    def finish(self) -> Any:
        """Returns the model, with the nodes in order and without unused weights."""
        graph = self._model.graph
        nodes = list(self._first)
        for value in graph.input:
            nodes += self._after.get(value.name, [])
        for node in graph.node:
            nodes.append(node)
            for output in node.output:
                nodes += self._after.get(output, [])
        nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
        del graph.node[:]
        graph.node.extend(nodes)
        used = {name for node in nodes for name in node.input}
        kept = [weight for weight in graph.initializer if weight.name in used]
        kept = [onnx.TensorProto.FromString(weight.SerializeToString()) for weight in kept]
        del graph.initializer[:]
        graph.initializer.extend(kept)
        del graph.value_info[:]
        return self._model


def products(model: Any) -> list[Any]:
    """Returns the nodes that multiply by weights."""
    weights = {weight.name for weight in model.graph.initializer}
    return [node for node in model.graph.node if node.op_type in PRODUCTS and node.input[1] in weights]
