"""Small real models of every kind of input and output, written without TensorFlow: a dense layer of random weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

TFLITE_TYPES = {"float32": 0, "uint8": 3, "int16": 7, "int8": 9}
ONNX_LAST = {"Softmax": {"axis": -1}, "LogSoftmax": {"axis": -1}}


@dataclass(frozen=True)
class Tensor:
    """A tensor of a TFLite file: its shape, dtype and, if it is quantized, its scale and zero point."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    scale: float = 0.0
    zero_point: int = 0


def dense_weights(values: int, classes: int) -> Any:
    """Weights whose logits for pixels from 0 to 1 spread over a few units: float32 (classes, values)."""
    return np.random.default_rng(7).normal(0, 4 / np.sqrt(values), (classes, values)).astype(np.float32)


def write_dense_tflite(path: Path, image: Tensor, output: Tensor, last: str = "", *, logits: float = 0.06) -> Path:
    """Writes reshape, a dense layer, and ``last`` ("SOFTMAX", "LOGISTIC") after it, with a batch of 1 built in.

    Args:
        path: where to write it.
        image, output: the input and the output; both float32 or both quantized with the same dtype.
        last: an operator after the dense layer.
        logits: the scale of the dense layer's output, if it is quantized and ``last`` follows.
    """
    from ai_edge_litert import schema_py_generated as schema

    values, classes = int(np.prod(image.shape[1:])), int(np.prod(output.shape))
    weights = dense_weights(values, classes)
    buffers = [b""]
    tensors: list[Any] = []

    def add(tensor: Tensor, content: Any = None) -> int:
        item = schema.TensorT()
        item.name, item.shape, item.type = f"t{len(tensors)}", list(tensor.shape), TFLITE_TYPES[tensor.dtype]
        if tensor.dtype == "int32":
            item.type = 2
        if tensor.scale:
            item.quantization = schema.QuantizationParametersT()
            item.quantization.scale, item.quantization.zeroPoint = [tensor.scale], [tensor.zero_point]
        if content is not None:
            buffers.append(np.ascontiguousarray(content).tobytes())
            item.buffer = len(buffers) - 1
        tensors.append(item)
        return len(tensors) - 1

    TFLITE_TYPES.setdefault("int32", 2)
    given = add(image)
    shape = add(Tensor((2,), "int32"), np.array([1, values], np.int32))
    flat = add(Tensor((1, values), image.dtype, image.scale, image.zero_point))
    if image.dtype == "float32":
        kernel = add(Tensor(weights.shape), weights)
        dense = add(Tensor((1, classes)))
    else:
        scale, zero = float(np.abs(weights).max() / 127), 128 if image.dtype == "uint8" else 0
        integers = np.rint(weights / scale) + zero
        kind = "uint8" if image.dtype == "uint8" else "int8"
        kernel = add(Tensor(weights.shape, kind, scale, zero), integers.astype(kind))
        dense = add(
            Tensor((1, classes), image.dtype, logits if last else output.scale, zero if last else output.zero_point)
        )
    steps = [("RESHAPE", [given, shape], flat), ("FULLY_CONNECTED", [flat, kernel], dense)]
    result = dense
    if last:
        result = add(Tensor((1, classes), output.dtype, output.scale, output.zero_point))
        steps.append((last, [dense], result))
    if output.shape != (1, classes):
        wanted = add(Tensor((len(output.shape),), "int32"), np.array(output.shape, np.int32))
        final = add(output)
        steps.append(("RESHAPE", [result, wanted], final))
        result = final
    path.write_bytes(_pack(schema, tensors, buffers, steps, (given, result)))
    return path


def _pack(schema: Any, tensors: list[Any], buffers: list[bytes], steps: list[Any], ends: tuple[int, int]) -> bytes:
    import flatbuffers

    options = {"RESHAPE": "ReshapeOptions", "FULLY_CONNECTED": "FullyConnectedOptions", "SOFTMAX": "SoftmaxOptions"}
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs, model.operatorCodes, model.buffers = 3, [graph], [], []
    for content in buffers:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(content, np.uint8) if content else None
        model.buffers.append(buffer)
    graph.tensors, graph.inputs, graph.outputs, graph.operators = tensors, [ends[0]], [ends[1]], []
    for name, inputs, output in steps:
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
        code.version = 4 if name == "FULLY_CONNECTED" else 1
        model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = len(model.operatorCodes) - 1, inputs, [output]
        if name in options:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options[name])
            operator.builtinOptions = getattr(schema, f"{options[name]}T")()
            if name == "SOFTMAX":
                operator.builtinOptions.beta = 1.0
        graph.operators.append(operator)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def write_dense_onnx(
    path: Path,
    shape: tuple[int | str, ...],
    classes: int,
    last: tuple[str, ...] = (),
    *,
    dtype: str = "float32",
    output: tuple[int | str, ...] | None = None,
    batch_inside: bool = False,
) -> Path:
    """Writes a cast to float32, a reshape, a dense layer, and the operators of ``last`` after it.

    Args:
        path: where to write it.
        shape, dtype: of the input; 8-bit integers go through a DequantizeLinear with a scale of 1/128.
        classes: outputs of the dense layer.
        last: operators after it; "T" divides by a temperature of 2, "1/(1+e^-x)" is a sigmoid in four operators, other
            arithmetic is with 1, and "Concat" repeats the outputs.
        output: the shape of the output, if it is not (batch, classes).
        batch_inside: reshape to a constant batch of 1.
    """
    import onnx
    from onnx import helper, numpy_helper

    values = int(np.prod([length for length in shape[1:] if isinstance(length, int)]))
    constants = {
        "weights": dense_weights(values, classes).T,
        "flat": np.array([1 if batch_inside else -1, values], np.int64),
        "scale": np.float32(1 / 128),
        "zero": np.array(128 if dtype == "uint8" else 0, dtype if dtype.endswith("int8") else "int8"),
        "two": np.float32(2),
        "one": np.float32(1),
    }
    nodes = []
    current = "input"

    def add(operator: str, *inputs: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(operator, list(inputs), [f"v{len(nodes)}"], **attributes))
        return f"v{len(nodes) - 1}"

    if dtype.endswith("int8"):
        current = add("DequantizeLinear", current, "scale", "zero")
    elif dtype != "float32":
        current = add("Cast", current, to=onnx.TensorProto.FLOAT)
    current = add("MatMul", add("Reshape", current, "flat"), "weights")
    for operator in last:
        if operator == "T":
            current = add("Div", current, "two")
        elif operator in ("Add", "Sub", "Mul", "Max", "Min"):
            current = add(operator, current, add("Identity", "one"))
        elif operator == "Concat":
            current = add("Concat", current, add("Identity", current), axis=-1)
        elif operator == "1-x":
            current = add("Sub", "one", current)
        elif operator == "1/(1+e^-x)":
            current = add("Div", "one", add("Add", "one", add("Exp", add("Neg", current))))
        else:
            current = add(operator, current, **ONNX_LAST.get(operator, {}))
    if output is not None and len(output) != 2:
        constants["final"] = np.array([-1 if isinstance(length, str) else length for length in output], np.int64)
        current = add("Reshape", current, "final")
    nodes[-1].output[0] = "output"
    kind = getattr(onnx.TensorProto, {"float32": "FLOAT"}.get(dtype, dtype.upper()))
    graph = helper.make_graph(
        nodes,
        "main",
        [helper.make_tensor_value_info("input", kind, list(shape))],
        [helper.make_tensor_value_info("output", onnx.TensorProto.FLOAT, list(output or (shape[0], classes)))],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path
