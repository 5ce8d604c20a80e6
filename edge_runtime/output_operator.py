"""The operator that computes a model's output, read from the graph in its file.

Operators that only copy, reshape or (de)quantize values are skipped.
"""

from __future__ import annotations

from pathlib import Path

from tledge.edge_runtime.delegation import DELEGATE
from tledge.edge_runtime.onnx_graph import read_graph

SIGMOID, SOFTMAX, LINEAR = "sigmoid", "softmax", "linear"

_COPIES = (
    "Identity Cast Reshape Squeeze Unsqueeze Flatten Transpose QuantizeLinear DequantizeLinear"
    " CAST RESHAPE SQUEEZE EXPAND_DIMS TRANSPOSE QUANTIZE DEQUANTIZE"
)
_KINDS = {
    SIGMOID: "Sigmoid HardSigmoid QLinearSigmoid LOGISTIC Reciprocal",
    SOFTMAX: "Softmax QLinearSoftmax SOFTMAX",
    LINEAR: "Gemm MatMul Conv Add QGemm QLinearMatMul QLinearConv LogSoftmax FULLY_CONNECTED CONV_2D ADD LOG_SOFTMAX",
}
_QUOTIENTS = ("Div", "DIV")

Node = tuple[str, str, str]
"""An operator's name, its first input and its first output."""


def output_operator(model: Path) -> str:
    """Returns the kind of the last operator: ``SIGMOID``, ``SOFTMAX``, ``LINEAR``, or "" for others.

    A constant divided by something is taken for a sigmoid that was exported as 1 / (1 + exp(-x)).
    """
    try:
        nodes, output = _tflite_graph(model) if model.suffix.lower() == ".tflite" else _onnx_graph(model)
    except (ValueError, RuntimeError, IndexError):  # the runtime has read the file: only this is not known
        return ""
    producers = {result: (name, source) for name, source, result in nodes}
    computed = set(producers)
    name, source = producers.get(output, ("", ""))
    while name in _COPIES.split():
        name, source = producers.pop(source, ("", ""))
    if name in _QUOTIENTS and source not in computed:
        return SIGMOID
    return next((kind for kind, names in _KINDS.items() if name in names.split()), "")


def _tflite_graph(model: Path) -> tuple[list[Node], str]:
    """Returns the operators of a TFLite file, and its output."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(model))
    nodes = [
        (str(item["op_name"]), str(item["inputs"][0]), str(item["outputs"][0]))
        for item in interpreter._get_ops_details()
        if item["op_name"] != DELEGATE and len(item["inputs"]) and len(item["outputs"])
    ]
    return nodes, str(interpreter.get_output_details()[0]["index"])


def _onnx_graph(model: Path) -> tuple[list[Node], str]:
    """Returns the operators of an ONNX file, and its output."""
    graph = read_graph(model)
    return [(item.name, item.inputs[0], item.outputs[0]) for item in graph.operators if item.inputs], graph.output
