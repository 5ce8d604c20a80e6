"""Which rounds are measured, in which order, and which of them are kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measure_sample import made_round, timing
from PIL import Image

from tledge.bench.measure.round_seconds import START_UP, RoundSeconds
from tledge.bench.measure.rounds import TIMED_IMAGES, Rounds, RoundsResult, disturbance, unmeasured
from tledge.bench.results.cell_result import CellResult, Round, Specification
from tledge.bench.results.cells import Cell
from tledge.bench.results.workload import Model, Workload
from tledge.core.errors import MeasurementError
from tledge.core.progress import Progress, Step
from tledge.edge_runtime.target import Target

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("quieter", "noisier"),
    [
        ({}, {"throttled": True}),
        ({"load": 0.05}, {"load": 0.06}),
        ({"load": 0.01}, {"load": 0.02}),
        ({"steal": 0.01}, {"steal": 0.02}),
        ({"load": 0.01, "steal": 0.01}, {"load": 0.03}),
        ({"load": 0.03}, {"load": 0.02, "steal": 0.02}),
        ({"load": 0.9}, {"throttled": True}),  # a clock that was limited is worse than other load
        ({"load": 0.04}, {"reference_time": 1.11}),  # 1.1 times the best reference time is noisy
        ({"load": 0.01, "reference_time": 1.1}, {"load": 0.02}),
        ({"load": None, "steal": None}, {"load": 0.01}),
        ({"load": 0.01}, {"load": 0.0, "steal": 0.02}),
    ],
)
def test_rounds_are_ordered_by_how_much_they_were_disturbed(quieter: Any, noisier: Any) -> None:
    assert disturbance(made_round(**quieter), 1.0) < disturbance(made_round(**noisier), 1.0)


class Launcher:
    """Runs made rounds, in order, and keeps what it was asked for."""

    def __init__(self, *outcomes: Any) -> None:
        self._outcomes = list(outcomes)
        self.asked: list[tuple[str, Specification]] = []

    def __call__(self, specification: Specification, name: str) -> tuple[Round, float]:
        self.asked.append((name, specification))
        outcome = self._outcomes[len(self.asked) - 1] if len(self.asked) <= len(self._outcomes) else {}
        if isinstance(outcome, BaseException):
            raise outcome
        return made_round(len(self.asked), **outcome), 10.0 * len(self.asked)

    @property
    def names(self) -> str:
        return "".join(name[0] for name, _ in self.asked)


class Steps(Progress, Step):
    """Keeps the steps, and what each was advanced by."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.advanced: list[tuple[int, str]] = []
        self.begun: list[str] = []
        self.seconds: list[tuple[float | None, float | None]] = []
        self.notes: list[str] = []

    def note(self, label: str, text: str) -> None:
        self.notes.append(f"{label}: {text}")

    @contextmanager
    def step(self, label: str, total: int, unit: str) -> Iterator[Step]:
        self.lines.append(f"{label} {total} {unit}")
        yield self

    def begin(self, detail: str, seconds: float | None = None, later: float | None = None) -> None:
        self.begun.append(detail)
        self.seconds.append((seconds, later))

    def advance(self, count: int = 1, detail: str = "") -> None:
        self.advanced.append((count, detail))


def made_cells(names: str) -> list[Cell]:
    return [Cell(Model(Path(f"{name}.tflite"), name, None), Target("litert", "cpu", 1)) for name in names]


def run_rounds(
    names: str, launcher: Launcher, count: int, steps: Steps | None = None
) -> tuple[list[Cell], RoundsResult]:
    cells = made_cells(names)
    workload = Workload(
        title="t", folder=Path("f"), models=(), photos=(Path("1.jpg"),), labels=(0,), class_names=("a", "b")
    )
    options = {"count": count, "timing": timing(batch_sizes=(1,)), "progress": steps or Steps()}
    return cells, Rounds(workload, cells, launch=launcher, **options).run()


def test_the_order_of_cells_reverses_from_round_to_round() -> None:
    launcher, steps = Launcher(), Steps()
    cells, result = run_rounds("abc", launcher, 3, steps)
    assert launcher.names == "abccbaabc"
    assert list(result.results) == cells
    assert (result.skipped, result.interrupted, result.measurements) == ((), False, ())
    np.testing.assert_array_equal(result.results[cells[0]].latencies, [1, 6, 7])
    np.testing.assert_array_equal(result.results[cells[0]].cold_starts, [10, 60, 70])
    np.testing.assert_array_equal(result.results[cells[1]].latencies, [2, 5, 8])
    assert steps.lines == ["Benchmark 9 rounds"]


def test_photos_are_classified_in_the_first_round_only() -> None:
    launcher = Launcher()
    cells, result = run_rounds("ab", launcher, 2)
    assert [specification.images for _, specification in launcher.asked] == [("1.jpg",), ("1.jpg",), (), ()]
    np.testing.assert_array_equal(result.results[cells[1]].logits, [[2, 2]])
    _, specification = launcher.asked[0]
    assert (specification.artifact, specification.target) == ("a.tflite", "litert:cpu:1")
    assert (specification.bare, specification.pixels) == (True, "")
    assert specification.timing == timing(batch_sizes=(1,))


def test_a_cell_that_fails_is_skipped_and_not_tried_again() -> None:
    launcher, steps = Launcher({}, MeasurementError("broken"), {}, MeasurementError("late")), Steps()
    cells, result = run_rounds("ab", launcher, 3, steps)
    name = "a on litert:cpu:1", "b on litert:cpu:1"
    failed = (1, f"{name[0]} failed"), (1, f"{name[1]} failed")
    assert steps.begun == [name[0], name[1], name[1], name[0], name[0], name[1]]
    assert steps.advanced == [(1, ""), failed[1], failed[1], (1, ""), failed[0], failed[1]]
    assert launcher.names == "abaa"  # in the second round a alone; it fails in the third
    assert not result.results
    assert [(item.artifact, item.target, item.reason, item.failed) for item in result.skipped] == [
        ("a", "litert:cpu:1", "late", True),
        ("b", "litert:cpu:1", "broken", True),
    ]
    assert len(cells) == 2


def test_an_interrupted_benchmark_keeps_what_it_has() -> None:
    cells, result = run_rounds("abc", Launcher({}, {}, KeyboardInterrupt()), 2)
    assert result.interrupted
    assert list(result.results) == cells[:2]
    assert [(item.artifact, item.reason, item.failed) for item in result.skipped] == [
        ("c", "interrupted before its turn", False)
    ]


NOISY = {"load": 0.5}


@pytest.mark.parametrize(
    ("again", "kept"),
    [
        ({}, 4),  # quiet now
        ({"load": 0.4}, 4),  # less noisy
        ({"load": 0.5}, 2),  # as noisy: the first stays
        ({"load": 0.6}, 2),
        ({"load": 0.0, "throttled": True}, 2),
    ],
)
def test_of_a_noisy_round_and_its_repetition_the_quieter_one_is_kept(again: Any, kept: int) -> None:
    launcher, steps = Launcher({}, NOISY, {}, again), Steps()
    (cell,), result = run_rounds("a", launcher, 3, steps)
    np.testing.assert_array_equal(result.results[cell].latencies, [1, kept, 3])
    np.testing.assert_array_equal(result.results[cell].cold_starts, [10, 10 * kept, 30])
    assert len(launcher.asked) == 4
    assert launcher.asked[3][1].images == ()
    assert steps.lines == ["Benchmark 3 rounds", "Repeat noisy 1 rounds"]


def test_the_logits_of_a_repeated_round_stay() -> None:
    (cell,), result = run_rounds("a", Launcher({"throttled": True}), 1)
    np.testing.assert_array_equal(result.results[cell].latencies, [2])
    np.testing.assert_array_equal(result.results[cell].logits, [[1, 1]])


def test_a_repetition_that_fails_leaves_the_first_round_and_the_others() -> None:
    launcher, steps = Launcher(NOISY, NOISY, MeasurementError("gone"), {}), Steps()
    (cell,), result = run_rounds("a", launcher, 2, steps)
    name = "a on litert:cpu:1"
    assert steps.begun == [name] * 4
    assert steps.advanced == [(1, ""), (1, ""), (1, f"{name}: gone"), (1, "")]
    np.testing.assert_array_equal(result.results[cell].latencies, [1, 4])
    assert result.results[cell].conditions[0].noisy
    assert result.skipped == ()


def test_a_cell_that_failed_is_not_repeated() -> None:
    launcher = Launcher(NOISY, MeasurementError("late"))
    _, result = run_rounds("a", launcher, 2)
    assert launcher.names == "aa"
    assert not result.results


@pytest.mark.parametrize(
    ("outcomes", "not_repeated"),
    [
        ([NOISY, {}, NOISY, {}, {}], 0),  # not interrupted: both were repeated
        ([NOISY, {}, NOISY, KeyboardInterrupt()], 2),
        ([NOISY, {}, NOISY, NOISY, KeyboardInterrupt()], 1),  # the first was repeated, and is noisy still
        ([NOISY, {}, NOISY, {}, KeyboardInterrupt()], 1),
        ([NOISY, {}, NOISY, MeasurementError("gone"), KeyboardInterrupt()], 2),
        ([NOISY, KeyboardInterrupt()], 1),
        ([{}, {}, {}], 0),
    ],
)
def test_noisy_rounds_that_were_not_repeated_are_counted(outcomes: list[Any], not_repeated: int) -> None:
    _, result = run_rounds("a", Launcher(*outcomes), 3)
    assert result.not_repeated == not_repeated


def test_the_repetition_is_announced_with_its_rounds() -> None:
    steps = Steps()
    run_rounds("ab", Launcher(NOISY, {}, NOISY), 2, steps)
    (note,) = steps.notes
    assert note.startswith("Repeat: 2 noisy or throttled rounds once, in about ")
    run_rounds("a", Launcher(), 2, quiet := Steps())
    assert quiet.notes == []


def test_each_round_begins_with_the_seconds_of_those_after_it() -> None:
    steps = Steps()
    run_rounds("ab", Launcher({}, MeasurementError("broken")), 2, steps)
    (first, after), (_, _), (failed, _), (_, last) = steps.seconds
    assert first == START_UP  # nothing is planned in this timing
    assert after == 3 * START_UP
    assert (failed, last) == (0.0, 0)


def test_rounds_are_predicted_from_alike_ones() -> None:
    keras, (a, b) = Cell(Model(Path("k.keras"), "k", None), Target("keras", "cpu", 1)), made_cells("ab")
    seconds = RoundSeconds(timing(minimum_seconds=0.5, batch_sizes=(1, 8), batch_seconds=0.25, warm_up=1))
    assert seconds.expected(a, first=True) == seconds.expected(a) == 1.0 + START_UP
    seconds.add_first(keras, 60.0, made_round(2000), start=10_000.0)
    assert seconds.expected(keras) == 10.0 + 2 * 2.0 + 0.5, "cold start, timed query with its warm-up, two batch sizes"
    assert seconds.expected(a, first=True) == seconds.expected(a) == 1.0 + START_UP, "another runtime"
    seconds.add_first(a, 3.0, made_round(500), start=1000.0)
    assert (seconds.expected(b, first=True), seconds.expected(b)) == (3.0, 2.5)
    seconds.add(a, 3.5, first=False)
    assert (seconds.expected(a), seconds.expected(b)) == (3.0, 3.0)
    seconds.add(b, 9.0, first=False)
    assert (seconds.expected(a), seconds.expected(b)) == (3.0, 9.0)


@pytest.mark.parametrize(("time", "slowed"), [(2.2, False), (2.21, True), (2.0, False)])
def test_a_round_is_slow_beside_the_best_of_all_cells(time: float, slowed: bool) -> None:
    """Cell a is slow in one round by the reference workload, beside cell b's, and again when it is repeated."""
    launcher = Launcher({"reference_time": time}, {"reference_time": 2.0}, {"reference_time": time})
    (a, b), result = run_rounds("ab", launcher, 1)
    assert launcher.names == "ab" + "a" * slowed
    assert result.results[a].conditions[0].slowed is slowed
    assert not result.results[b].conditions[0].slowed


def test_the_best_round_may_be_a_repetition() -> None:
    (a, b), result = run_rounds(
        "ab", Launcher({"load": 0.5, "reference_time": 2.0}, {"reference_time": 2.0}, {"reference_time": 1.5}), 1
    )
    assert not result.results[a].conditions[0].slowed
    assert result.results[b].conditions[0].slowed


def test_timed_photos_are_decoded_once_for_cells_of_one_form(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class MadeArtifact:
        sidecar: Any

    @dataclass(frozen=True)
    class MadeSidecar:
        input_size: tuple[int, int]
        resize: str = "stretch"

    photos = [tmp_path / f"{index}.png" for index in range(TIMED_IMAGES + 1)]
    for index, path in enumerate(photos):
        Image.new("RGB", (4, 4), (index, 0, 0)).save(path)
    cells = [
        Cell(Model(Path(f"{name}.tflite"), name, None if size is None else MadeArtifact(MadeSidecar(size))), target)
        for name, size in (("a", (4, 4)), ("b", (4, 4)), ("c", (2, 3)), ("d", None))
        for target in [Target("litert", "cpu", 1)]
    ]
    workload = Workload(
        title="t", folder=Path("f"), models=(), photos=tuple(photos), labels=(0,) * len(photos), class_names=("a",)
    )
    pixels: dict[str, Any] = {}

    def launch(specification: Specification, name: str) -> tuple[Round, float]:
        pixels[name[0]] = specification.pixels and (specification.pixels, np.load(specification.pixels))
        return made_round(), 1.0

    Rounds(workload, cells, count=1, timing=timing(batch_sizes=(1,)), progress=Progress(), launch=launch).run()
    assert TIMED_IMAGES == 32
    assert pixels["a"][0] == pixels["b"][0] != pixels["c"][0]
    assert pixels["a"][1].shape == (32, 4, 4, 3)
    assert pixels["c"][1].shape == (32, 2, 3, 3)
    assert pixels["a"][1][:, 0, 0, 0].tolist() == list(range(32))
    assert pixels["d"] == ""


def test_batches_that_a_model_does_not_take_are_reported() -> None:
    fixed, free = made_cells("ab")
    sizes = (1, 8, 32)
    taken = replace(made_round(), throughputs=np.array([10.0, 20.0, 30.0]))
    failures = {"8": "it only takes batches of 1", "32": "not enough memory"}
    refused = replace(taken, throughputs=np.array([10.0, np.nan, np.nan]), batch_failures=failures)
    results = {
        fixed: CellResult.join([taken, refused], [1.0, 1.0], sizes),
        free: CellResult.join([taken, taken], [1.0, 1.0], sizes),
    }
    skipped = unmeasured([fixed, free], results, {})
    assert {(item.artifact, item.failed) for item in skipped} == {(fixed.model.name, False)}
    assert [item.reason for item in skipped] == [
        "batches of 8: it only takes batches of 1",
        "batches of 32: not enough memory",
    ], "each with its own cause"
