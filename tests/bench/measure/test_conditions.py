"""What is known of the machine while something is timed."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from stored_sample import QUIET

from tledge.bench import bench, summarize
from tledge.bench.measure.benchmark_lock import NAME, alone_on_this_machine
from tledge.bench.measure.conditions import ConditionsMonitor
from tledge.bench.results.board_readings import Throttling
from tledge.bench.results.round_conditions import BUSY, STOLEN, Conditions
from tledge.core.progress import Progress


def write(path: Path, text: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The files by which Linux tells of itself."""
    write(tmp_path / "proc/stat", "cpu  100 0 100 800 0 0 0 0 0 0")
    cpu = tmp_path / "sys/devices/system/cpu/cpu0"
    write(cpu / "cpufreq/scaling_cur_freq", 2400000)
    write(cpu / "cpufreq/scaling_governor", "ondemand")
    write(cpu / "thermal_throttle/core_throttle_count", 3)
    write(tmp_path / "sys/class/thermal/thermal_zone0/temp", 51234)
    write(tmp_path / "sys/class/thermal/thermal_zone1/temp", 48000)
    return tmp_path


@pytest.mark.unit
def test_the_machine_is_read_before_and_after(machine: Path) -> None:
    monitor = ConditionsMonitor(machine)
    write(machine / "proc/stat", "cpu  100 0 100 100800 0 0 0 0 0 0")
    quiet = monitor.finish()
    assert quiet.quiet
    assert quiet.load == 0.0
    assert (quiet.mhz, quiet.governor, quiet.temperature) == (2400.0, "ondemand", 51.234)
    assert quiet.throttled is False
    assert quiet.reference_time > 0
    write(machine / "proc/stat", "cpu  30100 0 100 170800 0 0 0 0 0 0")
    assert monitor.finish().load == pytest.approx(30000 / 200000, abs=0.002)
    assert monitor.finish().noisy
    write(machine / "proc/stat", "cpu  100 0 100 100800 0 0 0 5000 0 0")
    assert monitor.finish().steal == pytest.approx(5000 / 105000, abs=1e-6)
    assert monitor.finish().noisy
    write(machine / "proc/stat", "cpu  100 0 100 100800 0 0 0 0 0 0")
    write(machine / "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", 4)
    assert monitor.finish().throttled
    assert not monitor.finish().quiet


@pytest.mark.unit
def test_what_a_system_does_not_tell_is_not_known(tmp_path: Path) -> None:
    reported = ConditionsMonitor(tmp_path).finish()
    assert (reported.load, reported.steal, reported.mhz, reported.governor, reported.temperature) == (
        None,
        None,
        None,
        "",
        None,
    )
    assert reported.quiet


@pytest.mark.unit
def test_a_machine_slower_than_at_its_best_is_noisy() -> None:
    fields = {"load": 0.0, "steal": 0.0, "mhz": None, "governor": "", "temperature": None, "throttled": None}
    conditions = Conditions(**fields, reference_time=3.0)
    assert conditions.compared_with(2.9).quiet
    assert conditions.compared_with(2.5).noisy


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def test_a_busy_machine_is_flagged(tiny_artifacts: Path, tmp_path: Path) -> None:
    with busy_processes(os.cpu_count() or 1):
        record = bench(
            files=[tiny_artifacts / "float32.tflite"],
            output=tmp_path / "out",
            targets="litert:cpu:1",
            seconds=0.4,
            rounds=1,
        )
    (row,) = summarize(record.measurements)
    assert "noisy" in row.flags
    flagged = {item.metric for item in record.measurements if item.flags}
    assert "latency_p50" in flagged
    assert "file_size" not in flagged


class Notes(Progress):
    def __init__(self) -> None:
        self.waits = threading.Event()

    def note(self, label: str, text: str) -> None:
        assert (label, str(os.getpid()) in text) == ("Waiting", True)
        self.waits.set()


@pytest.mark.unit
def test_a_second_benchmark_waits_for_the_first(tmp_path: Path) -> None:
    entered = threading.Event()
    notes = Notes()

    def second() -> None:
        with alone_on_this_machine(notes, tmp_path):
            entered.set()

    thread = threading.Thread(target=second)
    with alone_on_this_machine(Progress(), tmp_path):
        thread.start()
        assert notes.waits.wait(timeout=30)
        assert not entered.is_set()
    thread.join(timeout=30)
    assert entered.is_set()
    assert (tmp_path / NAME).read_text() == str(os.getpid())


@pytest.mark.unit
def test_no_link_is_followed_to_the_lock(tmp_path: Path) -> None:
    linked_file = tmp_path / "linked_file"
    linked_file.write_text("precious")
    (tmp_path / NAME).symlink_to(linked_file)
    with pytest.raises(OSError, match="symbolic"), alone_on_this_machine(Progress(), tmp_path):
        pass
    assert linked_file.read_text() == "precious"


@pytest.mark.unit
def test_a_container_that_is_held_to_its_share_is_throttled(machine: Path) -> None:
    write(machine / "sys/fs/cgroup/cpu.stat", "usage_usec 5\nnr_periods 10\nnr_throttled 3")
    monitor = ConditionsMonitor(machine)
    assert monitor.finish().throttled is False
    write(machine / "sys/fs/cgroup/cpu.stat", "usage_usec 9\nnr_periods 20\nnr_throttled 4")
    assert monitor.finish().throttled is True


@pytest.mark.unit
def test_load_is_that_of_the_cores_that_may_be_used(machine: Path) -> None:
    own = min(os.sched_getaffinity(0))
    lines = ["cpu  0 0 0 0 0 0 0 0 0 0", f"cpu{own} 100 0 0 900 0 0 0 0 0 0", "cpu9999 0 0 0 1000 0 0 0 0 0 0"]
    write(machine / "proc/stat", "\n".join(lines))
    monitor = ConditionsMonitor(machine)
    lines[1] = f"cpu{own} 50100 0 0 50900 0 0 0 0 0 0"
    lines[2] = "cpu9999 0 0 0 9001000 0 0 0 0 0 0"
    write(machine / "proc/stat", "\n".join(lines))
    assert monitor.finish().load == pytest.approx(0.5, abs=0.01)


@pytest.mark.unit
def test_limits_are_exceeded_above_them_alone() -> None:
    assert not replace(QUIET, load=BUSY).noisy
    assert replace(QUIET, load=BUSY + 0.001).noisy
    assert not replace(QUIET, steal=STOLEN).noisy
    assert replace(QUIET, steal=STOLEN + 0.001).noisy
    assert not replace(QUIET, load=None, steal=None).noisy


@pytest.mark.unit
@pytest.mark.parametrize("bits", range(16))
def test_each_limit_of_a_board_has_its_bit(bits: int) -> None:
    """The bits that hold now and those since the start do not mix, and undocumented ones are ignored."""
    found = Throttling.of(bits | (15 - bits) << 16 | 1 << 4 | 1 << 31)
    assert (found.now, found.since_boot) == (bits, 15 - bits)
