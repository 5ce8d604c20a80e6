"""``vcgencmd``, the program that asks a Raspberry Pi's firmware, and what its answers mean.

It prints its errors, too, on standard output, and ends with an exit code that is not 0: 255 where ``/dev/vcio`` may not
be opened, or where the board does not know the command (a Raspberry Pi 4 has no ``pmic_read_adc``).

Source: Raspberry Pi documentation, OS, "vcgencmd", and raspberrypi/utils, vcgencmd/vcgencmd.c.
"""

from __future__ import annotations

import re
import shutil
import subprocess

from tledge.bench.results.throttling import Throttling

PROGRAM = "vcgencmd"
TIMEOUT = 2.0
"""Seconds after which it is taken for stuck; it answers within some milliseconds."""

CLOCK = ("measure_clock", "arm")
POWER = ("pmic_read_adc",)
TEMPERATURE = ("measure_temp",)
THROTTLED = ("get_throttled",)
VOLTAGE = ("measure_volts", "core")


def ask(command: tuple[str, ...]) -> str:
    """The firmware's answer; empty on a machine without the program, or where the firmware did not answer."""
    code, printed = _run(command)
    return printed if code == 0 else ""


def vcgencmd_complaint() -> str:
    """What the program printed instead of an answer; empty where it answers, and where there is no such program."""
    code, printed = _run(THROTTLED)
    if code is None or (code == 0 and parse_throttled(printed) is not None):
        return ""
    return next(iter(printed.splitlines()), "") or f"it ended with exit code {code}"


def read_throttling() -> Throttling | None:
    """What holds this Raspberry Pi down; None on another machine."""
    return parse_throttled(ask(THROTTLED))


def read_power() -> float | None:
    """Watts that the rails of this Raspberry Pi 5 carry; None on another machine."""
    return parse_power(ask(POWER))


def parse_throttled(answer: str) -> Throttling | None:
    """Of ``get_throttled``: "throttled=0x50005"."""
    found = re.search(r"^throttled=0x([0-9a-fA-F]+)\s*$", answer, re.MULTILINE)
    return Throttling.of(int(found[1], 16)) if found else None


def parse_temperature(answer: str) -> float | None:
    """Degrees Celsius, of ``measure_temp``: "temp=52.1'C"."""
    return _number(r"^temp=(-?\d+(?:\.\d+)?)'C", answer)


def parse_voltage(answer: str) -> float | None:
    """Volts, of ``measure_volts``: "volt=0.8850V"."""
    return _number(r"^volt=(\d+(?:\.\d+)?)V", answer)


def parse_clock(answer: str) -> float | None:
    """MHz, of ``measure_clock arm``: "frequency(48)=1500345728", or "frequency(0)=..." from a Raspberry Pi 5."""
    hertz = _number(r"^frequency\(\d+\)=(\d+)", answer)
    return hertz / 1e6 if hertz else None  # 0 is a clock that is off, which cannot be the one that this runs on


def parse_power(answer: str) -> float | None:
    """Watts, of ``pmic_read_adc``: the sum of current times voltage over the rails that have both.

    Current and voltage of a rail have different numbers in parentheses, and the same name. What the board's input
    (EXT5V) carries is not measured: neither what USB devices draw nor what the regulators lose is in the sum.
    """
    amperes = dict(re.findall(r"(\w+)_A current\(\d+\)=(\d+(?:\.\d+)?)A", answer))
    volts = dict(re.findall(r"(\w+)_V volt\(\d+\)=(\d+(?:\.\d+)?)V", answer))
    rails = amperes.keys() & volts.keys()
    return sum(float(amperes[rail]) * float(volts[rail]) for rail in sorted(rails)) if rails else None


def _number(pattern: str, answer: str) -> float | None:
    found = re.search(pattern, answer, re.MULTILINE)
    return float(found[1]) if found else None


def _run(command: tuple[str, ...]) -> tuple[int | None, str]:
    """The exit code, None without one, and what was printed."""
    program = shutil.which(PROGRAM)  # where it stands differs by system
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
