"""A look at an ONNX graph before a runtime loads it: what would take gigabytes of memory, or never end.

A file of a few hundred bytes can ask for both, by an operator that fills a tensor of any shape or by a loop. Only what
constants and shapes in the file decide is judged, and whether constants hold as much as they announce. Operators that
cannot do that are skipped by a search of their bytes, so the look takes milliseconds. The field numbers are those of
onnx.proto.
"""

from __future__ import annotations

import io
import math
import re
from pathlib import Path

import numpy as np

from tledge.core.errors import ArtifactError
from tledge.core.regular_file import open_regular
from tledge.core.sidecar_storage import LENGTH, read_header
from tledge.edge_runtime.onnx_growth import CREATING, KnownTensors
from tledge.edge_runtime.onnx_messages import Constant, Fields, OnnxNode, read_constant, read_node, read_shape

LARGEST_TENSOR = 1 << 29
"""Values of a tensor that an operator may create from constants: 2 GiB of float32."""

MOST_STEPS = 1_000_000
"""Steps of loops, those inside one another multiplied."""

ENDLESS = (1 << 63) - 1
"""The steps of a loop that nothing ends: exporters write the largest int64."""

DEEPEST = 16
"""Graphs inside one another."""

_CREATING = re.compile(b"|".join(name.encode() for name in CREATING if name != "Concat"))
_SEARCHED = re.compile(_CREATING.pattern + b"|Concat|Loop|Scan|If|Const")


def check_graph(model: Path) -> None:
    """Checks an ONNX model; a file whose structure is damaged is left to the runtime.

    Raises:
        ArtifactError: running it would take gigabytes or never end, or a constant does not hold what it announces.
    """
    try:
        with open_regular(model) as file:
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            while file.tell() < size:
                number, wire, length = read_header(file)
                end = file.tell() + length
                if number == 7 and wire == LENGTH:
                    _check(Fields.of(file.read(length)), KnownTensors(), steps=1, depth=0)
                file.seek(end)
    except _LimitError as error:
        raise ArtifactError(
            f"'{model}' is not run: {error}, which no image classifier needs; convert the model again"
        ) from error
    except _DamageError as error:
        raise ArtifactError(f"'{model}' is damaged: {error}; copy or convert it again") from error
    except (ValueError, IndexError, OSError):  # the runtime says what is wrong with it
        return


class _LimitError(Exception):
    """What exceeds a limit."""


class _DamageError(Exception):
    """What contradicts itself."""


def _check(graph: Fields, around: KnownTensors, *, steps: int, depth: int) -> None:
    """Checks a graph; ``around`` is known from graphs around it, ``steps`` is how often it runs."""
    if depth > DEEPEST:
        raise _LimitError(f"its graphs are nested more than {DEEPEST} deep")
    known = KnownTensors(around)
    for tensor in graph.all(5):
        constant = read_constant(tensor)
        _keep(constant, constant.name, known)
    for content in graph.all(11):
        value = Fields.of(content)
        if (shape := read_shape(value)) is not None and value.text(1) not in known.shapes:
            known.shapes[value.text(1)] = shape
    nodes = graph.all(1)
    grows = any(_CREATING.search(message) for message in nodes)  # then shapes are followed through all operators
    for message in nodes:
        if grows or _SEARCHED.search(message):
            _check_node(read_node(message), known, steps=steps, depth=depth)


def _check_node(node: OnnxNode, known: KnownTensors, *, steps: int, depth: int) -> None:
    if node.name == "Constant" and node.outputs:
        _keep_constant(node, known)
    shape = known.grow(node)
    if shape is not None and math.prod(shape) > LARGEST_TENSOR:
        raise _LimitError(f"its operator {node.name} would create {math.prod(shape):,} values")
    graphs = [part for attribute in node.attributes.values() for part in attribute.all(6)]
    if node.name == "Loop" and graphs:
        steps *= _trips(node, known, Fields.of(graphs[0]))
        if steps > MOST_STEPS:
            raise _LimitError(
                "it has a loop without an end" if steps >= ENDLESS else f"a loop in it has {steps:,} steps"
            )
    for part in graphs:
        _check(Fields.of(part), known, steps=steps, depth=depth + 1)


def _trips(node: OnnxNode, known: KnownTensors, body: Fields) -> int:
    """Returns how often a loop runs at most; 1 if that is computed: by its input, or by a condition that can change."""
    inputs = [Fields.of(item).text(1) for item in body.all(11)]
    outputs = [Fields.of(item).text(1) for item in body.all(12)]
    producers = {output: found for message in body.all(1) for found in [read_node(message)] for output in found.outputs}
    name = outputs[0] if outputs else ""
    while name in producers and producers[name].name == "Identity" and producers[name].inputs:
        name = producers.pop(name).inputs[0]
    computed = name in producers and producers[name].name != "Constant"
    if computed and name not in inputs[1:2]:
        return 1
    if not node.inputs or not node.inputs[0]:
        return ENDLESS
    trips = known.numbers_of(node, 0)
    return max(1, int(trips[0])) if trips else 1


def _keep_constant(node: OnnxNode, known: KnownTensors) -> None:
    """Keeps what a Constant holds: a tensor, or numbers in its attribute."""
    name = node.outputs[0]
    if "value" in node.attributes:
        _keep(read_constant(node.attributes["value"].all(5)[-1]), name, known)
        return
    values = [*node.integers("value_int"), *node.integers("value_ints")]
    if values:
        known.numbers[name] = np.array(values, np.object_)


def _keep(constant: Constant, name: str, known: KnownTensors) -> None:
    count = math.prod(max(0, length) for length in constant.shape)
    if count > LARGEST_TENSOR:
        raise _LimitError(f"one of its constants announces {count:,} values")
    if constant.problem:
        raise _DamageError(f"its constant '{name}' {constant.problem}")
    known.shapes[name] = constant.shape
    if constant.values is not None:
        known.numbers[name] = constant.values
