"""A look at an ONNX graph before a runtime loads it: what would take gigabytes of memory, or never end.

A file of a few hundred bytes can ask for both, by an operator that fills a tensor of any shape or by a loop. Only what
constants in the file decide is judged. Operators that cannot do that are skipped by a search of their bytes, so the
look takes milliseconds. The field numbers are those of onnx.proto.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tledge.core.errors import ArtifactError
from tledge.core.regular_file import open_regular
from tledge.core.sidecar_storage import LENGTH, read_header

LARGEST_TENSOR = 1 << 29
"""Values of a tensor that an operator may create from constants: 2 GiB of float32."""

MOST_STEPS = 1_000_000
"""Steps of loops, those inside one another multiplied."""

ENDLESS = (1 << 63) - 1
"""The steps of a loop that nothing ends: exporters write the largest int64."""

DEEPEST = 16
"""Graphs inside one another."""

Integers = np.ndarray[Any, np.dtype[Any]]

_SIZED = {"ConstantOfShape": 0, "Expand": 1, "Tile": 1, "Resize": 3, "Pad": 1}
"""Which input of an operator gives the lengths of its output."""

_RANDOM = ("RandomNormal", "RandomUniform")
_SEARCHED = re.compile(b"|".join(name.encode() for name in (*_SIZED, *_RANDOM, "Range", "Loop", "Scan", "If", "Const")))
_INT64, _INT32 = 7, 6


@dataclass
class _Node:
    name: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    attributes: dict[str, bytes] = field(default_factory=dict)


def check_graph(model: Path) -> None:
    """Raises ArtifactError if running an ONNX model would take gigabytes or never end; a damaged file is not judged."""
    try:
        with open_regular(model) as file:
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            while file.tell() < size:
                number, wire, length = read_header(file)
                end = file.tell() + length
                if number == 7 and wire == LENGTH:
                    _check(_Fields.of(file.read(length)), {}, steps=1, depth=0)
                file.seek(end)
    except _LimitError as error:
        raise ArtifactError(
            f"'{model}' is not run: {error}, which no image classifier needs; convert the model again"
        ) from error
    except (ValueError, IndexError, OSError):  # the runtime says what is wrong with it
        return


class _LimitError(Exception):
    """What exceeds a limit."""


class _Fields(list[tuple[int, bytes]]):
    """The fields of a message that are bytes or messages, by number, in order."""

    @classmethod
    def of(cls, message: bytes) -> _Fields:
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
        return [content for found, content in self if found == number]

    def text(self, number: int) -> str:
        return b"".join(self.all(number)[-1:]).decode("utf-8", "replace")


def _check(graph: _Fields, known: Mapping[str, Integers], *, steps: int, depth: int) -> None:
    """Checks a graph; ``known`` are the integers of graphs around it, ``steps`` how often it runs."""
    if depth > DEEPEST:
        raise _LimitError(f"its graphs are nested more than {DEEPEST} deep")
    numbers = dict(known)
    for tensor in graph.all(5):
        _add(numbers, *_integers(tensor))
    for message in graph.all(1):
        if _SEARCHED.search(message):
            _check_node(_node(message), numbers, steps=steps, depth=depth)


def _check_node(node: _Node, numbers: dict[str, Integers], *, steps: int, depth: int) -> None:
    if node.name == "Constant" and "value" in node.attributes and node.outputs:
        _, values = _integers(_Fields.of(node.attributes["value"]).all(5)[-1])
        _add(numbers, node.outputs[0], values)
    _check_output(node, numbers)
    graphs = [part for content in node.attributes.values() for part in _Fields.of(content).all(6)]
    if node.name == "Loop" and graphs:
        steps *= _trips(node, numbers, _Fields.of(graphs[0]))
        if steps > MOST_STEPS:
            raise _LimitError(
                "it has a loop without an end" if steps >= ENDLESS else f"a loop in it has {steps:,} steps"
            )
    for part in graphs:
        _check(_Fields.of(part), numbers, steps=steps, depth=depth + 1)


def _check_output(node: _Node, numbers: Mapping[str, Integers]) -> None:
    """Checks the size of what an operator creates, as far as constants give it."""
    place = _SIZED.get(node.name)
    if place is not None and len(node.inputs) > place:
        lengths = numbers.get(node.inputs[place])
        _check_size(node, _padded(lengths) if node.name == "Pad" and lengths is not None else lengths)
    elif node.name in _RANDOM and "shape" in node.attributes:
        _check_size(node, _packed(_Fields.of(node.attributes["shape"]), 8))
    elif node.name == "Range" and all(name in numbers for name in node.inputs[:3]):
        first, last, step = (int(numbers[name].reshape(-1)[0]) for name in node.inputs[:3])
        _check_size(node, np.array([max(0, (last - first) // step if step else 0)], np.object_))


def _padded(pads: Integers) -> Integers:
    """Returns the lengths that padding makes of axes of one value; ``pads`` are those before each axis, then after."""
    before, after = pads.reshape(2, -1).astype(np.object_)
    return np.array(1 + np.maximum(before, 0) + np.maximum(after, 0))


def _check_size(node: _Node, lengths: Integers | None) -> None:
    if lengths is not None:
        count = math.prod(max(0, int(length)) for length in lengths.reshape(-1))
        if count > LARGEST_TENSOR:
            raise _LimitError(f"its operator {node.name} would create {count:,} values")


def _trips(node: _Node, numbers: Mapping[str, Integers], body: _Fields) -> int:
    """Returns how often a loop runs at most; 1 if that is computed: by its input, or by a condition that can change."""
    inputs = [_Fields.of(item).text(1) for item in body.all(11)]
    outputs = [_Fields.of(item).text(1) for item in body.all(12)]
    producers = {output: found for message in body.all(1) for found in [_node(message)] for output in found.outputs}
    name = outputs[0] if outputs else ""
    while name in producers and producers[name].name == "Identity" and producers[name].inputs:
        name = producers.pop(name).inputs[0]
    computed = name in producers and producers[name].name != "Constant"
    if computed and name not in inputs[1:2]:
        return 1
    trips = node.inputs[0] if node.inputs else ""
    if not trips:
        return ENDLESS
    return max(1, int(numbers[trips].reshape(-1)[0])) if trips in numbers else 1


def _node(message: bytes) -> _Node:
    fields = _Fields.of(message)
    return _Node(
        name=fields.text(4),
        inputs=[content.decode("utf-8", "replace") for content in fields.all(1)],
        outputs=[content.decode("utf-8", "replace") for content in fields.all(2)],
        attributes={_Fields.of(content).text(1): content for content in fields.all(5)},
    )


def _add(numbers: dict[str, Integers], name: str, values: Integers | None) -> None:
    if values is not None and values.size:
        numbers[name] = values


def _integers(tensor: bytes) -> tuple[str, Integers | None]:
    """Returns the name of a tensor and its values; None if it has many, or no integers."""
    if len(tensor) > 1024:
        return "", None
    fields = _Fields.of(tensor)
    count = math.prod(max(0, length) for length in _packed(fields, 1))
    if count > LARGEST_TENSOR:
        raise _LimitError(f"one of its constants announces {count:,} values")
    kind = _varints(b"".join(fields.all(2)))[-1:]  # with its key before it
    raw = fields.all(9)
    if kind not in ([_INT64], [_INT32]):
        return fields.text(8), None
    if raw:
        return fields.text(8), np.frombuffer(raw[-1], "<i8" if kind == [_INT64] else "<i4")
    return fields.text(8), _packed(fields, 7 if kind == [_INT64] else 5)


def _packed(fields: _Fields, number: int) -> Integers:
    """Returns repeated int64 values, which are packed or have a key each."""
    key = number << 3
    values: list[int] = []
    for content in fields.all(number):
        found = _varints(content)
        values += found[1:] if len(found) == 2 and found[0] == key else found
    return np.array([value - (1 << 64) if value >> 63 else value for value in values], np.object_)


def _varints(content: bytes) -> list[int]:
    found, value, shift = [], 0, 0
    for byte in content:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            found.append(value & (1 << 64) - 1)
            value = shift = 0
    return found
