"""How a round and the turns of a paired run are timed, on clocks and models whose answer is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measure_sample import MS, MadeClock, MadeModel, timing

from tledge.bench.measure import paired_run as paired_run_module
from tledge.bench.measure import round_worker
from tledge.bench.measure.energy import EnergyMeter
from tledge.bench.measure.paired_run import PairedRun, Turns, alternate, queries_per_turn, settling_seconds
from tledge.bench.measure.paired_worker import TurnTimer, time_turn
from tledge.bench.measure.round_launcher import cold_start
from tledge.bench.measure.round_worker import (
    LoadedModel,
    check_finite,
    measure_energy,
    measure_throughputs,
    read_memory,
    time_batches,
    time_single_stream,
    warm_up,
)
from tledge.bench.results.cell_result import Specification
from tledge.core.errors import ArtifactError
from tledge.core.progress import Progress

pytestmark = pytest.mark.unit


def test_each_query_is_timed_alone_after_the_warm_up(clock: MadeClock) -> None:
    model = MadeModel(clock, [500 * MS, 300 * MS, 1 * MS, 2 * MS, 4 * MS])
    latencies = time_single_stream(model.loaded("a", "b"), timing(warm_up=2, minimum_queries=3))
    np.testing.assert_array_equal(latencies, [1.0, 2.0, 4.0])
    assert model.queries == ["a", "b", "a", "b", "a"]


@pytest.mark.parametrize(
    ("queries", "seconds", "expected"),
    [(3, 0.0, 3), (3, 0.03, 3), (3, 0.031, 4), (3, 0.1, 10), (3, 0.101, 11), (12, 0.1, 12), (1, 0.0, 1)],
)
def test_timing_ends_when_both_minimums_are_reached(
    clock: MadeClock, queries: int, seconds: float, expected: int
) -> None:
    model = MadeModel(clock, [10 * MS])
    found = time_single_stream(model.loaded(), timing(minimum_queries=queries, minimum_seconds=seconds))
    assert len(found) == expected


def test_warm_up_cycles_through_the_queries(clock: MadeClock) -> None:
    model = MadeModel(clock, [MS])
    warm_up(model.loaded("a", "b", "c"), timing(warm_up=5))
    assert model.queries == ["a", "b", "c", "a", "b"]


def test_a_throughput_is_images_per_second_of_the_timed_batches(clock: MadeClock) -> None:
    """Ten batches of eight images in 0.1 s; the first run, which takes a second, is not timed."""
    model = MadeModel(clock, [1000 * MS, 10 * MS])
    assert time_batches(model.loaded("batch", "other"), 8, 0.1) == pytest.approx(800.0)
    assert model.queries == ["batch"] * 11


@pytest.mark.parametrize(("seconds", "calls"), [(0.0, 2), (0.02, 2), (0.021, 3), (0.05, 5)])
def test_batches_are_timed_for_a_minimum_duration_and_twice_at_least(
    clock: MadeClock, seconds: float, calls: int
) -> None:
    model = MadeModel(clock, [10 * MS])
    assert time_batches(model.loaded(), 4, seconds) == pytest.approx(400.0)
    assert len(model.queries) == 1 + calls


def test_the_throughput_of_single_images_follows_from_their_latencies(
    clock: MadeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, sizes = MadeModel(clock, [10 * MS]), []

    def load(_: Specification, batch: int) -> LoadedModel:
        sizes.append(batch)
        if batch == 3:
            raise ArtifactError("the model takes batches of 1 only")
        if batch == 4:
            raise MemoryError
        return model.loaded()

    monkeypatch.setattr(round_worker, "load_model", load)
    specification = Specification(
        artifact="a",
        target="litert:cpu:1",
        bare=True,
        pixels="",
        images=(),
        timing=timing(batch_sizes=(1, 2, 3, 4), batch_seconds=0.1),
    )
    found, failures = measure_throughputs(specification, np.array([2.0, 3.0]))
    assert found[:2].tolist() == pytest.approx([400.0, 200.0])
    assert np.isnan(found[2:]).all()
    assert failures == {"3": "the model takes batches of 1 only", "4": "not enough memory"}
    assert sizes == [2, 3, 4]


@dataclass
class MadeMeter(EnergyMeter):
    joules: float
    started: int = 0

    def start(self) -> None:
        self.started += 1

    def stop(self) -> float:
        return self.joules


@pytest.mark.parametrize(("seconds", "queries"), [(0.1, 4), (1.0, 4), (2.0, 8)])
def test_energy_is_that_of_one_query(clock: MadeClock, seconds: float, queries: int) -> None:
    """Queries of 0.25 s, for a second at least, or the minimum duration of the round."""
    model, meter = MadeModel(clock, [250 * MS]), MadeMeter(joules=3.0)
    assert measure_energy(model.loaded(), timing(minimum_seconds=seconds), meter) == pytest.approx(3000 / queries)
    assert model.queries == ["a", "b"] * (queries // 2)
    assert meter.started == 1


def test_logits_that_are_not_finite_are_an_error() -> None:
    logits = np.zeros((3, 2), np.float32)
    assert check_finite(logits, "m") is logits
    logits[0, 1], logits[2] = np.nan, np.inf
    with pytest.raises(ArtifactError, match="^'m' computes logits that are not finite for 2 of 3 images$"):
        check_finite(logits, "m")


def test_memory_is_read_in_bytes(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nVmPeak:\t    9999 kB\nVmHWM:\t    3000 kB\nVmRSS:\t    2048 kB\nThreads:\t1\n")
    assert read_memory("VmRSS", status) == 2048 * 1024
    assert read_memory("VmHWM", status) == 3000 * 1024
    assert read_memory("VmRSS", tmp_path / "absent") > 10 << 20  # of getrusage
    assert 10 << 20 < read_memory("VmRSS") <= read_memory("VmHWM") < 1 << 40


def test_a_cold_start_is_in_ms() -> None:
    assert cold_start(5_000_000_000, 5_012_500_000) == 12.5


def test_a_turn_is_timed_after_one_untimed_query(clock: MadeClock) -> None:
    model = MadeModel(clock, [900, 10, 20, 30])
    assert time_turn(model.loaded("a", "b", "c"), 4, 3) == [10, 20, 30]
    assert model.queries == ["b", "b", "c", "a"]


def test_turns_go_on_where_the_last_one_ended(clock: MadeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    model, specifications = MadeModel(clock, [10]), []

    def load(specification: Specification) -> LoadedModel:
        specifications.append(specification)
        return model.loaded("a", "b", "c")

    monkeypatch.setattr("tledge.bench.measure.paired_worker._load", load)
    specification = Specification(
        artifact="m", target="litert:cpu:1", bare=False, pixels="", images=(), timing=timing()
    )
    worker = TurnTimer()
    assert worker(specification.to_dict(), Progress()) is None
    assert specifications == [specification]
    assert worker(2, Progress()) == [10, 10]
    assert worker(3, Progress()) == [10, 10, 10]
    assert model.queries == ["a", "a", "b", "c", "c", "a", "b"]


@dataclass
class MadeSide:
    """A model of a paired run.

    Attributes:
        asked: how many queries each request was for.
    """

    clock: MadeClock
    name: str
    log: list[str]
    latency: int
    asked: list[int] = field(default_factory=list)

    def run_queries(self, count: int) -> list[int]:
        self.log.append(self.name)
        self.asked.append(count)
        self.clock.now += count * self.latency
        return [self.latency + (len(self.asked) == 1 and index != 1) for index in range(count)]


def alternated(clock: MadeClock, first: int, second: int, *, settling: float = 0.0, **options: Any) -> Any:
    log: list[str] = []
    sides = MadeSide(clock, "a", log, first), MadeSide(clock, "b", log, second)
    turns = Turns(sides[0].run_queries), Turns(sides[1].run_queries)
    alternate(*turns, timing=timing(**options), settling=settling)
    return log, sides, turns


def test_models_take_turns_and_who_begins_changes(clock: MadeClock) -> None:
    log, sides, turns = alternated(clock, 4 * MS, 5 * MS, settling=0.05)
    assert "".join(log) == "ab" + "abba" * 5
    assert sides[0].asked == sides[1].asked == [3] + [5] * 10  # 20 ms of the faster one, by its fastest trial query
    assert turns[0].samples.shape == turns[1].samples.shape == (10, 5)
    assert (turns[0].samples == 4.0).all()
    assert (turns[1].samples == 5.0).all()
    assert clock.slept == [0.05] * 20  # before every turn that counts


@pytest.mark.parametrize(
    ("options", "turns"),
    [
        ({"minimum_queries": 50}, 10),
        ({"minimum_queries": 51}, 11),
        ({"minimum_seconds": 0.25}, 10),  # of the slower one
        ({"minimum_seconds": 0.2501}, 11),
        ({"minimum_queries": 80, "minimum_seconds": 0.3}, 16),
    ],
)
def test_turns_end_when_both_minimums_are_reached(clock: MadeClock, options: Any, turns: int) -> None:
    _, _, (first, second) = alternated(clock, 4 * MS, 5 * MS, **options)
    assert len(first.latencies) == len(second.latencies) == turns
    _, _, (first, second) = alternated(clock, 5 * MS, 4 * MS, **options)
    assert len(first.latencies) == len(second.latencies) == turns


@pytest.mark.parametrize(
    ("fastest", "count"), [(0, 20_000_000), (1, 20_000_000), (4 * MS, 5), (7 * MS, 3), (60 * MS, 1)]
)
def test_a_turn_takes_20_ms(fastest: int, count: int) -> None:
    assert queries_per_turn(fastest) == count


def test_turns_are_enough_with_both_minimums() -> None:
    turns = Turns(lambda count: [1] * count)
    for _ in range(9):
        turns.take(5)
    assert not turns.are_enough(timing(minimum_queries=45))
    turns.take(5)
    assert turns.are_enough(timing(minimum_queries=50))
    assert not turns.are_enough(timing(minimum_queries=51))
    assert turns.seconds == pytest.approx(50e-9)


def test_one_thread_needs_no_settling() -> None:
    assert settling_seconds("litert:cpu:1") == 0.0
    assert settling_seconds("litert:cpu:2") == pytest.approx(0.05)
    assert settling_seconds("litert:cpu") == pytest.approx(0.05)


def test_rounds_of_a_paired_run_begin_with_either_model(monkeypatch: pytest.MonkeyPatch, clock: MadeClock) -> None:
    events: list[str] = []

    class MadeWorker:
        """Stands for ``core.worker.Worker``: starts, loads on a specification, then takes turns."""

        def __init__(self, _: Any, *, name: str, timeout: float) -> None:
            self.name, self.timeout = name, timeout

        def __enter__(self) -> MadeWorker:
            events.append(f"start {self.name} {self.timeout:g}")
            return self

        def __exit__(self, *_: object) -> None:
            events.append(f"end {self.name}")

        def ask(self, request: Any) -> Any:
            if isinstance(request, dict):
                events.append(f"load {request['artifact']}")
                latency = {"old": 2 * MS, "new": 3 * MS}[request["artifact"]]
                self.side = MadeSide(clock, request["artifact"], events, latency)
                return None
            return self.side.run_queries(request)

    monkeypatch.setattr(paired_run_module, "Worker", MadeWorker)
    old, new = (
        Specification(artifact=name, target="litert:cpu:1", bare=True, pixels="", images=(), timing=timing())
        for name in ("old", "new")
    )
    run = paired_run_module.measure_in_turns(old, new, hashes=("1", "2"), rounds=3, name="it", progress=Progress())
    begin_old = ["start it (earlier file) 3600", "start it 3600", "load old", "load new", "old", "new", "old", "new"]
    begin_new = ["start it 3600", "start it (earlier file) 3600", "load new", "load old", "new", "old", "new", "old"]
    starts = [index for index, event in enumerate(events) if event.startswith("start")][::2]
    assert [events[start : start + 8] for start in starts] == [begin_old, begin_new, begin_old]
    assert [event for event in events if event.startswith("end")] == [
        *("end it", "end it (earlier file)"),
        *("end it (earlier file)", "end it"),
        *("end it", "end it (earlier file)"),
    ]
    assert (run.old_sha256, run.new_sha256) == ("1", "2")
    assert [len(run.old), len(run.new)] == [3, 3]
    for before, after in zip(run.old, run.new, strict=True):
        assert before.shape == after.shape == (10, 10)
        assert (before == 2.0).all()
        assert (after == 3.0).all()


def test_a_paired_run_is_kept_as_arrays(tmp_path: Path) -> None:
    run = PairedRun(old=[np.eye(2), np.ones((1, 2))], new=[np.eye(3), np.zeros((1, 2))], old_sha256="1", new_sha256="2")
    run.save(tmp_path / "run.npz")
    with np.load(tmp_path / "run.npz") as file:
        assert sorted(file.files) == ["new_0", "new_1", "new_sha256", "old_0", "old_1", "old_sha256"]
        np.testing.assert_array_equal(file["old_1"], np.ones((1, 2)))
        np.testing.assert_array_equal(file["new_0"], np.eye(3))
        assert (str(file["old_sha256"]), str(file["new_sha256"])) == ("1", "2")
