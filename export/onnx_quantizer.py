"""Quantizes an ONNX model to 8-bit integers. Imports ONNX.

Differences from ONNX Runtime's own quantizer:

* Ranges are measured behind a ReLU or ReLU6, not before it. Runtimes then drop that node, without any loss.
* A range is clipped where that lowers the squared error; the largest value does not set it (``export.ranges``).
* Only activations between layers that compute in integers are quantized. The input's scaling, the pooled features, the
  head, its logits, and activations other than ReLUs stay float32. So do the weights of a small head
  (``export.float_head``); those of a larger one are stored as int8.
* The largest integer of a weight is ``levels``. With 64 (7 bits), the sum of two products fits into 16 bits in the
  instruction of x86 CPUs without VNNI (vpmaddubsw); with 8-bit weights it saturates silently.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from tledge.core.errors import ConversionError
from tledge.core.images import Pixels
from tledge.export.float_head import float_head
from tledge.export.format import Quantizer
from tledge.export.qdq_graph import QdqGraph, products
from tledge.export.ranges import Range, observe

if TYPE_CHECKING:
    from tledge.export.weight_calibration import CalibratedModel


class OnnxQuantizer(Quantizer):
    """An ONNX model with the ranges of its activations.

    Args:
        convert: converts a Keras model to an ``onnx.ModelProto`` from uint8 ``image`` to float32 ``logits``, with
            batch norms folded.
        levels: the largest integer of a weight, 1 to 127.
    """

    def __init__(self, calibration: CalibratedModel, convert: Callable[[Any], Any], levels: int) -> None:
        self._calibration = calibration
        self._convert = convert
        self._levels = levels
        self._keras = calibration.rounded(levels)
        self._model = convert(self._keras)
        graph = QdqGraph(self._model)
        integers = graph.integer_tensors(graph.convolutions(frozenset()))
        self._ranges = _observe(self._model, sorted(integers), graph.pixel_tensors(integers), calibration.pixels)

    def quantize(self, float_layers: frozenset[str]) -> bytes:
        model = onnx.ModelProto.FromString(self._model.SerializeToString())
        floats = frozenset(self._node_of(layer) for layer in float_layers)
        if floats:
            _take_weights(model, self._unrounded, floats)
        floats |= frozenset(self._node_of(layer) for layer in float_head(self._keras))
        graph = QdqGraph(model)
        convolutions = graph.convolutions(floats)
        integers = graph.integer_tensors(convolutions)
        ranges = dict(self._ranges)
        for node in graph.moving(integers):
            ranges[node.output[0]] = ranges[node.input[0]]
        of_inputs = {node.name: ranges[node.input[0]] for node in convolutions}
        for name in sorted(integers):
            graph.quantize_activation(name, ranges[name])
        for node in convolutions:
            graph.store_weights(node, self._levels, of_inputs[node.name])
        graph.store_head(self._levels, floats)
        return bytes(graph.finish().SerializeToString())

    @cached_property
    def _unrounded(self) -> Any:
        return self._convert(self._calibration.unrounded)

    def _node_of(self, layer: str) -> str:
        """Returns the name of the node of a Keras layer.

        Raises:
            ConversionError: the ONNX model has no such node.
        """
        if layer not in self._nodes:
            raise ConversionError(
                f"layer '{layer}' is not found in the ONNX model, so it cannot stay float32; its layers:"
                f" {', '.join(self._nodes)}"
            )
        return self._nodes[layer]

    @cached_property
    def _nodes(self) -> dict[str, str]:
        """Names of nodes by Keras layer, matched by their weights: tf2onnx does not keep all layer names."""
        weights = _weights_of(self._model)
        free = {node.name: weights[node.input[1]] for node in products(self._model)}
        nodes = {}
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
                nodes[layer.name] = same[0]
                del free[same[0]]
        return nodes


def _onnx_kernel(layer: Any) -> npt.NDArray[np.float32] | None:
    """Returns a layer's kernel in ONNX's order: (out, in, height, width), or (in, out) of a dense layer."""
    import keras

    if not isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D | keras.layers.Dense):
        return None
    kernel: npt.NDArray[np.float32] = layer.get_weights()[0]
    if isinstance(layer, keras.layers.DepthwiseConv2D):
        return kernel.transpose(2, 3, 0, 1).reshape(-1, 1, *kernel.shape[:2])
    return kernel.transpose(3, 2, 0, 1) if isinstance(layer, keras.layers.Conv2D) else kernel


def _weights_of(model: Any) -> dict[str, npt.NDArray[Any]]:
    return {weight.name: numpy_helper.to_array(weight) for weight in model.graph.initializer}


def _take_weights(model: Any, other: Any, names: frozenset[str]) -> None:
    """Gives some nodes the weights and biases that they have in another model with the same graph."""
    weights, others = _weights_of(model), _weights_of(other)
    for node, other_node in zip(products(model), products(other), strict=True):
        if node.name not in names:
            continue
        for index, name in enumerate(node.input[1:], start=1):
            # A bias of zeros is left out of the graph.
            values = others[other_node.input[index]] if index < len(other_node.input) else np.zeros_like(weights[name])
            node.input[index] = f"{node.name}_{index}_unrounded"
            model.graph.initializer.append(numpy_helper.from_array(values, node.input[index]))


def _observe(model: Any, names: list[str], pixels: set[str], calibration: Pixels) -> dict[str, Range]:
    """Returns the best range of each tensor on the calibration images; for ``pixels``, the range of values 0 to 255."""
    import onnxruntime

    if not names:
        return {}
    observed = onnx.ModelProto.FromString(model.SerializeToString())
    present = {value.name for value in observed.graph.output}
    observed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in present)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(observed.SerializeToString(), options, providers=["CPUExecutionProvider"])
    image = session.get_inputs()[0].name

    def values(batch: Pixels) -> dict[str, npt.NDArray[np.float32]]:
        return dict(zip(names, session.run(names, {image: batch}), strict=True))

    return observe(values, calibration, pixels)
