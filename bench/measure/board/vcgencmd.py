"""Runs ``vcgencmd``, which queries a Raspberry Pi's firmware, and parses its output.

The program prints errors on standard output, too, and exits with a code other than 0: 255 if ``/dev/vcio`` may not be
opened, or if the board does not support the command (a Raspberry Pi 4 has no ``pmic_read_adc``).

Source: Raspberry Pi documentation, OS, "vcgencmd", and raspberrypi/utils, vcgencmd/vcgencmd.c.
"""

from __future__ import annotations

import re
import shutil
import subprocess

from tledge.bench.results.board_readings import Throttling

PROGRAM = "vcgencmd"
TIMEOUT = 2.0
"""Seconds after which the program counts as stuck; it normally takes some milliseconds."""

CLOCK = ("measure_clock", "arm")
POWER = ("pmic_read_adc",)
TEMPERATURE = ("measure_temp",)
THROTTLED = ("get_throttled",)
VOLTAGE = ("measure_volts", "core")


def query(command: tuple[str, ...]) -> str:
    """Returns the firmware's output; empty if the program is missing or failed."""
    code, printed = _run(command)
    return printed if code == 0 else ""


def vcgencmd_error() -> str:
    """Returns the program's error message; empty if it works, or is not installed."""
    code, printed = _run(THROTTLED)
    if code is None or (code == 0 and parse_throttled(printed) is not None):
        return ""
    return next(iter(printed.splitlines()), "") or f"exit code {code}"


def read_throttling() -> Throttling | None:
    """Returns what throttles this Raspberry Pi; None on other machines."""
    return parse_throttled(query(THROTTLED))


def read_power() -> float | None:
    """Returns the power of this Raspberry Pi 5's rails in watts; None on other machines."""
    return parse_power(query(POWER))


def parse_throttled(output: str) -> Throttling | None:
    """Parses the output of ``get_throttled``: "throttled=0x50005"."""
    found = re.search(r"^throttled=0x([0-9a-fA-F]+)\s*$", output, re.MULTILINE)
    return Throttling.of(int(found[1], 16)) if found else None


def parse_temperature(output: str) -> float | None:
    """Parses degrees Celsius from the output of ``measure_temp``: "temp=52.1'C"."""
    return _number(r"^temp=(-?\d+(?:\.\d+)?)'C", output)


def parse_voltage(output: str) -> float | None:
    """Parses volts from the output of ``measure_volts``: "volt=0.8850V"."""
    return _number(r"^volt=(\d+(?:\.\d+)?)V", output)


def parse_clock(output: str) -> float | None:
    """Parses MHz from ``measure_clock arm``: "frequency(48)=1500345728"; "frequency(0)=..." on a Raspberry Pi 5."""
    hertz = _number(r"^frequency\(\d+\)=(\d+)", output)
    return hertz / 1e6 if hertz else None  # a clock of 0 is off, so it cannot be this core's


def parse_power(output: str) -> float | None:
    """Parses watts from ``pmic_read_adc``: current times voltage, summed over the rails that have both.

    A rail's current and voltage have the same name and different numbers in parentheses. The current of the board's
    input (EXT5V) is not measured, so the sum excludes USB devices and the losses of the regulators.
    """
    amperes = dict(re.findall(r"(\w+)_A current\(\d+\)=(\d+(?:\.\d+)?)A", output))
    volts = dict(re.findall(r"(\w+)_V volt\(\d+\)=(\d+(?:\.\d+)?)V", output))
    rails = amperes.keys() & volts.keys()
    return sum(float(amperes[rail]) * float(volts[rail]) for rail in sorted(rails)) if rails else None


def _number(pattern: str, output: str) -> float | None:
    found = re.search(pattern, output, re.MULTILINE)
    return float(found[1]) if found else None


def _run(command: tuple[str, ...]) -> tuple[int | None, str]:
    """Returns the exit code (None if the program is missing) and the output."""
    program = shutil.which(PROGRAM)  # its folder differs between systems
    if program is None:
        return None, ""
    try:
        done = subprocess.run(
            [program, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return -1, str(error)
    return done.returncode, done.stdout.strip()
