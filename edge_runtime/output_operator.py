"""The operator that decides what a model's outputs are, read from the graph in its file.

Operators after it that only copy, reshape or (de)quantize values are skipped; a sigmoid is also found behind limits,
arithmetic with constants and concatenations, since its outputs stay independent of one another.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tledge.edge_runtime.delegation import DELEGATE
from tledge.edge_runtime.onnx_graph import Operator, read_graph

SIGMOID, SCALED_SIGMOID, SOFTMAX, LINEAR = "sigmoid", "scaled sigmoid", "softmax", "linear"

_COPIES, _LIMITS, _JOINTS, _ARITHMETIC = (
    frozenset(names.split())
    for names in (
        "Identity Cast Reshape Squeeze Unsqueeze Flatten Transpose QuantizeLinear DequantizeLinear"
        " CAST RESHAPE SQUEEZE EXPAND_DIMS TRANSPOSE QUANTIZE DEQUANTIZE",
        "Clip Relu Min Max Slice Gather Split"
        " RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 MINIMUM MAXIMUM SLICE STRIDED_SLICE GATHER SPLIT",
        "Concat QLinearConcat CONCATENATION",
        "Add Sub Mul Div QLinearAdd QLinearMul ADD SUB MUL DIV",
    )
)
_QUOTIENTS, _SUMS = ("Div", "DIV", "Reciprocal"), ("Add", "ADD")
_KINDS = {
    SIGMOID: "Sigmoid HardSigmoid QLinearSigmoid LOGISTIC",
    SOFTMAX: "Softmax QLinearSoftmax SOFTMAX",
    LINEAR: "Gemm MatMul Conv Add QGemm QLinearMatMul QLinearConv LogSoftmax FULLY_CONNECTED CONV_2D ADD LOG_SOFTMAX",
}
_KIND_BY_NAME = {name: kind for kind, names in _KINDS.items() for name in names.split()}
_SIGMOIDS = {SIGMOID, SCALED_SIGMOID}


def output_operator(model: Path) -> str:
    """Returns the kind: ``SIGMOID``, ``SCALED_SIGMOID`` (after arithmetic), ``SOFTMAX``, ``LINEAR``, or "" for others.

    A constant divided by a sum is taken for a sigmoid that was exported as 1 / (1 + exp(-x)).
    """
    try:
        read = _tflite_graph if model.suffix.lower() == ".tflite" else _onnx_graph
        operators, output, constants = read(model)
        producers: dict[str, Operator] = {}
        for operator in operators:
            if constants.issuperset(filter(None, operator.inputs)):
                constants.update(operator.outputs)
            else:
                producers |= dict.fromkeys(operator.outputs, operator)
        return _kind(output, producers, {})
    except (ValueError, RuntimeError, IndexError):  # the runtime has read the file: only this is not known
        return ""


def _kind(tensor: str, producers: Mapping[str, Operator], known: dict[str, str]) -> str:
    """Returns the kind of a tensor; ``known`` are those of others. RecursionError is a RuntimeError."""
    if tensor not in known:
        known[tensor] = ""
        if tensor in producers:
            known[tensor] = _kind_after(producers[tensor], producers, known)
    return known[tensor]


def _kind_after(operator: Operator, producers: Mapping[str, Operator], known: dict[str, str]) -> str:
    name, inputs = operator.name, operator.inputs
    if name in _COPIES:
        return _kind(inputs[0], producers, known)
    computed = [source for source in inputs if source in producers]
    if name in _QUOTIENTS and len(computed) == 1 and inputs[-1] == computed[0] and producers[computed[0]].name in _SUMS:
        return SIGMOID
    if name in _LIMITS | _JOINTS | _ARITHMETIC:
        kinds = {_kind(source, producers, known) for source in computed}
        if kinds and kinds <= _SIGMOIDS:
            return SCALED_SIGMOID if name in _ARITHMETIC or SCALED_SIGMOID in kinds else SIGMOID
        if name in _JOINTS and kinds == {LINEAR}:
            return LINEAR
    return _KIND_BY_NAME.get(name, "")


def _tflite_graph(model: Path) -> tuple[list[Operator], str, set[str]]:
    """Returns the operators of a TFLite file, its output, and its constants."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(model))
    operators = [
        Operator(str(item["op_name"]), *(tuple(map(str, item[ends])) for ends in ("inputs", "outputs")))
        for item in interpreter._get_ops_details()
        if item["op_name"] != DELEGATE
    ]
    computed = {str(item["index"]) for item in interpreter.get_input_details()}
    computed.update(*(operator.outputs for operator in operators))
    constants = {source for operator in operators for source in operator.inputs} - computed
    return operators, str(interpreter.get_output_details()[0]["index"]), constants


def _onnx_graph(model: Path) -> tuple[list[Operator], str, set[str]]:
    """Returns the operators of an ONNX file, its output, and its constants."""
    graph = read_graph(model)
    return list(graph.operators), graph.output, set(graph.numbers)
