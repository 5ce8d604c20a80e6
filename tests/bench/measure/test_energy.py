"""The meters, on a folder laid out as Linux has it and a program that prints as a Raspberry Pi 5's does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tledge.bench.measure.board import read_power
from tledge.bench.measure.energy import PMIC_INTERVAL, find_meter

RANGE = 262_143_328_850
"""Microjoules at which a package's counter begins anew."""

READINGS = """\
     3V7_WL_SW_A current(0)=0.05000000A
   DDR_VDD2_A current(1)=0.02000000A
   VDD_CORE_A current(7)=2.00000000A
     3V7_WL_SW_V volt(8)=3.70000000V
   DDR_VDD2_V volt(9)=1.10000000V
   VDD_CORE_V volt(15)=0.75000000V
       EXT5V_V volt(24)=5.15000000V
       BATT_V volt(25)=0.00000000V
"""
"""Of ``vcgencmd pmic_read_adc``; two rails have a voltage and no current."""

WATTS = 0.05 * 3.7 + 0.02 * 1.1 + 2 * 0.75


def make_counter(root: Path, name: str, microjoules: int, called: str = "package-0") -> Path:
    folder = root / "sys/class/powercap" / name
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{called}\n")
    (folder / "max_energy_range_uj").write_text(f"{RANGE}\n")
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    return folder / "energy_uj"


def make_vcgencmd(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    folder.mkdir(exist_ok=True)
    program = folder / "vcgencmd"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.unit
def test_rapl_sums_packages_and_not_their_parts(tmp_path: Path) -> None:
    first = make_counter(tmp_path, "intel-rapl:0", 1_000_000)
    second = make_counter(tmp_path, "intel-rapl:1", 5_000_000)
    part = make_counter(tmp_path, "intel-rapl:0:0", 0, "core")
    platform = make_counter(tmp_path, "intel-rapl:2", 0, "psys")
    meter = find_meter(tmp_path)
    assert meter is not None
    assert meter.source == "rapl"
    meter.start()
    meter.sample()
    first.write_text("3500000\n")
    second.write_text("5250000\n")
    part.write_text("900000000\n")
    platform.write_text("900000000\n")
    assert meter.stop() == pytest.approx(2.75)
    meter.start()
    assert meter.stop() == 0


@pytest.mark.unit
def test_a_counter_that_began_anew_went_round_once(tmp_path: Path) -> None:
    counter = make_counter(tmp_path, "intel-rapl:0", RANGE - 400_000)
    meter = find_meter(tmp_path)
    assert meter is not None
    meter.start()
    counter.write_text("600000\n")
    assert meter.stop() == pytest.approx(1.0)


@pytest.mark.unit
def test_a_counter_that_cannot_be_read_is_no_meter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    counter = make_counter(tmp_path, "intel-rapl:0", 1)
    counter.unlink()
    counter.symlink_to("absent")  # root may read a file without permissions: a test by chmod would not hold
    assert find_meter(tmp_path) is None
    assert find_meter(tmp_path / "nothing") is None


def test_a_raspberry_pis_power_is_that_of_rails_with_current_and_voltage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "readings").write_text(READINGS)
    make_vcgencmd(tmp_path / "bin", monkeypatch, f'test "$1" = pmic_read_adc && cat {tmp_path / "readings"}')
    assert read_power() == pytest.approx(WATTS)
    meter = find_meter(tmp_path)
    assert meter is not None
    assert meter.source == "pmic"


def test_a_raspberry_pis_energy_is_its_power_over_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is the test's: one second, then two, at 1, 3 and 3 watts."""
    readings = tmp_path / "readings"
    readings.write_text("A_A current(0)=1.0A\nA_V volt(1)=1.0V\n")
    make_vcgencmd(tmp_path / "bin", monkeypatch, f"cat {readings}; echo read >> {tmp_path / 'log'}")
    now = 100.0
    monkeypatch.setattr("tledge.bench.measure.energy.time.monotonic", lambda: now)
    meter = find_meter(tmp_path)
    assert meter is not None
    meter.start()
    before = (tmp_path / "log").read_text().count("read")
    now += PMIC_INTERVAL / 2
    meter.sample()
    assert (tmp_path / "log").read_text().count("read") == before  # too soon after the last one
    readings.write_text("A_A current(0)=3.0A\nA_V volt(1)=1.0V\n")
    now += 1 - PMIC_INTERVAL / 2
    meter.sample()
    now += 2
    assert meter.stop() == pytest.approx(1 * (1 + 3) / 2 + 2 * 3)


@pytest.mark.parametrize("script", ["exit 1", "echo 'Command not registered'", "printf '\\377'"])
def test_another_machines_vcgencmd_is_no_meter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    make_vcgencmd(tmp_path / "bin", monkeypatch, script)
    assert find_meter(tmp_path) is None
