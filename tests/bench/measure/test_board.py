"""What a board tells, on answers and files as real boards have them.

The answers of ``vcgencmd`` were recorded by their users on a Raspberry Pi 5 with four busy cores (the power chip's),
on a Raspberry Pi 4 that was too hot, and on Ubuntu without permission.
"""

from __future__ import annotations

import io
import json
import os
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from report_sample import read_sample, write_sample
from rich.console import Console
from support import tledge

from tledge.bench import Row, bench
from tledge.bench.measure.board import (
    BoardReadings,
    BoardSampler,
    Spread,
    Throttling,
    read_throttling,
    vcgencmd_error,
    words,
)
from tledge.bench.measure.board.vcgencmd import (
    parse_clock,
    parse_power,
    parse_temperature,
    parse_throttled,
    parse_voltage,
)
from tledge.bench.report import write_html, write_markdown
from tledge.bench.results.cell_result import CellResult
from tledge.bench.results.flags import MEANINGS
from tledge.bench.results.round_conditions import Conditions, ConditionsRecord
from tledge.cli.bench_table import bench_table
from tledge.core.environment import read_board_model, read_environment
from tledge.core.errors import MeasurementError
from tledge.core.measurement import read_results

PI5 = "Raspberry Pi 5 Model B Rev 1.0"
PI5_POWER = """\
 3V7_WL_SW_A current(0)=0.09368929A
   3V3_SYS_A current(1)=0.08783370A
   1V8_SYS_A current(2)=0.18054710A
  DDR_VDD2_A current(3)=0.22543980A
  DDR_VDDQ_A current(4)=0.06666720A
   1V1_SYS_A current(5)=0.17566740A
    0V8_SW_A current(6)=0.37670900A
  VDD_CORE_A current(7)=6.22421000A
   3V3_DAC_A current(17)=0.00006105A
   3V3_ADC_A current(18)=0.00036630A
   0V8_AON_A current(16)=0.00305250A
      HDMI_A current(22)=0.02417580A
 3V7_WL_SW_V volt(8)=3.69977600V
   3V3_SYS_V volt(9)=3.31003300V
   1V8_SYS_V volt(10)=1.80512600V
  DDR_VDD2_V volt(11)=1.10476100V
  DDR_VDDQ_V volt(12)=0.60146460V
   1V1_SYS_V volt(13)=1.11025500V
    0V8_SW_V volt(14)=0.80146440V
  VDD_CORE_V volt(15)=0.86173300V
   3V3_DAC_V volt(20)=3.31318300V
   3V3_ADC_V volt(21)=3.30677300V
   0V8_AON_V volt(19)=0.80029220V
      HDMI_V volt(23)=5.08664000V
     EXT5V_V volt(24)=5.09066000V
      BATT_V volt(25)=0.00000000V
"""
PI5_WATTS = 7.2397
"""Of its twelve rails with current and voltage, 5.3636 of them the cores'; added up by hand."""

UNKNOWN = 'vc_gencmd_read_response returned -1\nerror=1 error_msg="Command not registered"\n'
NOT_PERMITTED = "Can't open device file: /dev/vcio\nTry creating a device file with: sudo mknod /dev/vcio c 100 0\n"
MEMORY = "MemTotal:        8255504 kB\nMemFree:         6893056 kB\nMemAvailable:    7431168 kB\nBuffers:  34560 kB\n"

PI5_ANSWERS = {
    "get_throttled": "throttled=0x50005\n",
    "measure_clock arm": "frequency(0)=1500018432\n",
    "measure_volts core": "volt=0.8850V\n",
    "measure_temp": "temp=52.1'C\n",
    "pmic_read_adc": PI5_POWER,
}
PI4_ANSWERS = {
    "get_throttled": "throttled=0x60002\n",
    "measure_clock arm": "frequency(48)=1141118000\n",
    "measure_volts core": "volt=0.8500V\n",
    "measure_temp": "temp=80.6'C\n",
}
"""It has no power chip that could be read."""


class Firmware:
    """A program ``vcgencmd``, first in PATH, that prints what was recorded."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        (folder / "answers").mkdir(parents=True)
        (folder / "unknown").write_text(UNKNOWN)
        self._write(f'cat "{folder}/answers/$*" 2>/dev/null && exit 0; cat "{folder}/unknown"; exit 255')
        monkeypatch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")

    def answer(self, answers: dict[str, str]) -> None:
        for command, text in answers.items():
            changed = self._folder / "changed"
            changed.write_text(text)
            changed.replace(self._folder / "answers" / command)

    def refuse(self) -> None:
        (self._folder / "refused").write_text(NOT_PERMITTED)
        self._write(f'cat "{self._folder}/refused"; exit 255')

    def _write(self, script: str) -> None:
        program = self._folder / "bin" / "vcgencmd"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)


@pytest.fixture
def firmware(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Firmware:
    return Firmware(tmp_path / "firmware", monkeypatch)


@pytest.fixture
def without_vcgencmd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def make_root(folder: Path, model: str = PI5, **clocks: int) -> Path:
    """``/proc`` and ``/sys`` of a board; the clocks are of its policies, kHz."""
    write(folder / "proc/device-tree/model", f"{model}\0")
    write(folder / "proc/meminfo", MEMORY)
    write(folder / "sys/class/thermal/thermal_zone0/temp", "52100\n")
    for name, clock in (clocks or {"policy0": 2400000}).items():
        policy = folder / "sys/devices/system/cpu/cpufreq" / name
        write(policy / "scaling_cur_freq", f"{clock}\n")
        write(policy / "scaling_governor", "ondemand\n")
    return folder


@pytest.mark.unit
@pytest.mark.parametrize(
    ("answer", "now", "since_boot"),
    [
        ("throttled=0x0", "", ""),
        ("throttled=0x50005\n", "under-voltage, throttled", "under-voltage, throttled"),
        ("throttled=0x60002", "frequency capped", "frequency capped, throttled"),
        ("throttled=0xe0000", "", "frequency capped, throttled, soft temperature limit"),
        ("throttled=0x80008", "soft temperature limit", "soft temperature limit"),
    ],
)
def test_the_bits_of_get_throttled_have_names(answer: str, now: str, since_boot: str) -> None:
    throttling = parse_throttled(answer)
    assert throttling is not None
    assert (words(throttling.now), words(throttling.since_boot)) == (now, since_boot)
    assert throttling.under_voltage == ("under-voltage" in now)


@pytest.mark.unit
def test_the_firmwares_figures_have_units() -> None:
    assert parse_temperature("temp=52.1'C\n") == 52.1
    assert parse_voltage("volt=0.8850V\n") == 0.885
    assert parse_clock("frequency(0)=1500018432\n") == 1500.018432
    assert parse_clock("frequency(48)=1141118000\n") == 1141.118
    assert parse_power(PI5_POWER) == pytest.approx(PI5_WATTS, abs=2e-4)


@pytest.mark.unit
@pytest.mark.parametrize("text", ["", UNKNOWN, NOT_PERMITTED, "throttled=zz", "temp=", "frequency(0)=0"])
def test_what_is_no_answer_is_not_known(text: str) -> None:
    parsers = (parse_throttled, parse_temperature, parse_voltage, parse_clock, parse_power)
    assert [parse(text) for parse in parsers] == [None] * 5


@pytest.mark.unit
def test_a_boards_model_is_its_processors_name(tmp_path: Path) -> None:
    pi = "processor\t: 0\nmodel name\t: ARMv7 Processor rev 3 (v7l)\n\nHardware\t: BCM2711\nModel\t\t: "
    write(tmp_path / "pi/proc/cpuinfo", f"{pi}Raspberry Pi 4 Model B\n")
    write(tmp_path / "rock/proc/cpuinfo", "processor\t: 0\nCPU implementer\t: 0x41\n")
    write(tmp_path / "rock/proc/device-tree/model", "Radxa ROCK 5B\0")
    write(tmp_path / "pc/proc/cpuinfo", "model\t\t: 1\nmodel name\t: AMD EPYC\n")
    assert read_environment(root=tmp_path / "pi").cpu == "Raspberry Pi 4 Model B"
    assert read_environment(root=tmp_path / "rock").cpu == "Radxa ROCK 5B"
    assert read_environment(root=tmp_path / "pc").cpu == "AMD EPYC"
    assert read_board_model(tmp_path / "pc") == ""


def sample_for_a_while(root: Path, monkeypatch: pytest.MonkeyPatch) -> BoardReadings:
    """Samples quickly, until clocks have been looked at while something ran."""
    monkeypatch.setattr("tledge.bench.measure.board.sampler.INTERVAL", 0.01)
    with BoardSampler(root) as sampler:
        end = time.monotonic() + 30
        while sampler.readings is not None and sampler.readings.samples < 4 and time.monotonic() < end:
            time.sleep(0.01)
    assert sampler.readings is not None
    return sampler.readings


def test_a_raspberry_pi_5_tells_all(tmp_path: Path, firmware: Firmware, monkeypatch: pytest.MonkeyPatch) -> None:
    firmware.answer(PI5_ANSWERS)
    reported = sample_for_a_while(make_root(tmp_path / "root"), monkeypatch)
    assert reported.samples >= 4
    assert reported == BoardReadings(
        model=PI5,
        samples=reported.samples,
        temperature=Spread(low=52.1, median=52.1, high=52.1),
        clock=Spread(low=1500.018432, median=1500.018432, high=1500.018432),  # not the 2400 that the kernel asked for
        governors=("ondemand",),
        memory_available=7431168 * 1024,
        core_voltage=0.885,
        power=parse_power(PI5_POWER),
        throttling=Throttling(now=5, since_boot=5),
    )
    assert reported.throttled


def test_a_raspberry_pi_4_has_no_power_chip(
    tmp_path: Path, firmware: Firmware, monkeypatch: pytest.MonkeyPatch
) -> None:
    firmware.answer(PI4_ANSWERS)
    root = make_root(tmp_path / "root", "Raspberry Pi 4 Model B Rev 1.4")
    (root / "sys/class/thermal/thermal_zone0/temp").unlink()
    reported = sample_for_a_while(root, monkeypatch)
    assert reported.power is None
    assert reported.clock == Spread(low=1141.118, median=1141.118, high=1141.118)
    assert reported.temperature == Spread(low=80.6, median=80.6, high=80.6)  # from the firmware, for want of a file
    assert reported.throttling == Throttling(now=2, since_boot=6)


@pytest.mark.unit
def test_another_arm_board_tells_what_linux_knows(
    tmp_path: Path, without_vcgencmd: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_root(tmp_path / "root", "Radxa ROCK 5B", policy0=1800000, policy4=2256000)
    reported = sample_for_a_while(root, monkeypatch)
    assert (reported.model, reported.throttling, reported.core_voltage, reported.power) == (
        "Radxa ROCK 5B",
        None,
        None,
        None,
    )
    assert reported.clock == Spread(low=2256.0, median=2256.0, high=2256.0)
    assert reported.throttled is None


@pytest.mark.unit
def test_a_workstation_is_not_sampled(tmp_path: Path, without_vcgencmd: None) -> None:
    write(tmp_path / "root/proc/cpuinfo", "model\t\t: 1\nmodel name\t: AMD EPYC\n")
    write(tmp_path / "root/proc/meminfo", MEMORY)
    with BoardSampler(tmp_path / "root") as sampler:
        assert "board" not in {thread.name for thread in threading.enumerate()}
    assert sampler.readings is None


def test_what_held_a_board_down_between_two_looks_is_seen(tmp_path: Path, firmware: Firmware) -> None:
    """The lower bits are clear at both, but it was capped since: before, it had been too hot only."""
    firmware.answer({"get_throttled": "throttled=0x80000\n"})
    with BoardSampler(make_root(tmp_path / "root")) as sampler:
        firmware.answer({"get_throttled": "throttled=0xa0000\n"})
    assert sampler.readings is not None
    assert sampler.readings.throttling == Throttling(now=0b0010, since_boot=0b1010)


def test_the_sampler_ends_with_its_block(tmp_path: Path, firmware: Firmware) -> None:
    firmware.answer(PI5_ANSWERS)
    with pytest.raises(KeyboardInterrupt), BoardSampler(make_root(tmp_path / "root")):
        assert "board" in {thread.name for thread in threading.enumerate()}
        raise KeyboardInterrupt
    assert "board" not in {thread.name for thread in threading.enumerate()}


def test_without_permission_the_files_are_read_and_the_reason_is_told(tmp_path: Path, firmware: Firmware) -> None:
    assert vcgencmd_error() == UNKNOWN.splitlines()[0]
    firmware.refuse()
    assert read_throttling() is None
    assert vcgencmd_error() == "Can't open device file: /dev/vcio"
    with BoardSampler(make_root(tmp_path / "root")) as sampler:
        pass
    assert sampler.readings is not None
    assert sampler.readings.throttling is None
    assert sampler.readings.temperature == Spread(low=52.1, median=52.1, high=52.1)
    shown = " ".join(tledge("doctor", cwd=tmp_path).out.split())
    reason = "vcgencmd failed: Can't open device file: /dev/vcio"
    assert f"{reason}; run this, then log in again: sudo usermod -aG video $USER" in shown


def test_a_firmware_that_hangs_is_left_alone(
    tmp_path: Path, firmware: Firmware, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tledge.bench.measure.board.vcgencmd.TIMEOUT", 0.2)
    program = tmp_path / "firmware/bin/vcgencmd"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    assert read_throttling() is None
    assert "timed out" in vcgencmd_error()


def test_doctor_tells_what_holds_a_board_down(tmp_path: Path, firmware: Firmware) -> None:
    firmware.answer(PI5_ANSWERS)
    shown = tledge("doctor", cwd=tmp_path).out
    state = "throttled now: under-voltage, throttled · since boot: under-voltage, throttled"
    assert state in " ".join(shown.split())
    reported = json.loads(tledge("doctor", "--json", cwd=tmp_path).out)["board"]
    assert (reported["throttled"], reported["firmware_error"]) == ("under-voltage, throttled", "")
    firmware.answer({"get_throttled": "throttled=0x0\n"})
    assert "throttled now: no · since boot: no" in tledge("doctor", cwd=tmp_path).out


CONDITIONS = Conditions(
    load=0.0, steal=0.0, mhz=None, governor="", temperature=None, throttled=None, reference_time=2.0
)
READINGS = BoardReadings(
    model=PI5,
    samples=9,
    temperature=Spread(low=61.0, median=70.0, high=82.6),
    clock=Spread(low=1500.0, median=2400.0, high=2400.0),
    governors=("ondemand",),
    memory_available=3_200_000_000,
    core_voltage=0.8621,
    power=7.24,
    throttling=Throttling(now=0b0110, since_boot=0b1110),
)


@pytest.mark.unit
def test_conditions_take_what_the_board_reports() -> None:
    assert CONDITIONS.with_board(None) == CONDITIONS
    reported = CONDITIONS.with_board(READINGS)
    assert reported.throttled is True
    assert not reported.quiet
    assert CONDITIONS.with_board(replace(READINGS, throttling=None)).throttled is None
    cool = replace(READINGS, throttling=Throttling(now=0, since_boot=15))
    assert CONDITIONS.with_board(cool).quiet
    assert replace(CONDITIONS, throttled=True).with_board(cool).throttled is True  # a container's limit stays
    for conditions in (CONDITIONS, reported):
        record = ConditionsRecord(conditions=(conditions,))
        assert ConditionsRecord.from_json(record.to_json(), "round.npz") == record


@pytest.mark.unit
def test_samples_without_a_board_are_read() -> None:
    fields = asdict(CONDITIONS)
    del fields["board"]
    assert ConditionsRecord.from_dict({"conditions": [fields]}, "round.npz").conditions == (CONDITIONS,)


@pytest.mark.unit
@pytest.mark.parametrize(
    "board", [5, "hot", {}, {**asdict(READINGS), "clock": 7}, {**asdict(READINGS), "samples": "1"}]
)
def test_a_garbled_board_is_an_error(board: object) -> None:
    with pytest.raises(MeasurementError, match=r"cannot read 'round\.npz': .*board"):
        ConditionsRecord.from_dict({"conditions": [{**asdict(CONDITIONS), "board": board}]}, "round.npz")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "flags", "absent"),
    [
        ("throttled=0x50005\n", {"throttled", "under_voltage", "throttled_since_boot"}, set()),
        ("throttled=0xe0000\n", {"throttled_since_boot"}, {"under_voltage"}),
        ("throttled=0x0\n", set(), {"under_voltage", "throttled_since_boot"}),
    ],
)
def test_a_cell_on_a_board_is_flagged_by_what_the_board_tells(
    tiny_artifacts: Path,
    tmp_path: Path,
    firmware: Firmware,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    flags: set[str],
    absent: set[str],
) -> None:
    firmware.answer({**PI5_ANSWERS, "get_throttled": answer})
    monkeypatch.setattr("tledge.bench.measure.round_launcher.ROOT", make_root(tmp_path / "root"))
    files = [tiny_artifacts / "float32.tflite"]
    record = bench(files=files, output=tmp_path / "out", targets="litert:cpu:1", seconds=1.0, rounds=1)
    rows = {item.metric: item for item in read_results(record.results)}
    assert flags <= set(rows["latency_p50"].flags)
    assert not absent & set(rows["latency_p50"].flags)
    assert flags <= MEANINGS.keys()
    assert rows["file_size"].flags == ()
    (path,) = (tmp_path / "out/samples").iterdir()
    (conditions,) = CellResult.load(path).conditions
    reported = conditions.board
    assert reported is not None
    assert (reported.model, reported.core_voltage, reported.power) == (PI5, 0.885, parse_power(PI5_POWER))
    assert reported.throttling == parse_throttled(answer)
    assert reported.samples >= 3  # before, meanwhile, after
    report = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert PI5 in report
    assert "1,500 MHz" in report
    assert words(reported.throttling.now if reported.throttling else 0) in report


def write_board_report(folder: Path) -> Path:
    """The sample report, as if its cells had run on a Raspberry Pi 5."""
    results = write_sample(folder)
    for number, path in enumerate(sorted(results.samples.iterdir())):
        cell = CellResult.load(path)
        readings = READINGS if number % 2 else replace(READINGS, throttling=Throttling(now=0, since_boot=0b1110))
        replace(cell, conditions=tuple(item.with_board(readings) for item in cell.conditions)).save(path)
    data = read_sample(results, title="on a board")
    write_html(data, results.html)
    write_markdown(data, results.markdown)
    return results.html


def test_reports_show_what_the_board_reports(tmp_path: Path) -> None:
    page = write_board_report(tmp_path / "board").read_text(encoding="utf-8")
    text = (tmp_path / "board/report.md").read_text(encoding="utf-8")
    for report in (page, text):
        assert PI5 in report
        for shown in ("61–83 °C", "1,500–2,400 MHz", "7.2 W", "frequency capped, throttled, soft temperature limit"):
            assert shown in report
    assert "0.86 V" in page
    assert "3.2 GB" in page
    plain = write_sample(tmp_path / "plain")
    data = read_sample(plain, title="on a workstation")
    write_html(data, plain.html)
    write_markdown(data, plain.markdown)
    assert "Board health" not in plain.html.read_text(encoding="utf-8")
    assert "Board health" not in plain.markdown.read_text(encoding="utf-8")


@pytest.mark.unit
@pytest.mark.parametrize(
    ("flags", "shown"),
    [
        (("throttled", "throttled_since_boot", "under_voltage"), "⚠ throttled, under voltage"),
        (("throttled_since_boot",), "⚠ throttled since boot"),
    ],
)
def test_the_terminal_shows_the_stronger_of_two_flags(flags: tuple[str, ...], shown: str) -> None:
    row = Row(artifact="int8.tflite", target="litert:cpu:4", measured={}, flags=flags)
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(bench_table([row], 120))
    (line,) = [line for line in console.export_text().splitlines() if "int8" in line]
    assert line.rstrip().endswith(f"  {shown}")
