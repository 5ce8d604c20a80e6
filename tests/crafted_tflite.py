"""TFLite files written operator by operator, for what no converter writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

FLOAT, INT32, UINT8, STRING, INT8 = 0, 2, 3, 5, 9
"""TensorType of schema.fbs."""

OPERATORS = schema.BuiltinOperator


def tensor(shape: Sequence[int], kind: int = FLOAT, *, name: str = "t", scale: float = 0.0, zero_point: int = 0) -> Any:
    made = schema.TensorT()
    made.shape, made.type, made.name, made.buffer = [abs(n) for n in shape], kind, name, 0
    if any(n < 0 for n in shape):
        made.shapeSignature = [-1 if n < 0 else n for n in shape]
    if scale:
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale, made.quantization.zeroPoint = [scale], [zero_point]
    return made


def operator(code: int, inputs: Sequence[int], outputs: Sequence[int], *, custom: str = "", version: int = 1) -> Any:
    """An operator and its code, in one; ``write`` separates them."""
    made = schema.OperatorT()
    made.inputs, made.outputs = list(inputs), list(outputs)
    made.code = schema.OperatorCodeT()
    made.code.builtinCode, made.code.deprecatedBuiltinCode = code, min(code, 127)
    made.code.customCode, made.code.version = custom or None, version
    return made


def write(
    path: Path,
    tensors: Sequence[Any],
    operators: Sequence[Any],
    *,
    inputs: Sequence[int] = (0,),
    outputs: Sequence[int],
    constants: dict[int, Any] | None = None,
) -> Path:
    """Writes a model; ``constants`` are arrays by the number of their tensor."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.buffers, model.operatorCodes = 3, [schema.BufferT()], []
    for number, value in (constants or {}).items():
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8)
        model.buffers.append(buffer)
        tensors[number].buffer = len(model.buffers) - 1
    for item in operators:
        model.operatorCodes.append(item.code)
        item.opcodeIndex = len(model.operatorCodes) - 1
    graph.tensors, graph.operators = list(tensors), list(operators)
    graph.inputs, graph.outputs, graph.name = list(inputs), list(outputs), "main"
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def write_custom(path: Path, name: str) -> Path:
    """A classifier that is one custom operator."""
    tensors = [tensor((1, 8, 8, 3)), tensor((1, 4))]
    return write(path, tensors, [operator(OPERATORS.CUSTOM, [0], [1], custom=name)], outputs=[1])


def write_refused_by_xnnpack(path: Path, *, size: int = 8, output_scale: float = 1e-3, seed: int = 0) -> Path:
    """An int8 classifier of four classes. XNNPACK refuses output steps 256 times finer than those of the products."""
    weights = np.random.default_rng(seed).integers(-1, 2, (4, 3 * size * size)).astype(np.int8)
    tensors = [
        tensor((1, size, size, 3), INT8, name="image", scale=1 / 255, zero_point=-128),
        tensor((2,), INT32),
        tensor((1, 3 * size * size), INT8, scale=1 / 255, zero_point=-128),
        tensor(weights.shape, INT8, scale=255.0),
        tensor((4,), INT32, scale=1.0),
        tensor((1, 4), INT8, name="logits", scale=output_scale),
    ]
    shape, bias = np.array([1, 3 * size * size], np.int32), np.zeros(4, np.int32)
    dense = operator(OPERATORS.FULLY_CONNECTED, [2, 3, 4], [5], version=4)
    dense.builtinOptionsType, dense.builtinOptions = (
        schema.BuiltinOptions.FullyConnectedOptions,
        schema.FullyConnectedOptionsT(),
    )
    steps = [operator(OPERATORS.RESHAPE, [0, 1], [2]), dense]
    return write(path, tensors, steps, outputs=[5], constants={1: shape, 3: weights, 4: bias})
