"""The state of the machine and its energy, on counters whose answer is known."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from measure_sample import MS, MadeClock

from tledge.bench.measure import conditions as conditions_module
from tledge.bench.measure import energy as energy_module
from tledge.bench.measure.conditions import ConditionsMonitor, ProcessorShares, time_reference_workload
from tledge.bench.measure.energy import PmicMeter, RaplMeter, find_meter
from tledge.bench.results.board_readings import Throttling
from tledge.bench.results.round_conditions import Conditions

pytestmark = pytest.mark.unit

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
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: MadeClock) -> MadeMachine:
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


def test_conditions_are_those_between_construction_and_finish(machine: MadeMachine, clock: MadeClock) -> None:
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
        reference_time=2.5,
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
