"""The operators and the scales in an ONNX file, read without a library.

The field numbers are those of onnx.proto: ModelProto.graph 7; GraphProto.node 1, initializer 5, output 12;
NodeProto.input 1, output 2, op_type 4; TensorProto.float_data 4, int32_data 5, name 8, raw_data 9.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from tledge.core.sidecar_storage import LENGTH, read_header

_SCALE_OF_OUTPUT = {
    **dict.fromkeys(("QLinearConv", "QLinearMatMul", "QLinearAdd", "QLinearMul"), 6),
    **dict.fromkeys(("QLinearSoftmax", "QLinearSigmoid"), 3),
    "QGemm": 7,
    "QuantizeLinear": 1,
}
"""Which input of an operator is the scale of its output; its zero point follows. Input 1 is the scale of input 0."""

_SAME_SCALE = ("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose")
_LARGEST = 16
"""Bytes of a number."""

Quantization = tuple[float, int]
"""A scale and a zero point."""


@dataclass(frozen=True)
class Operator:
    """An operator's name, and the names of its inputs and outputs."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class OnnxGraph:
    """What is read of a graph.

    Attributes:
        operators: in order.
        output: the name of its first output.
        numbers: the bytes of constants of one number, by their names.
    """

    operators: tuple[Operator, ...]
    output: str
    numbers: Mapping[str, bytes]

    def quantization_of_input(self, tensor: str, dtype: np.dtype[np.generic]) -> Quantization:
        """Returns the scale and the zero point of an input, from the operator that takes it; (0, 0) without."""
        for operator in self.operators:
            if operator.inputs[:1] == (tensor,):
                if operator.name in _SAME_SCALE:
                    return self.quantization_of_input(operator.outputs[0], dtype)
                if operator.name == "DequantizeLinear" or operator.name in _SCALE_OF_OUTPUT:
                    return self._read(operator.inputs[1:3], dtype)
        return 0.0, 0

    def quantization_of_output(self, tensor: str, dtype: np.dtype[np.generic]) -> Quantization:
        """Returns the scale and the zero point of an output, from the operator that computes it; (0, 0) without."""
        for operator in self.operators:
            if operator.outputs[:1] == (tensor,):
                if operator.name in _SAME_SCALE:
                    return self.quantization_of_output(operator.inputs[0], dtype)
                place = _SCALE_OF_OUTPUT.get(operator.name)
                if place is not None:
                    return self._read(operator.inputs[place : place + 2], dtype)
        return 0.0, 0

    def _read(self, names: tuple[str, ...], dtype: np.dtype[np.generic]) -> Quantization:
        scale, *zeros = (self.numbers.get(name, b"") for name in names if name)
        zero = zeros[0][: dtype.itemsize] if zeros else bytes(dtype.itemsize)
        if len(scale) != 4 or len(zero) != dtype.itemsize:
            return 0.0, 0  # computed, or one for each channel
        return float(np.frombuffer(scale, "<f4")[0]), int(np.frombuffer(zero, dtype)[0])


def read_graph(model: Path) -> OnnxGraph:
    """Reads an ONNX file. Raises ValueError if it is damaged."""
    operators: list[Operator] = []
    numbers: dict[str, bytes] = {}
    output = ""
    with model.open("rb") as file:
        for number, wire, end in _fields(file, file.seek(0, io.SEEK_END), 0):
            if number != 7 or wire != LENGTH:
                continue
            for field, _, stop in _fields(file, end, file.tell()):
                if field == 1:
                    operators.append(_operator(file.read(stop - file.tell())))
                elif field == 5:
                    name, content = _number(file, stop)
                    numbers[name] = content
                elif field == 12:
                    output = output or next(
                        (_text(file, at) for key, _, at in _fields(file, stop, file.tell()) if key == 1), ""
                    )
    return OnnxGraph(tuple(operators), output, numbers)


def _fields(file: BinaryIO, end: int, start: int) -> Iterator[tuple[int, int, int]]:
    """Yields the number, the wire type and the end of each field, with the file at its content."""
    file.seek(start)
    while file.tell() < end:
        number, wire, length = read_header(file)
        stop = file.tell() + length
        yield number, wire, stop
        file.seek(stop)


def _operator(message: bytes) -> Operator:
    found: dict[int, list[str]] = {1: [], 2: [], 4: [""]}
    file = io.BytesIO(message)
    for number, wire, stop in _fields(file, len(message), 0):
        if number in found and wire == LENGTH:
            found[number].append(_text(file, stop))
    return Operator(found[4][-1], tuple(found[1]), tuple(found[2]))


def _text(file: BinaryIO, end: int) -> str:
    return file.read(end - file.tell()).decode("utf-8", "replace")


def _number(file: BinaryIO, end: int) -> tuple[str, bytes]:
    """Returns the name and the bytes of a constant; no bytes if it has more than a few."""
    name, content = "", b""
    for number, wire, stop in _fields(file, end, file.tell()):
        length = stop - file.tell()
        if number == 8:
            name = _text(file, stop)
        elif number in (4, 5, 9) and length <= _LARGEST:
            content = file.read(length) if length else b""
            if number == 5 and wire == LENGTH:  # an int32 as a varint, in two's complement
                value = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(content))
                content = (value & 0xFFFFFFFF).to_bytes(4, "little")
    return name, content
