"""What is measured and how it is decided upon, with made clocks, counters and models whose answer is known."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from stored_sample import PI, QUIET, SHA

from tledge.bench.measure import conditions as conditions_module
from tledge.bench.measure import energy as energy_module
from tledge.bench.measure import paired_run as paired_run_module
from tledge.bench.measure import round_worker
from tledge.bench.measure.conditions import ConditionsMonitor, ProcessorShares, time_reference_workload
from tledge.bench.measure.durations import DURATION_PRESETS, plan_duration
from tledge.bench.measure.energy import PmicMeter, RaplMeter, find_meter
from tledge.bench.measure.paired_run import PairedRun, Turns, alternate, queries_per_turn, settling_seconds
from tledge.bench.measure.paired_worker import TurnTimer, time_turn
from tledge.bench.measure.round_launcher import cold_start
from tledge.bench.measure.round_worker import (
    LoadedModel,
    check_finite,
    measure_energy,
    measure_throughput,
    read_memory,
    time_batches,
    time_single_stream,
    warm_up,
)
from tledge.bench.measure.rounds import TIMED_IMAGES, Rounds, RoundsResult, disturbance
from tledge.bench.results.cell_result import Round, Specification, Timing
from tledge.bench.results.cells import Cell
from tledge.bench.results.round_conditions import Conditions
from tledge.bench.results.throttling import Throttling
from tledge.bench.results.workload import Model, Workload
from tledge.core.errors import ArtifactError, MeasurementError, OptionError, UnknownNameError
from tledge.core.progress import Progress, Step
from tledge.edge_runtime.target import Target

pytestmark = pytest.mark.unit

MS = 1_000_000
"""ns in a ms."""


@dataclass
class Clock:
    """A clock that models and sleeps turn on; nothing else does."""

    now: int = 0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += round(seconds * 1e9)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("time.perf_counter_ns", lambda: made.now)
    monkeypatch.setattr("time.sleep", made.sleep)
    return made


@dataclass
class MadeModel:
    """A model whose runs take as long as it is told, the last duration again and again.

    Attributes:
        run_queries: what it was run on.
    """

    clock: Clock
    durations: list[int]
    run_queries: list[Any] = field(default_factory=list)

    def run(self, query: Any) -> None:
        self.clock.now += self.durations[min(len(self.run_queries), len(self.durations) - 1)]
        self.run_queries.append(query)

    def loaded(self, *queries: Any) -> LoadedModel:
        return LoadedModel(self.run, queries or ("a", "b"), Target("litert", "cpu", 1), "XNNPACK", 1.0, lambda: None)


def timing(**options: Any) -> Timing:
    return Timing(**{"warm_up": 0, "minimum_queries": 1, "minimum_seconds": 0.0, **options})


# A round


def test_each_query_is_timed_alone_after_the_warm_up(clock: Clock) -> None:
    model = MadeModel(clock, [500 * MS, 300 * MS, 1 * MS, 2 * MS, 4 * MS])
    latencies = time_single_stream(model.loaded("a", "b"), timing(warm_up=2, minimum_queries=3))
    np.testing.assert_array_equal(latencies, [1.0, 2.0, 4.0])
    assert model.run_queries == ["a", "b", "a", "b", "a"]


@pytest.mark.parametrize(
    ("queries", "seconds", "expected"),
    [(3, 0.0, 3), (3, 0.03, 3), (3, 0.031, 4), (3, 0.1, 10), (3, 0.101, 11), (12, 0.1, 12), (1, 0.0, 1)],
)
def test_timing_ends_when_both_minimums_are_reached(clock: Clock, queries: int, seconds: float, expected: int) -> None:
    model = MadeModel(clock, [10 * MS])
    found = time_single_stream(model.loaded(), timing(minimum_queries=queries, minimum_seconds=seconds))
    assert len(found) == expected


def test_warm_up_cycles_through_the_queries(clock: Clock) -> None:
    model = MadeModel(clock, [MS])
    warm_up(model.loaded("a", "b", "c"), timing(warm_up=5))
    assert model.run_queries == ["a", "b", "c", "a", "b"]


def test_a_throughput_is_images_per_second_of_the_timed_batches(clock: Clock) -> None:
    """Ten batches of eight images in 0.1 s; the first run, which takes a second, is not timed."""
    model = MadeModel(clock, [1000 * MS, 10 * MS])
    assert time_batches(model.loaded("batch", "other"), 8, 0.1) == pytest.approx(800.0)
    assert model.run_queries == ["batch"] * 11


@pytest.mark.parametrize(("seconds", "calls"), [(0.0, 2), (0.02, 2), (0.021, 3), (0.05, 5)])
def test_batches_are_timed_for_a_minimum_duration_and_twice_at_least(clock: Clock, seconds: float, calls: int) -> None:
    model = MadeModel(clock, [10 * MS])
    assert time_batches(model.loaded(), 4, seconds) == pytest.approx(400.0)
    assert len(model.run_queries) == 1 + calls


def test_the_throughput_of_single_images_follows_from_their_latencies(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, sizes = MadeModel(clock, [10 * MS]), []

    def load(_: Specification, batch: int) -> LoadedModel:
        sizes.append(batch)
        if batch == 3:
            raise ArtifactError("the model takes batches of 1 only")
        return model.loaded()

    monkeypatch.setattr(round_worker, "load_model", load)
    specification = Specification(
        artifact="a", target="litert:cpu:1", bare=True, pixels="", images=(), timing=timing(batch_seconds=0.1)
    )
    latencies = np.array([2.0, 3.0])
    assert measure_throughput(specification, 1, latencies) == pytest.approx(400.0)
    assert sizes == []
    assert measure_throughput(specification, 2, latencies) == pytest.approx(200.0)
    assert math.isnan(measure_throughput(specification, 3, latencies))
    assert sizes == [2, 3]


@dataclass
class MadeMeter(energy_module.EnergyMeter):
    joules: float
    started: int = 0

    def start(self) -> None:
        self.started += 1

    def stop(self) -> float:
        return self.joules


@pytest.mark.parametrize(("seconds", "queries"), [(0.1, 4), (1.0, 4), (2.0, 8)])
def test_energy_is_that_of_one_query(clock: Clock, seconds: float, queries: int) -> None:
    """Queries of 0.25 s, for a second at least, or the minimum duration of the round."""
    model, meter = MadeModel(clock, [250 * MS]), MadeMeter(joules=3.0)
    assert measure_energy(model.loaded(), timing(minimum_seconds=seconds), meter) == pytest.approx(3000 / queries)
    assert model.run_queries == ["a", "b"] * (queries // 2)
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


# Paired runs


def test_a_turn_is_timed_after_one_untimed_query(clock: Clock) -> None:
    model = MadeModel(clock, [900, 10, 20, 30])
    assert time_turn(model.loaded("a", "b", "c"), 4, 3) == [10, 20, 30]
    assert model.run_queries == ["b", "b", "c", "a"]


def test_turns_go_on_where_the_last_one_ended(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert model.run_queries == ["a", "a", "b", "c", "c", "a", "b"]


@dataclass
class MadeSide:
    """A model of a paired run.

    Attributes:
        asked: how many queries each request was for.
    """

    clock: Clock
    name: str
    log: list[str]
    latency: int
    asked: list[int] = field(default_factory=list)

    def run_queries(self, count: int) -> list[int]:
        self.log.append(self.name)
        self.asked.append(count)
        self.clock.now += count * self.latency
        return [self.latency + (len(self.asked) == 1 and index != 1) for index in range(count)]


def alternated(clock: Clock, first: int, second: int, *, settling: float = 0.0, **options: Any) -> Any:
    log: list[str] = []
    sides = MadeSide(clock, "a", log, first), MadeSide(clock, "b", log, second)
    turns = Turns(sides[0].run_queries), Turns(sides[1].run_queries)
    alternate(*turns, timing=timing(**options), settling=settling)
    return log, sides, turns


def test_models_take_turns_and_who_begins_changes(clock: Clock) -> None:
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
def test_turns_end_when_both_minimums_are_reached(clock: Clock, options: Any, turns: int) -> None:
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


def test_rounds_of_a_paired_run_begin_with_either_model(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
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


# Durations


def planned(rigor: str = "quick", **options: Any) -> Any:
    return plan_duration(rigor, **{"rounds": None, "seconds": None, "batch_sizes": (1, 8), **options})


def test_the_presets() -> None:
    quick = planned()
    assert (quick.rounds, quick.seconds, quick.queries) == (5, 2.0, 100)
    assert quick.timing == Timing(
        warm_up=10, minimum_queries=20, minimum_seconds=0.4, batch_sizes=(1, 8), batch_seconds=0.2
    )
    mlperf = planned("mlperf")
    assert (mlperf.rounds, mlperf.seconds, mlperf.queries) == (3, 180.0, 3072)
    assert mlperf.timing == Timing(
        warm_up=10, minimum_queries=1024, minimum_seconds=60.0, batch_sizes=(1, 8), batch_seconds=10.0
    )
    assert list(DURATION_PRESETS) == ["quick", "mlperf"]
    with pytest.raises(UnknownNameError, match="unknown rigor 'quik'"):
        planned("quik")


def test_rounds_share_the_quick_preset_and_multiply_the_fixed_one() -> None:
    quick, mlperf = planned(rounds=3), planned("mlperf", rounds=5)
    assert (quick.seconds, quick.queries) == (2.0, 100)
    assert (quick.timing.minimum_queries, quick.timing.minimum_seconds) == (34, pytest.approx(2 / 3))
    assert (mlperf.seconds, mlperf.queries) == (pytest.approx(300.0), 5120)
    assert (mlperf.timing.minimum_queries, mlperf.timing.minimum_seconds) == (1024, pytest.approx(60.0))


def test_batches_take_no_longer_than_a_rounds_queries() -> None:
    assert planned(seconds=5.0).timing.batch_seconds == 0.2
    assert planned(seconds=0.5).timing.batch_seconds == pytest.approx(0.1)
    assert planned(seconds=0.5).seconds == 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seconds": 0}, "`seconds` must be above 0 and at most 3600; received 0"),
        ({"seconds": -1.0}, "`seconds` must be above 0 and at most 3600; received -1.0"),
        ({"seconds": 3600.5}, "`seconds` must be above 0 and at most 3600; received 3600.5"),
        ({"rounds": 0}, "`rounds` must be 1 to 100; received 0"),
        ({"rounds": 101}, "`rounds` must be 1 to 100; received 101"),
        ({"batch_sizes": [1, 0]}, "`batch_sizes` must be 1 to 4096; received 0"),
        ({"batch_sizes": [4097, 0]}, "`batch_sizes` must be 1 to 4096; received 4097"),
        ({"rigor": "mlperf", "seconds": 2.5}, "`rigor='mlperf'` has fixed durations; leave `seconds=2.5` out"),
        ({"rigor": "mlperf", "rounds": 0}, "`rounds` must be 1 to 100; received 0"),
    ],
)
def test_durations_out_of_range_are_an_error(options: Any, message: str) -> None:
    with pytest.raises(OptionError) as error:
        planned(**options)
    assert str(error.value) == message


def test_durations_at_the_ends_of_the_range() -> None:
    assert planned(seconds=3600, rounds=100).rounds == 100
    assert planned(seconds=1e-6, rounds=1).timing.minimum_queries == 100
    assert planned(batch_sizes=[1, 4096]).timing.batch_sizes == (1, 4096)
    assert planned(batch_sizes=[]).timing.batch_sizes == ()


# The state of the machine

BEFORE = (1000, 20, 300, 5000, 40, 5, 6, 70)
"""user, nice, system, idle, iowait, irq, softirq, steal: proc(5)"""


@pytest.mark.parametrize(
    ("spent", "own_seconds", "load", "steal"),
    [
        ((0, 0, 0, 1000, 0, 0, 0, 0), 0.0, 0.0, 0.0),
        ((0, 0, 0, 600, 400, 0, 0, 0), 0.0, 0.0, 0.0),  # who waits for a disk uses no processor
        ((100, 0, 0, 900, 0, 0, 0, 0), 0.0, 0.1, 0.0),
        ((0, 100, 0, 900, 0, 0, 0, 0), 0.0, 0.1, 0.0),
        ((0, 0, 100, 900, 0, 0, 0, 0), 0.0, 0.1, 0.0),
        ((0, 0, 0, 900, 0, 60, 40, 0), 0.0, 0.1, 0.0),
        ((0, 0, 0, 900, 0, 0, 0, 100), 0.0, 0.0, 0.1),
        ((300, 0, 0, 500, 100, 0, 0, 100), 2.0, 0.1, 0.1),  # 200 of 300 ticks are this process's own
        ((300, 0, 0, 700, 0, 0, 0, 0), 3.0, 0.0, 0.0),
        ((300, 0, 0, 700, 0, 0, 0, 0), 3.5, 0.0, 0.0),  # clocks of different resolution: never below 0
        ((0, 0, 0, 0, 0, 0, 0, 0), 0.0, 0.0, 0.0),
    ],
)
def test_other_programs_load_is_what_is_neither_idle_nor_waiting_nor_own(
    spent: tuple[int, ...], own_seconds: float, load: float, steal: float
) -> None:
    after = [was + more for was, more in zip(BEFORE, spent, strict=True)]
    shares = ProcessorShares.between(BEFORE, after, own_seconds=own_seconds, ticks_per_second=100)
    assert (shares.load, shares.steal) == (pytest.approx(load), pytest.approx(steal))


def write(path: Path, text: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


@dataclass
class MadeMachine:
    """``/proc`` and ``/sys`` of a machine, and what its processes and board say."""

    root: Path
    own_seconds: float = 0.0
    reference_times: list[float] = field(default_factory=lambda: [2.0, 2.0])
    throttling: Throttling | None = None

    def write_ticks(self, *lines: str) -> None:
        write(self.root / "proc/stat", "\n".join(lines))

    def write_throttle_count(self, count: int, core: int = 0) -> None:
        write(self.root / f"sys/devices/system/cpu/cpu{core}/thermal_throttle/core_throttle_count", count)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> MadeMachine:
    made = MadeMachine(tmp_path)
    made.write_ticks("cpu  100 0 100 800 0 0 0 0 0 0")
    cpu = tmp_path / "sys/devices/system/cpu/cpu0/cpufreq"
    write(cpu / "scaling_cur_freq", 2400000)
    write(cpu / "scaling_governor", "ondemand")
    write(tmp_path / "sys/class/thermal/thermal_zone0/temp", 51234)
    write(tmp_path / "sys/class/thermal/thermal_zone1/temp", 48000)
    monkeypatch.setattr(conditions_module, "time_reference_workload", lambda: made.reference_times.pop(0))
    monkeypatch.setattr(conditions_module, "read_throttling", lambda: made.throttling)
    monkeypatch.setattr("time.process_time", lambda: made.own_seconds)
    monkeypatch.setattr(os, "sysconf", lambda _: 100)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2}, raising=False)
    return made


def test_conditions_are_those_between_construction_and_finish(machine: MadeMachine, clock: Clock) -> None:
    machine.reference_times = [2.0, 3.0]
    machine.own_seconds = 5.0
    monitor = ConditionsMonitor(machine.root)
    machine.own_seconds = 6.0
    machine.write_ticks("cpu  400 0 100 1500 0 0 0 0 0 0")
    assert monitor.finish() == Conditions(
        load=pytest.approx(0.2),  # 300 of 1000 ticks, 100 of them own
        steal=0.0,
        mhz=2400.0,
        governor="ondemand",
        temperature=51.234,
        throttled=None,
        yardstick=2.5,
    )
    assert clock.slept == [pytest.approx(0.05)]


def test_only_cores_that_this_process_may_use_count(machine: MadeMachine) -> None:
    total, other = "cpu  9 9 9 9 9 9 9 9 0 0", "cpu1 0 0 0 0 0 0 0 0 0 0"
    machine.write_ticks(total, "cpu0 0 0 0 100 0 0 0 0 0 0", other, "cpu2 0 0 0 100 0 0 0 0 0 0", "intr 1 2 3")
    monitor = ConditionsMonitor(machine.root)
    busy = "cpu1 900 0 0 0 0 0 0 0 0 0"
    machine.write_ticks(total, "cpu0 100 0 0 400 0 0 0 0 0 0", busy, "cpu2 0 0 0 500 0 0 0 100 0 0", "intr 1 2 3")
    conditions = monitor.finish()
    assert (conditions.load, conditions.steal) == (pytest.approx(0.1111, abs=1e-4), pytest.approx(0.1111, abs=1e-4))


@pytest.mark.parametrize("line", ["cpu  1 2 3 4 5 6 7", "intr 1 2 3 4 5 6 7 8 9", ""])
def test_a_kernel_that_does_not_count_all_has_no_load(machine: MadeMachine, line: str) -> None:
    machine.write_ticks(line)
    monitor = ConditionsMonitor(machine.root)
    conditions = monitor.finish()
    assert (conditions.load, conditions.steal) == (None, None)


def test_eight_columns_are_enough(machine: MadeMachine) -> None:
    machine.write_ticks("cpu 0 0 0 0 0 0 0 0")
    monitor = ConditionsMonitor(machine.root)
    machine.write_ticks("cpu 10 0 0 80 0 0 0 10")
    conditions = monitor.finish()
    assert (conditions.load, conditions.steal) == (pytest.approx(0.1), pytest.approx(0.1))


def test_load_needs_both_readings(machine: MadeMachine) -> None:
    monitor = ConditionsMonitor(machine.root)
    machine.write_ticks("")
    assert monitor.finish().load is None
    machine.reference_times = [2.0, 2.0]
    monitor = ConditionsMonitor(machine.root)
    machine.write_ticks("cpu 10 0 0 80 0 0 0 10")
    assert monitor.finish().load is None


@pytest.mark.parametrize(("more", "throttled"), [(0, False), (1, True)])
def test_throttle_events_of_all_cores_and_of_a_container_count(
    machine: MadeMachine, more: int, throttled: bool
) -> None:
    for where in ("core", "container"):
        machine.reference_times = [2.0, 2.0]
        machine.write_throttle_count(3)
        machine.write_throttle_count(5, core=1)
        write(machine.root / "sys/fs/cgroup/cpu.stat", "nr_periods 10\nnr_throttled 7\nthrottled_usec 5")
        monitor = ConditionsMonitor(machine.root)
        machine.write_throttle_count(5 + more * (where == "core"), core=1)
        write(machine.root / "sys/fs/cgroup/cpu.stat", f"nr_periods 10\nnr_throttled {7 + more * (where != 'core')}")
        assert monitor.finish().throttled is throttled


@pytest.mark.parametrize("source", ["core", "container"])
def test_either_counter_of_throttle_events_is_enough(machine: MadeMachine, source: str) -> None:
    def count(events: int) -> None:
        if source == "core":
            machine.write_throttle_count(events)
        else:
            write(machine.root / "sys/fs/cgroup/cpu.stat", f"nr_throttled {events}")

    count(0)
    monitor = ConditionsMonitor(machine.root)
    assert monitor.finish().throttled is False
    machine.reference_times = [2.0, 2.0]
    monitor = ConditionsMonitor(machine.root)
    count(1)
    assert monitor.finish().throttled is True


@pytest.mark.parametrize(
    ("before", "after", "throttled"),
    [(None, None, None), (0, 0, False), (2, 0, True), (0, 2, True), (None, 0, False), (0, None, False)],
)
def test_a_board_that_is_throttled_before_or_after_was_throttled(
    machine: MadeMachine, before: int | None, after: int | None, throttled: bool | None
) -> None:
    def state(now: int | None) -> Throttling | None:
        return None if now is None else Throttling(now=now, since_boot=15)

    machine.throttling = state(before)
    monitor = ConditionsMonitor(machine.root)
    machine.throttling = state(after)
    assert monitor.finish().throttled is throttled


def test_the_reference_workload_is_timed_five_times_in_ms(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([0, 9 * MS, 20 * MS, 21 * MS, 30 * MS, 33 * MS, 40 * MS, 45 * MS, 50 * MS, 57 * MS])
    monkeypatch.setattr("time.perf_counter_ns", lambda: next(readings))
    hashed: list[int] = []
    monkeypatch.setattr(conditions_module, "sha256", lambda content: hashed.append(len(content)))
    assert time_reference_workload() == 5.0  # the median of 9, 1, 3, 5 and 7
    assert hashed == [4 << 20] * 5


# Energy


def make_package(root: Path, name: str, microjoules: int, domain: str = "package-0") -> Path:
    folder = root / "sys/class/powercap" / name
    write(folder / "name", domain)
    write(folder / "max_energy_range_uj", 1_000_000)
    write(folder / "energy_uj", microjoules)
    return folder


def test_packages_are_summed_and_their_counters_wrap_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = make_package(tmp_path, "intel-rapl:0", 400_000), make_package(tmp_path, "intel-rapl:1", 900_000)
    make_package(tmp_path, "intel-rapl:0:0", 5, "package-0-core")
    make_package(tmp_path, "intel-rapl:2", 5, "psys")
    nameless = make_package(tmp_path, "intel-rapl:3", 5)
    (nameless / "name").unlink()
    unreadable = make_package(tmp_path, "intel-rapl:4", 5)
    (unreadable / "energy_uj").write_text("?")
    monkeypatch.setattr(energy_module, "read_power", lambda: 1.0)
    meter = find_meter(tmp_path)
    assert isinstance(meter, RaplMeter)
    assert meter.source == "rapl"
    meter.start()
    write(first / "energy_uj", 650_000)
    write(second / "energy_uj", 100_000)
    assert meter.stop() == pytest.approx(0.25 + 0.2)
    meter.start()
    assert meter.stop() == 0.0


@pytest.mark.parametrize("watts", [None, 0.0, 5.0])
def test_without_packages_the_power_chip_is_the_meter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watts: float | None
) -> None:
    monkeypatch.setattr(energy_module, "read_power", lambda: watts)
    meter = find_meter(tmp_path)
    assert isinstance(meter, PmicMeter) is (watts is not None)
    assert meter is None or meter.source == "pmic"


@pytest.fixture
def power(monkeypatch: pytest.MonkeyPatch) -> Callable[[float, float | None], None]:
    """Sets the time in seconds and the power in watts."""
    state: dict[str, Any] = {"now": 0.0, "watts": 0.0}
    monkeypatch.setattr("time.monotonic", lambda: state["now"])
    monkeypatch.setattr(energy_module, "read_power", lambda: state["watts"])
    return lambda now, watts: state.update(now=now, watts=watts)


def test_power_is_integrated_by_trapezoids(power: Callable[[float, float | None], None]) -> None:
    meter = PmicMeter()
    power(100.0, 1.0)
    meter.start()
    power(101.0, 3.0)
    meter.sample()
    power(103.0, 5.0)
    assert meter.stop() == pytest.approx(1 * (1 + 3) / 2 + 2 * (3 + 5) / 2)
    power(200.0, 2.0)
    meter.start()
    power(201.0, 2.0)
    assert meter.stop() == pytest.approx(2.0)


@pytest.mark.parametrize(("now", "energy"), [(100.199, 1.0), (100.201, 1.9)])
def test_power_is_read_five_times_a_second_at_most(
    power: Callable[[float, float | None], None], now: float, energy: float
) -> None:
    """A sample of 9 W after 0.2 s changes the energy of a second at 1 W; one that is too early is not taken."""
    meter = PmicMeter()
    power(100.0, 1.0)
    meter.start()
    power(now, 9.0 if energy > 1 else 100.0)
    meter.sample()
    power(101.0, 1.0)
    expected = energy if energy == 1 else 0.201 * 5 + 0.799 * 5
    assert meter.stop() == pytest.approx(expected)


def test_a_power_chip_that_cannot_be_read_has_no_energy(power: Callable[[float, float | None], None]) -> None:
    meter = PmicMeter()
    power(100.0, None)
    meter.start()
    power(101.0, 2.0)
    assert math.isnan(meter.stop())
    power(200.0, None)
    meter.start()
    power(200.01, 2.0)
    meter.sample()  # at once, for want of a first reading
    power(201.0, None)
    meter.sample()
    power(202.01, 4.0)
    assert meter.stop() == pytest.approx(2 * 3.0)


# Rounds


def made_round(number: int = 0, **conditions: Any) -> Round:
    return Round(
        latencies=np.array([float(number)]),
        throughputs=np.array([100.0]),
        logits=np.full((1, 2), number, np.float32),
        load_time=1.0,
        answered=0,
        peak_memory=1.0,
        energy=float("nan"),
        energy_source="",
        conditions=replace(QUIET, **conditions),
        provider="XNNPACK",
        artifact_sha256=SHA,
        environment=PI.to_dict(),
        environment_id=PI.id,
    )


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
        ({"load": 0.04}, {"yardstick": 1.11}),  # 1.1 times the best reference time is noisy
        ({"load": 0.01, "yardstick": 1.1}, {"load": 0.02}),
        ({"load": None, "steal": None}, {"load": 0.01}),
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
    def __init__(self) -> None:
        self.lines: list[str] = []

    def step(self, label: str, total: int, unit: str) -> Any:
        self.lines.append(f"{label} {total} {unit}")
        return super().step(label, total, unit)


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
    launcher = Launcher({}, MeasurementError("broken"), {}, MeasurementError("late"))
    cells, result = run_rounds("ab", launcher, 3)
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
    launcher = Launcher(NOISY, NOISY, MeasurementError("gone"), {})
    (cell,), result = run_rounds("a", launcher, 2)
    np.testing.assert_array_equal(result.results[cell].latencies, [1, 4])
    assert result.results[cell].conditions[0].noisy
    assert result.skipped == ()


def test_a_cell_that_failed_is_not_repeated() -> None:
    launcher = Launcher(NOISY, MeasurementError("late"))
    _, result = run_rounds("a", launcher, 2)
    assert launcher.names == "aa"
    assert not result.results


@pytest.mark.parametrize(("time", "slowed"), [(2.2, False), (2.21, True), (2.0, False)])
def test_a_round_is_slow_beside_the_best_of_all_cells(time: float, slowed: bool) -> None:
    """Cell a is slow in one round by the reference workload, beside cell b's, and again when it is repeated."""
    launcher = Launcher({"yardstick": time}, {"yardstick": 2.0}, {"yardstick": time})
    (a, b), result = run_rounds("ab", launcher, 1)
    assert launcher.names == "ab" + "a" * slowed
    assert result.results[a].conditions[0].slowed is slowed
    assert not result.results[b].conditions[0].slowed


def test_the_best_round_may_be_a_repetition() -> None:
    (a, b), result = run_rounds(
        "ab", Launcher({"load": 0.5, "yardstick": 2.0}, {"yardstick": 2.0}, {"yardstick": 1.5}), 1
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
