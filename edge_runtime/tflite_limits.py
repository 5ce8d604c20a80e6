"""A look at a TFLite file before a runtime loads it: what lies outside the file, takes gigabytes, or never ends.

Only what the file itself decides is judged. The look takes milliseconds: it reads the descriptions of tensors and
operators, never the weights. The numbers of slots and operators are those of LiteRT's schema.fbs.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path

from tledge.core.errors import ArtifactError
from tledge.core.regular_file import open_regular
from tledge.edge_runtime.flatbuffer_table import CheckedTable, DamageError, TooManyPartsError, Vector
from tledge.edge_runtime.onnx_limits import DEEPEST, LARGEST_TENSOR, MOST_STEPS

MOST_LOOPS = 100
"""Loops of a file."""

_CODES, _GRAPHS, _BUFFERS = 1, 2, 4  # Model
_DATA, _OFFSET, _SIZE = 0, 1, 2  # Buffer; an offset above 1 is one from the start of the file
_TENSORS, _INPUTS, _OUTPUTS, _OPERATORS = 0, 1, 2, 3  # SubGraph
_SHAPE, _TYPE, _BUFFER, _QUANTIZATION = 0, 1, 2, 4  # Tensor
_SCALE, _ZERO_POINT = 2, 3  # QuantizationParameters
_CODE, _TAKES, _GIVES, _OPTIONS, _OPTIONS_2 = 0, 1, 2, 4, 12  # Operator
_OLD_BUILTIN, _BUILTIN = 0, 3  # OperatorCode: the first ends at 127
_INTEGERS = {2: "i", 4: "q"}  # TensorType
_MOST_LENGTHS = 64
"""Values of a constant that gives lengths."""

_WHILE, _STABLEHLO_WHILE = 119, 200
_COMPARISONS = (58, 61, 62, 63, 72)  # LESS, GREATER, GREATER_EQUAL, LESS_EQUAL, NOT_EQUAL

_CALLS: Mapping[int, tuple[int, tuple[int, ...]]] = {
    31: (_OPTIONS, (0,)),  # CALL
    118: (_OPTIONS, (0, 1)),  # IF
    _WHILE: (_OPTIONS, (0, 1)),
    129: (_OPTIONS, (0,)),  # CALL_ONCE
    _STABLEHLO_WHILE: (_OPTIONS_2, (0, 1)),
    206: (_OPTIONS_2, (1,)),  # STABLEHLO_COMPOSITE
}
"""The operators that run other graphs: where their options are, and which of these are numbers of graphs."""


def _range(values: Sequence[int]) -> int:
    first, last, step = values[0], values[1], values[2] if len(values) == 3 else 0
    return max(0, (last - first) // step) if step else 0


def _padded(values: Sequence[int]) -> int:
    pairs = zip(values[::2], values[1::2], strict=False)
    return math.prod(1 + max(0, before) + max(0, after) for before, after in pairs)


def _lengths(values: Sequence[int]) -> int:
    return math.prod(max(0, length) for length in values)


_SIZED: Mapping[int, tuple[str, tuple[int, ...], Callable[[Sequence[int]], int]]] = {
    23: ("RESIZE_BILINEAR", (1,), _lengths),
    34: ("PAD", (1,), _padded),
    60: ("PADV2", (1,), _padded),
    67: ("TRANSPOSE_CONV", (0,), _lengths),
    68: ("SPARSE_TO_DENSE", (1,), _lengths),
    69: ("TILE", (1,), _lengths),
    85: ("ONE_HOT", (1,), _lengths),
    94: ("FILL", (0,), _lengths),
    96: ("RANGE", (0, 1, 2), _range),
    97: ("RESIZE_NEAREST_NEIGHBOR", (1,), _lengths),
    122: ("SCATTER_ND", (2,), _lengths),
    130: ("BROADCAST_TO", (1,), _lengths),
    146: ("RANDOM_STANDARD_NORMAL", (0,), _lengths),
    148: ("RANDOM_UNIFORM", (0,), _lengths),
}
"""The operators that can create a tensor of any size: which inputs give its lengths, and how many values these make."""


class _LimitError(Exception):
    """What exceeds a limit."""


@dataclass(frozen=True)
class _Operator:
    code: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    graphs: tuple[int, ...]


@dataclass(frozen=True)
class _Graph:
    """A graph: its operators, and the numbers of its constants that can be lengths, by the index of the tensor."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operators: tuple[_Operator, ...]
    constants: Mapping[int, tuple[int, ...]]

    def needed(self, output: int) -> set[int]:
        """Returns the tensors that an output is computed from, itself included."""
        producers = {tensor: operator.inputs for operator in self.operators for tensor in operator.outputs}
        found, left = {output}, [output]
        while left:
            new = set(producers.get(left.pop(), ())) - found
            found |= new
            left += new
        return found


def check_model(model: Path) -> None:
    """Looks at a TFLite file; one that does not look like TFLite is not judged.

    Raises:
        ArtifactError: it is damaged, or running it would take gigabytes or never end.
    """
    try:
        with open_regular(model) as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            if content[4:8] == b"TFL3":
                _check(_read_graphs(content))
    except DamageError as error:
        raise ArtifactError(
            f"LiteRT cannot load '{model}': it is damaged or truncated; copy or convert it again ({error} lies outside"
            " the file)"
        ) from error
    except (_LimitError, TooManyPartsError) as error:
        raise ArtifactError(
            f"'{model}' is not run: {error}, which no image classifier needs; convert the model again"
        ) from error
    except (OSError, ValueError):  # an empty file, among others: the runtime says what is wrong
        return


def _read_graphs(content: mmap) -> list[_Graph]:
    root = CheckedTable.root(content)
    codes = [max(code.number(_OLD_BUILTIN, "<b"), code.number(_BUILTIN, "<i")) for code in root.tables(_CODES)]
    buffers = [_read_buffer(buffer) for buffer in root.tables(_BUFFERS)]
    return [_read_graph(table, codes, buffers) for table in root.tables(_GRAPHS)]


def _read_graph(table: CheckedTable, codes: Sequence[int], buffers: Sequence[Vector]) -> _Graph:
    constants: dict[int, tuple[int, ...]] = {}
    tensors = table.tables(_TENSORS)
    for index, tensor in enumerate(tensors):
        _read_tensor(tensor, index, buffers, constants)
    return _Graph(
        inputs=_indices(table, _INPUTS, len(tensors)),
        outputs=_indices(table, _OUTPUTS, len(tensors)),
        operators=tuple(_read_operator(operator, codes, len(tensors)) for operator in table.tables(_OPERATORS)),
        constants=constants,
    )


def _read_buffer(table: CheckedTable) -> Vector:
    offset, size = table.number(_OFFSET, "<Q"), table.number(_SIZE, "<Q")
    if offset <= 1:
        return table.vector(_DATA, 1)
    if offset + size > len(table.content):
        raise DamageError(f"a buffer of {size:,} bytes")
    return Vector(offset, size)


def _read_tensor(
    table: CheckedTable, index: int, buffers: Sequence[Vector], constants: dict[int, tuple[int, ...]]
) -> None:
    """Checks a tensor, and adds its values to ``constants`` if they can be lengths."""
    count = _lengths(table.numbers(_SHAPE, "i"))
    if count > LARGEST_TENSOR:
        raise _LimitError(f"one of its tensors has {count:,} values")
    quantization = table.table(_QUANTIZATION)
    if quantization is not None:
        quantization.vector(_SCALE, 4)
        quantization.vector(_ZERO_POINT, 8)
    number = table.number(_BUFFER, "<I")
    if number >= max(1, len(buffers)):
        raise DamageError(f"buffer {number}")
    letter = _INTEGERS.get(table.number(_TYPE, "<b"))
    place = buffers[number] if buffers else Vector()
    if letter and 0 < place.count <= _MOST_LENGTHS * struct.calcsize(letter):
        length = place.count // struct.calcsize(letter)
        constants[index] = struct.unpack_from(f"<{length}{letter}", table.content, place.start)


def _read_operator(table: CheckedTable, codes: Sequence[int], tensors: int) -> _Operator:
    number = table.number(_CODE, "<I")
    if number >= len(codes):
        raise DamageError(f"operator {number}")
    code = codes[number]
    where, slots = _CALLS.get(code, (_OPTIONS, ()))
    options = table.table(where)
    graphs = tuple(options.number(slot, "<i") for slot in slots) if options else (0,) * len(slots)
    return _Operator(code, _indices(table, _TAKES, tensors), _indices(table, _GIVES, tensors), graphs)


def _indices(table: CheckedTable, slot: int, tensors: int) -> tuple[int, ...]:
    """Returns a vector of indices of tensors; -1 is an input that is left out."""
    found = table.numbers(slot, "i")
    if any(not -1 <= index < tensors for index in found):
        raise DamageError("a tensor that it names")
    return found


def _check(graphs: Sequence[_Graph]) -> None:
    loops: set[tuple[int, ...]] = set()
    for graph in graphs:
        for operator in graph.operators:
            if any(not 0 <= number < len(graphs) for number in operator.graphs):
                raise DamageError("a graph that it names")
            _check_size(operator, graph)
            if operator.code in (_WHILE, _STABLEHLO_WHILE):
                loops.add(operator.graphs)
    if len(loops) > MOST_LOOPS:
        raise _LimitError(f"it has {len(loops):,} loops")
    for condition, body in loops:
        _check_loop(graphs[condition], graphs[body])
    _check_depth(graphs)


def _check_size(operator: _Operator, graph: _Graph) -> None:
    name, places, count_of = _SIZED.get(operator.code, ("", (), _lengths))
    inputs = [operator.inputs[place] for place in places if place < len(operator.inputs)]
    if inputs and all(index in graph.constants for index in inputs):
        count = count_of([value for index in inputs for value in graph.constants[index]])
        if count > LARGEST_TENSOR:
            raise _LimitError(f"its operator {name} would create {count:,} values")


def _check_loop(condition: _Graph, body: _Graph) -> None:
    """Raises _LimitError if nothing that a loop computes can end it, or only a count of far too many steps."""
    if not condition.outputs:
        return
    needed = condition.needed(condition.outputs[0])
    changed = [
        index
        for index, before, after in zip(condition.inputs, body.inputs, body.outputs, strict=False)
        if before != after
    ]
    if not needed.intersection(changed):
        raise _LimitError("it has a loop without an end")
    if len(condition.operators) == 1 and condition.operators[0].code in _COMPARISONS:
        steps = max((abs(value) for index in needed for value in condition.constants.get(index, ())), default=0)
        if steps > MOST_STEPS:
            raise _LimitError(f"a loop in it has {steps:,} steps")


def _check_depth(graphs: Sequence[_Graph]) -> None:
    """Raises _LimitError if graphs call one another too deep, or for ever."""
    called = [{number for operator in graph.operators for number in operator.graphs} for graph in graphs]
    reached = set(range(len(graphs)))
    for _ in range(DEEPEST):
        reached = {number for index in reached for number in called[index]}
    if reached:
        raise _LimitError(f"its graphs call one another more than {DEEPEST} deep")
