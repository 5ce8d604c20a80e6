"""Smaller ways to store the weights of an ONNX model that computes in float32. Imports ONNX.

Nodes behind each weight convert it back to float32. The runtime folds these nodes when it loads the model, so that it
runs as fast as with float32 weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from tledge.core.errors import ConversionError

SMALLEST_STORED = 256
"""Weights with fewer numbers stay float32: storing them smaller would save next to nothing."""

PRODUCTS = ("Conv", "Gemm", "MatMul")
"""Operators whose second input is a weight."""

Floats = npt.NDArray[np.float32]


def store_as_float16(model: Any) -> Any:
    """Stores every large weight of an ``onnx.ModelProto`` as float16, in place; returns the model.

    Raises:
        ConversionError: a weight is too large for float16.
    """
    restoring = []
    for weight, values in _float_weights(model):
        if np.abs(values).max() > np.finfo(np.float16).max:
            raise ConversionError(f"weight '{weight.name}' does not fit into float16; choose another recipe")
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_float16"))
        restoring.append(helper.make_node("Cast", [f"{name}_float16"], [name], to=TensorProto.FLOAT))
    return _prepend(model, restoring)


def store_as_int8(model: Any) -> Any:
    """Stores the weights of convolutions and matrix products as int8, in place; returns the model.

    The integers are symmetric, with one scale per output channel.
    """
    axes = {node.input[1]: output_axis(node) for node in model.graph.node if node.op_type in PRODUCTS}
    restoring = []
    for weight, values in _float_weights(model):
        if weight.name not in axes:
            continue
        name = weight.name
        axis = axes[name] % values.ndim
        others = tuple(other for other in range(values.ndim) if other != axis)
        scale = np.maximum(np.abs(values).max(axis=others, keepdims=True) / 127, np.finfo(np.float32).tiny)
        rounded = np.rint(values / scale).astype(np.int8)
        weight.CopyFrom(numpy_helper.from_array(rounded, f"{name}_int8"))
        model.graph.initializer.append(numpy_helper.from_array(scale.astype(np.float32), f"{name}_scale"))
        restoring += [
            helper.make_node("Cast", [f"{name}_int8"], [f"{name}_integral"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{name}_integral", f"{name}_scale"], [name]),
        ]
    return _prepend(model, restoring)


def output_axis(node: onnx.NodeProto) -> int:
    """Returns the axis of a product's weight that holds the output channels."""
    transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
    return 0 if node.op_type == "Conv" or transposed else -1


def _float_weights(model: Any) -> list[tuple[Any, Floats]]:
    """Returns the float32 initializers that are worth storing smaller, with their values."""
    found = ((weight, numpy_helper.to_array(weight)) for weight in model.graph.initializer)
    return [
        (weight, values) for weight, values in found if values.dtype == np.float32 and values.size >= SMALLEST_STORED
    ]


def _prepend(model: Any, nodes: list[onnx.NodeProto]) -> Any:
    following = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *following])
    return model
