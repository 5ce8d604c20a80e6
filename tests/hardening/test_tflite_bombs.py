"""TFLite files that lie about themselves, would take all memory, or never end: refused by a look, before LiteRT."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from command_trials import CommandForks
from support import TINY_SIDECAR

from tledge.core.artifact import write_sidecar_beside
from tledge.core.errors import ArtifactError
from tledge.edge_runtime import flatbuffer_table
from tledge.edge_runtime.bare import BareModel
from tledge.edge_runtime.tflite_limits import check_model

LARGEST = 700 << 20
"""Bytes of memory that refusing a file may take, with the libraries that are loaded."""

Graph = tuple[Sequence[int], Sequence[int], Sequence[tuple[str, Sequence[int], Sequence[int], Any]]]
"""Inputs, outputs, and operators: their names, inputs, outputs and options."""

INTEGERS = schema.TensorType.INT32


def tensor(shape: Sequence[int], kind: int = schema.TensorType.FLOAT32, buffer: int = 0) -> schema.TensorT:
    made = schema.TensorT()
    made.shape, made.type, made.buffer, made.name = list(shape), kind, buffer, b"tensor"
    return made


def write_tflite(
    path: Path, graphs: Sequence[tuple[list[schema.TensorT], Graph]], constants: Sequence[Sequence[int]] = ()
) -> Path:
    """Writes a model; ``constants`` are the int32 values of buffers 1, 2, ..."""
    names = sorted({name for _, (_, _, operators) in graphs for name, *_ in operators})
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [], [], [schema.BufferT()]
    for name in names:
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), 1
        model.operatorCodes.append(code)
    for values in constants:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.array(values, "<i4").tobytes(), np.uint8)
        model.buffers.append(buffer)
    for tensors, (inputs, outputs, operators) in graphs:
        graph = schema.SubGraphT()
        graph.tensors, graph.inputs, graph.outputs, graph.operators = tensors, list(inputs), list(outputs), []
        for name, taken, given, options in operators:
            operator = schema.OperatorT()
            operator.opcodeIndex, operator.inputs, operator.outputs = names.index(name), list(taken), list(given)
            if options is not None:
                operator.builtinOptions = options
                kind = type(options).__name__.removesuffix("T")
                operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            graph.operators.append(operator)
        model.subgraphs.append(graph)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(builder.Output())
    return path


IMAGE = [1, 4, 4, 3]


def sized(path: Path, operator: str, place: int, values: Sequence[int]) -> Path:
    """Writes a model with one operator, whose input ``place`` is the constant ``values``."""
    tensors = [tensor(IMAGE), tensor([len(values)], INTEGERS, 1), tensor(IMAGE)]
    inputs = [0] * place + [1] + [0] * (place == 0)
    return write_tflite(path, [(tensors, ([0], [2], [(operator, inputs, [2], None)]))], [values])


def loop(path: Path, *, limit: int, counts: bool) -> Path:
    """Writes a loop ``while index < limit``, whose body counts its index up or leaves it."""
    options = schema.WhileOptionsT()
    options.condSubgraphIndex, options.bodySubgraphIndex = 1, 2
    number = [tensor([1], INTEGERS), tensor([1], INTEGERS, 1)]
    main = [tensor(IMAGE), tensor([1], INTEGERS, 2), tensor(IMAGE), tensor([1], INTEGERS)]
    body = [tensor([1], INTEGERS), tensor([1], INTEGERS, 3), tensor([1], INTEGERS), tensor(IMAGE)]
    return write_tflite(
        path,
        [
            (main, ([0], [2], [("WHILE", [1, 0], [3, 2], options)])),
            (
                [*number, tensor([1], schema.TensorType.BOOL), tensor(IMAGE)],
                ([0, 3], [2], [("LESS", [0, 1], [2], schema.LessOptionsT())]),
            ),
            (body, ([0, 3], [2 if counts else 0, 3], [("ADD", [0, 1], [2], schema.AddOptionsT())])),
        ],
        [[limit], [0], [1]],
    )


@pytest.mark.unit
@pytest.mark.parametrize(
    ("operator", "place", "small", "large"),
    [
        ("FILL", 0, [1, 4, 4, 3], [1500, 1000, 1000]),
        ("BROADCAST_TO", 1, [8, 4, 4, 3], [1500, 1000, 1000]),
        ("TILE", 1, [1, 2, 2, 1], [1, 30_000, 30_000, 1]),
        ("RESIZE_BILINEAR", 1, [8, 8], [30_000, 30_000]),
        ("PAD", 1, [0, 0, 1, 1, 1, 1, 0, 0], [0, 0, 20_000, 20_000, 20_000, 20_000, 0, 0]),
        ("RANDOM_UNIFORM", 0, [1, 4, 4, 3], [2**29 + 1]),
    ],
)
def test_a_constant_size_is_bounded(
    tmp_path: Path, operator: str, place: int, small: list[int], large: list[int]
) -> None:
    check_model(sized(tmp_path / "small.tflite", operator, place, small))
    with pytest.raises(ArtifactError, match=f"is not run: its operator {operator} would create [0-9,]+ values"):
        check_model(sized(tmp_path / "large.tflite", operator, place, large))


@pytest.mark.unit
def test_a_shape_is_bounded(tmp_path: Path) -> None:
    def write(values: int) -> Path:
        tensors = [tensor(IMAGE), tensor([values])]
        return write_tflite(tmp_path / f"{values}.tflite", [(tensors, ([0], [1], [("RELU", [0], [1], None)]))])

    check_model(write(2**29))
    with pytest.raises(ArtifactError, match="one of its tensors has 536,870,913 values"):
        check_model(write(2**29 + 1))


@pytest.mark.unit
@pytest.mark.parametrize(
    ("limit", "counts", "reason"),
    [
        (10, True, ""),
        (1_000_000, True, ""),
        (1_000_001, True, "a loop in it has 1,000,001 steps"),
        (10, False, "it has a loop without an end"),
    ],
)
def test_a_loop_ends(tmp_path: Path, limit: int, counts: bool, reason: str) -> None:
    path = loop(tmp_path / "loop.tflite", limit=limit, counts=counts)
    if not reason:
        check_model(path)
        return
    with pytest.raises(ArtifactError, match=reason):
        check_model(path)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("graph", "reason"),
    [(0, "its graphs call one another more than 16 deep"), (7, "damaged.*a graph that it names")],
)
def test_calls_are_bounded(tmp_path: Path, graph: int, reason: str) -> None:
    options = schema.CallOnceOptionsT()
    options.initSubgraphIndex = graph
    operators = [("CALL_ONCE", [], [], options), ("RELU", [0], [1], None)]
    path = write_tflite(tmp_path / "m.tflite", [([tensor(IMAGE), tensor(IMAGE)], ([0], [1], operators))])
    with pytest.raises(ArtifactError, match=reason):
        check_model(path)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda graph: graph.operators[0].inputs.__setitem__(0, 2), "a tensor that it names"),
        (lambda graph: graph.operators[0].__setattr__("opcodeIndex", 9), "operator 9"),
        (lambda graph: graph.tensors[0].__setattr__("buffer", 5), "buffer 5"),
        (lambda graph: graph.outputs.__setitem__(0, -2), "a tensor that it names"),
    ],
    ids=["input", "operator", "buffer", "output"],
)
def test_an_index_out_of_range_is_damage(
    tmp_path: Path, change: Callable[[schema.SubGraphT], None], reason: str
) -> None:
    tensors = [tensor(IMAGE), tensor(IMAGE)]
    path = write_tflite(tmp_path / "m.tflite", [(tensors, ([0], [1], [("RELU", [0], [1], None)]))])
    check_model(path)
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
    graph = model.subgraphs[0]
    for part in (graph, graph.operators[0]):
        part.inputs, part.outputs = list(part.inputs), list(part.outputs)
    change(graph)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(builder.Output())
    with pytest.raises(ArtifactError, match=f"it is damaged or truncated; .*{reason} lies outside the file"):
        check_model(path)


@pytest.mark.unit
def test_a_buffer_outside_the_flatbuffer_is_inside_the_file(tmp_path: Path) -> None:
    tensors = [tensor(IMAGE), tensor([4], INTEGERS, 1), tensor(IMAGE)]
    path = write_tflite(tmp_path / "m.tflite", [(tensors, ([0], [2], [("FILL", [1, 0], [2], None)]))], [IMAGE])
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
    buffer = model.buffers[1]
    buffer.data = None

    def write(offset: int, size: int) -> None:
        buffer.offset, buffer.size = offset, size
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        path.write_bytes(builder.Output() + np.array([1500, 1000, 1000, 1], "<i4").tobytes())

    write(8, 16)
    size = path.stat().st_size
    write(size - 16, 16)
    with pytest.raises(ArtifactError, match="its operator FILL would create 1,500,000,000 values"):
        check_model(path)
    write(size - 16, 17)
    with pytest.raises(ArtifactError, match="a buffer of 17 bytes lies outside the file"):
        check_model(path)


@pytest.mark.unit
def test_lists_that_overlap_are_not_read_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flatbuffer_table, "MOST_PARTS", 100)
    tensors = [tensor(IMAGE) for _ in range(30)]
    path = write_tflite(tmp_path / "m.tflite", [(tensors, ([0], [1], [("RELU", [0], [1], None)]))])
    with pytest.raises(ArtifactError, match="it has more than 100 tensors, operators and other parts"):
        check_model(path)


def test_a_damaged_file_ends_in_one_error(tmp_path: Path, tiny_artifacts: Path, scale: int) -> None:
    """Mutated bytes of the tables; a file that passes the look is one whose tables lie inside it."""
    whole = (tiny_artifacts / "float32.tflite").read_bytes()
    rng = np.random.default_rng(0)
    path, errors = tmp_path / "m.tflite", []
    for number in range(300 * scale):
        content = bytearray(whole[: rng.integers(1, len(whole))] if number % 5 == 0 else whole)
        for _ in range(rng.integers(1, 4)):
            content[rng.integers(0, len(content))] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
        path.write_bytes(content)
        try:
            check_model(path)
        except ArtifactError as error:
            errors.append(str(error))
    assert len(errors) > 30 * scale
    assert not [error for error in errors if "\n" in error]


def test_a_usual_file_passes(tiny_artifacts: Path) -> None:
    for path in tiny_artifacts.glob("*.tflite"):
        BareModel(path).close()


@pytest.mark.parametrize("command", ["adopt", "bench", "predict"])
def test_the_commands_refuse_a_bomb(tmp_path: Path, command: str) -> None:
    path = sized(tmp_path / "bomb.tflite", "FILL", 0, [1500, 1000, 1000])
    if command == "predict":
        write_sidecar_beside(path, TINY_SIDECAR)
    with CommandForks() as commands:
        trial = commands.run(command, "bomb.tflite", *["photo.jpg"] * (command == "predict"), cwd=tmp_path)
    assert not trial.faults(), trial
    assert trial.code in (1, 2), trial
    assert trial.peak_bytes < LARGEST, trial
    assert "its operator FILL would create 1,500,000,000 values" in trial.out + trial.err, trial
