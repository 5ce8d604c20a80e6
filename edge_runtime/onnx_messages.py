"""The messages of an ONNX file that its limits are judged by, read without a library.

The field numbers are those of onnx.proto: NodeProto.input 1, output 2, op_type 4, attribute 5; AttributeProto.name 1,
i 3, t 5, g 6, floats 7, ints 8; TensorProto.dims 1, data_type 2, float_data 4, int32_data 5, string_data 6,
int64_data 7, name 8, raw_data 9, double_data 10, uint64_data 11, data_location 14.
"""

from __future__ import annotations

import io
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tledge.core.sidecar_storage import LENGTH, read_header

Numbers = np.ndarray[Any, np.dtype[Any]]
"""The values of a small constant: integers, or float32 without NaN."""

_FLOAT, _INT32, _INT64, _STRING = 1, 6, 7, 8
_BITS = {
    **dict.fromkeys((2, 3, 9, 17, 18, 19, 20, 24), 8),
    **dict.fromkeys((4, 5, 10, 16), 16),
    **dict.fromkeys((1, 6, 12), 32),
    **dict.fromkeys((7, 11, 13, 14), 64),
    **dict.fromkeys((21, 22, 23), 4),
    **dict.fromkeys((25, 26), 2),
    15: 128,
}
"""The bits of a value in ``raw_data``, by TensorProto.DataType."""

_COMPLEX = (14, 15)
_STRINGS, _RAW = 6, 9
_WIDTHS = {4: 4, 10: 8, 5: 0, 7: 0, 11: 0, _STRINGS: 0, _RAW: 1}
"""The fields of data, with the bytes of a packed value; 0 for those of any length."""

_SMALL = 1024
"""Bytes of a message whose values are read."""


class Fields(list[tuple[int, bytes]]):
    """The fields of a message that are bytes or messages, by number, in order; numbers come with their key."""

    @classmethod
    def of(cls, message: bytes) -> Fields:
        found, file = cls(), io.BytesIO(message)
        while file.tell() < len(message):
            start = file.tell()
            number, wire, length = read_header(file)
            if wire == LENGTH:
                found.append((number, file.read(length)))
            else:
                file.seek(length, io.SEEK_CUR)
                found.append((number, message[start : file.tell()]))
        return found

    def all(self, number: int) -> list[bytes]:
        """Returns the contents of all fields of a number."""
        return [content for found, content in self if found == number]

    def text(self, number: int) -> str:
        """Returns the last field of a number as text."""
        return b"".join(self.all(number)[-1:]).decode("utf-8", "replace")

    def integers(self, number: int) -> Numbers:
        """Returns repeated int64 values, which are packed or have a key each."""
        key = number << 3
        values: list[int] = []
        for content in self.all(number):
            found = _varints(content)
            values += found[1:] if len(found) == 2 and found[0] == key else found
        return np.array([value - (1 << 64) if value >> 63 else value for value in values], np.object_)

    def floats(self, number: int) -> Numbers:
        """Returns repeated float32 values, which are packed or have a key each."""
        pieces = self.all(number)
        return _finite(b"".join(piece[1:] if len(piece) == 5 else piece for piece in pieces))


@dataclass
class OnnxNode:
    """An operator, with its attributes as messages."""

    name: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    attributes: dict[str, Fields] = field(default_factory=dict)

    def integers(self, name: str) -> list[int]:
        """Returns an attribute that is integers; empty without it."""
        attribute = self.attributes.get(name, Fields())
        return [int(value) for number in (8, 3) for value in attribute.integers(number)]


@dataclass(frozen=True)
class Constant:
    """A constant.

    Attributes:
        name: of its tensor.
        shape: its lengths.
        values: of a small one with integers or float32; None of others.
        problem: why its data do not fit its lengths; empty if they do.
    """

    name: str
    shape: tuple[int, ...]
    values: Numbers | None
    problem: str = ""


def read_node(message: bytes) -> OnnxNode:
    """Reads a NodeProto. Raises ValueError if it is damaged."""
    fields = Fields.of(message)
    attributes = [Fields.of(content) for content in fields.all(5)]
    return OnnxNode(
        name=fields.text(4),
        inputs=[content.decode("utf-8", "replace") for content in fields.all(1)],
        outputs=[content.decode("utf-8", "replace") for content in fields.all(2)],
        attributes={attribute.text(1): attribute for attribute in attributes},
    )


def read_constant(tensor: bytes) -> Constant:
    """Reads a TensorProto; of a large one, only what it announces. Raises ValueError if it is damaged."""
    fields, data = _announced(tensor)
    name, shape = fields.text(8), tuple(int(length) for length in fields.integers(1))
    kind = int(next(iter(fields.integers(2)), 0))
    external = list(fields.integers(14)) == [1]
    problem = "" if external else _find_problem(shape, kind, data)
    values = _values(Fields.of(tensor), kind) if len(tensor) <= _SMALL else None
    return Constant(name, shape, values if values is not None and values.size else None, problem)


def read_shape(value: Fields) -> tuple[int, ...] | None:
    """Returns the lengths of a ValueInfoProto's tensor, 1 for those that it leaves open; None without a shape."""
    for number in (2, 1, 2):
        contents = value.all(number)
        if not contents:
            return None
        value = Fields.of(contents[-1])
    return tuple(max(1, *map(int, Fields.of(content).integers(1)), 1) for content in value.all(1))


@dataclass(frozen=True)
class _Data:
    """The data of a tensor: its bytes in ``raw_data``, the number of its values elsewhere; None without either."""

    raw: int | None = None
    values: int | None = None


def _announced(tensor: bytes) -> tuple[Fields, _Data]:
    """Returns the fields of a tensor without its data, and how much data it has."""
    fields, counts, file = Fields(), Counter[int](), io.BytesIO(tensor)
    while file.tell() < len(tensor):
        start = file.tell()
        number, wire, length = read_header(file)
        content, end = file.tell(), file.tell() + length
        if end > len(tensor):
            raise ValueError("it ends inside a field")
        if number in _WIDTHS:
            width = _WIDTHS[number]
            packed = wire == LENGTH and number != _STRINGS
            if packed and width:
                counts[number] += length // width
            elif packed:  # each number ends with a byte below 128
                counts[number] += int(np.count_nonzero(np.frombuffer(tensor, np.uint8, length, content) < 0x80))
            else:
                counts[number] += 1
        else:
            fields.append((number, tensor[content if wire == LENGTH else start : end]))
        file.seek(end)
    raw = counts.pop(_RAW, None)
    return fields, _Data(raw, counts.total() if counts else None)


def _find_problem(shape: tuple[int, ...], kind: int, data: _Data) -> str:
    """Returns why the data of a constant do not fit its lengths; empty if they do, or for a type that is not known."""
    if any(length < 0 for length in shape):
        return f"has the negative length {min(shape)}"
    count = math.prod(shape)
    if kind not in _BITS and kind != _STRING:
        return ""
    if data.raw is not None and kind != _STRING:
        expected, held, unit = -(-count * _BITS[kind] // 8), data.raw, " bytes"
    else:
        expected, held, unit = count, data.values or 0, ""
        if kind in _COMPLEX:
            expected *= 2
        elif kind != _STRING and _BITS[kind] < 8:  # several in a number
            expected = -(-count * _BITS[kind] // 8)
    return "" if held == expected else f"announces {count:,} values and holds {held:,}{unit} instead of {expected:,}"


def _values(fields: Fields, kind: int) -> Numbers | None:
    raw = fields.all(9)
    if kind == _FLOAT:
        return _finite(raw[-1]) if raw else fields.floats(4)
    if kind not in (_INT64, _INT32):
        return None
    if raw:
        return np.frombuffer(raw[-1], "<i8" if kind == _INT64 else "<i4")
    return fields.integers(7 if kind == _INT64 else 5)


def _finite(content: bytes) -> Numbers:
    values = np.frombuffer(content[: len(content) // 4 * 4], "<f4")
    finite: Numbers = np.nan_to_num(values, nan=0.0, posinf=float(np.finfo(np.float32).max), neginf=0.0)
    return finite


def _varints(content: bytes) -> list[int]:
    found, value, shift = [], 0, 0
    for byte in content:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            found.append(value & (1 << 64) - 1)
            value = shift = 0
    return found
