"""An ONNX model in 8-bit integers, as QuantizeLinear and DequantizeLinear pairs (QDQ). Imports ONNX.

What differs from ONNX Runtime's own quantizer, and why:

* The ranges are those after a ReLU or ReLU6, not before; runtimes then drop that node, and nothing is lost.
* A range is cut where that lowers the squared error, not set by the one largest value there is (``export.ranges``).
* Integers stand between layers that compute in them, and nowhere else: the input's scaling, the pooled features, the
  head and its logits, and activations other than the ReLUs stay float32. So do the weights of a head that is small
  (``export.head``); those of a larger one are stored as int8.
* Weights have at most ``levels`` on either side of zero. With 64 (7 bits), no sum of two products of the instruction
  that x86 CPUs without VNNI have (vpmaddubsw) can pass 16 bits, where 8-bit weights saturate without a word.

Source of the representation: https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from tledge.core.errors import ConversionError
from tledge.core.images import Pixels
from tledge.export.float_head import float_head
from tledge.export.format import Quantizer
from tledge.export.onnx_weights import PRODUCTS, output_axis
from tledge.export.ranges import Range, observe

if TYPE_CHECKING:
    from tledge.export.weight_rounding import CalibratedModel

CLIPPING = ("Relu", "Clip")
"""Activations that a range of integers can express by itself."""

SUMS = ("Add",)
MOVING = ("MaxPool", "Pad", "Transpose", "Reshape", "Concat")
"""Operators whose outputs are some of their inputs: they keep these inputs' scale."""


class OnnxQuantizer(Quantizer):
    """A model with the ranges of its activations.

    Args:
        calibration: the Keras model with its calibration images.
        convert: from a Keras model to an ``onnx.ModelProto`` from uint8 ``image`` to float32 ``logits``, batch norms
            folded.
        levels: the largest integer of a weight, 1 to 127.
    """

    def __init__(self, calibration: CalibratedModel, convert: Callable[[Any], Any], levels: int) -> None:
        self._calibration = calibration
        self._convert = convert
        self._levels = levels
        self._keras = calibration.rounded(levels)
        self._model = convert(self._keras)
        graph = _Graph(self._model)
        integers = graph.integer_tensors(graph.convolutions(frozenset()))
        self._ranges = _observe(self._model, sorted(integers), graph.pixel_tensors(integers), calibration.pixels)

    def quantize(self, float_layers: frozenset[str]) -> bytes:
        model = onnx.ModelProto.FromString(self._model.SerializeToString())
        floats = frozenset(self._node_of(layer) for layer in float_layers)
        if floats:
            _take_weights(model, self._unrounded, floats)
        floats |= frozenset(self._node_of(layer) for layer in float_head(self._keras))
        graph = _Graph(model)
        convolutions = graph.convolutions(floats)
        integers = graph.integer_tensors(convolutions)
        ranges = dict(self._ranges)
        for node in graph.moving(integers):
            ranges[node.output[0]] = ranges[node.input[0]]
        taken = {node.name: ranges[node.input[0]] for node in convolutions}
        for name in sorted(integers):
            graph.pass_through_integers(name, ranges[name])
        for node in convolutions:
            graph.store_weights(node, self._levels, taken[node.name])
        graph.store_head(self._levels, floats)
        content: bytes = graph.finish().SerializeToString()
        return content

    @cached_property
    def _unrounded(self) -> Any:
        return self._convert(self._calibration.unrounded)

    def _node_of(self, layer: str) -> str:
        """The name of the node that a Keras layer became. Raises ConversionError where there is none."""
        if layer not in self._nodes:
            raise ConversionError(
                f"layer '{layer}' is not found in the ONNX model, so it cannot stay float32; its layers:"
                f" {', '.join(self._nodes)}"
            )
        return self._nodes[layer]

    @cached_property
    def _nodes(self) -> dict[str, str]:
        """Nodes by Keras layer: those with the same weights. Of names, tf2onnx and its optimizers keep only some."""
        weights = {weight.name: numpy_helper.to_array(weight) for weight in self._model.graph.initializer}
        free = {node.name: weights[node.input[1]] for node in _products(self._model)}
        found = {}
        for layer in self._keras.layers:
            kernel = _onnx_kernel(layer)
            same = [
                name
                for name, values in free.items()
                if kernel is not None
                and values.shape == kernel.shape
                and np.allclose(values, kernel, rtol=1e-3, atol=1e-4 * np.abs(kernel).max())
            ]
            if same:
                found[layer.name] = same[0]
                del free[same[0]]
        return found


class _Graph:
    """A graph that nodes are added to."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._weights = {weight.name: weight for weight in model.graph.initializer}
        self._producer = {output: node for node in model.graph.node for output in node.output}
        self._consumers: dict[str, list[Any]] = defaultdict(list)
        for node in model.graph.node:
            for name in node.input:
                self._consumers[name].append(node)
        self._outputs = {value.name for value in model.graph.output}
        self._after: dict[str, list[Any]] = {}
        self._first: list[Any] = []

    def convolutions(self, floats: frozenset[str]) -> list[Any]:
        """Those that compute in integers: all but the nodes ``floats``."""
        return [node for node in _products(self._model) if node.op_type == "Conv" and node.name not in floats]

    def integer_tensors(self, convolutions: list[Any]) -> set[str]:
        """The activations that are represented by integers: between convolutions, sums and what moves values."""
        found: set[str] = set()
        for node in convolutions:
            found |= {node.input[0], self._activated(node.output[0])}
        grown = True
        while grown:
            before = len(found)
            for node in self._model.graph.node:
                inputs = [name for name in node.input if name and name not in self._weights]
                if node.op_type in SUMS and len(inputs) == 2 and all(name in found for name in inputs):
                    found.add(self._activated(node.output[0]))
                elif node.op_type in MOVING and inputs and all(name in found for name in inputs):
                    found |= set(node.output)
            grown = len(found) > before
        return found - self._outputs

    def pixel_tensors(self, integers: set[str]) -> set[str]:
        """Those that hold the image's pixels, scaled, whose range is that of 8-bit images."""
        found = {value.name for value in self._model.graph.input}
        for node in self._model.graph.node:
            inputs = {name for name in node.input if name not in self._weights}
            if node.op_type in ("Cast", "Mul", "Add", "Sub", "Div", "Transpose") and inputs and inputs <= found:
                found |= set(node.output)
        return found & integers

    def _activated(self, name: str) -> str:
        """The tensor itself, or what its only consumer, a ReLU, makes of it."""
        consumers = self._consumers[name]
        if len(consumers) == 1 and consumers[0].op_type in CLIPPING and name not in self._outputs:
            return str(consumers[0].output[0])
        return name

    def moving(self, integers: set[str]) -> list[Any]:
        """The nodes between two integer tensors that keep the scale of the first one."""
        return [
            node
            for node in self._model.graph.node
            if node.op_type in MOVING
            and node.op_type != "Concat"
            and node.input[0] in integers
            and node.output[0] in integers
        ]

    def pass_through_integers(self, name: str, found: Range) -> None:
        """Puts a pair of QuantizeLinear and DequantizeLinear behind a tensor; all its consumers take what comes out."""
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

    def store_weights(self, node: Any, levels: int, taken: Range) -> None:
        """Stores a convolution's weights as int8 and its bias as int32."""
        scales = self._store_int8(node, levels)
        if len(node.input) > 2:
            bias = numpy_helper.to_array(self._weights[node.input[2]])
            unit = scales.astype(np.float64) * np.float32(taken.scale)
            limit = np.iinfo(np.int32).max
            rounded = np.clip(np.rint(bias / unit), -limit, limit).astype(np.int32)
            node.input[2] = self._restore(f"{node.name}_bias", rounded, unit.astype(np.float32), axis=0)

    def store_head(self, levels: int, floats: frozenset[str]) -> None:
        """Stores the weights of matrix products, which are computed in float32, as int8."""
        for node in _products(self._model):
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
        """Adds integers and the node that makes floats of them; returns the name of these."""
        self._add(integers, f"{name}_integers")
        self._add(scales, f"{name}_scale")
        self._add(np.zeros(scales.shape, integers.dtype), f"{name}_zero_point")
        inputs = [f"{name}_integers", f"{name}_scale", f"{name}_zero_point"]
        self._first.append(helper.make_node("DequantizeLinear", inputs, [name], f"{name}_dequantize", axis=axis))
        return name

    def _add(self, values: Any, name: str) -> None:
        self._model.graph.initializer.append(numpy_helper.from_array(np.asarray(values), name))

    def finish(self) -> Any:
        """The model with the nodes in order and without weights that nothing uses any more."""
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


def _products(model: Any) -> list[Any]:
    """The nodes that multiply by weights."""
    weights = {weight.name for weight in model.graph.initializer}
    return [node for node in model.graph.node if node.op_type in PRODUCTS and node.input[1] in weights]


def _onnx_kernel(layer: Any) -> npt.NDArray[np.float32] | None:
    """A layer's kernel as ONNX has it: (out, in, height, width), or (in, out) of a dense layer."""
    import keras

    if not isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D | keras.layers.Dense):
        return None
    kernel: npt.NDArray[np.float32] = layer.get_weights()[0]
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return kernel.transpose(2, 3, 0, 1).reshape(-1, 1, *kernel.shape[:2])
    return kernel.transpose(3, 2, 0, 1) if isinstance(layer, keras.layers.Conv2D) else kernel


def _take_weights(model: Any, other: Any, names: frozenset[str]) -> None:
    """Gives some nodes the weights and biases that they have in another model of the same graph."""
    mine, its = (
        {weight.name: numpy_helper.to_array(weight) for weight in one.graph.initializer} for one in (model, other)
    )
    for node, theirs in zip(_products(model), _products(other), strict=True):
        if node.name not in names:
            continue
        for place, name in enumerate(node.input[1:], start=1):
            # A bias of zeros is left out where rounding did not have to make up for anything.
            values = its[theirs.input[place]] if place < len(theirs.input) else np.zeros_like(mine[name])
            node.input[place] = f"{node.name}_{place}_unrounded"
            model.graph.initializer.append(numpy_helper.from_array(values, node.input[place]))


def _observe(model: Any, names: list[str], pixels: set[str], calibration: Pixels) -> dict[str, Range]:
    """The best range of each tensor on the calibration images; of ``pixels`` the one that 0 to 255 have."""
    import onnxruntime

    if not names:
        return {}
    watched = onnx.ModelProto.FromString(model.SerializeToString())
    present = {value.name for value in watched.graph.output}
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in present)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    image = session.get_inputs()[0].name

    def values(batch: Pixels) -> dict[str, npt.NDArray[np.float32]]:
        return dict(zip(names, session.run(names, {image: batch}), strict=True))

    darkest = np.zeros_like(calibration[:1])
    extremes = session.run(names, {image: np.concatenate([darkest, darkest + 255])})
    return observe(values, calibration) | {
        name: Range(0.0, 0.0).widened(found) for name, found in zip(names, extremes, strict=True) if name in pixels
    }
