"""Energy meters: RAPL on x86, the power management chip of a Raspberry Pi 5.

Both measure the whole processor or board, including what other programs use.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from itertools import pairwise
from pathlib import Path

from tledge.bench.measure.board import read_power

PMIC_INTERVAL = 0.2
"""Seconds between two readings of the power management chip; a reading takes some milliseconds."""


class EnergyMeter(ABC):
    """Measures the energy used between ``start`` and ``stop``.

    Attributes:
        source: "rapl" or "pmic".
    """

    source: str

    @abstractmethod
    def start(self) -> None:
        """Starts the measurement."""

    def sample(self) -> None:  # noqa: B027 - a meter that counts energy has nothing to do
        """Takes a sample; a meter that reads power rather than energy needs it called often."""

    @abstractmethod
    def stop(self) -> float:
        """Returns the joules since ``start``; NaN if the meter could not be read."""


class RaplMeter(EnergyMeter):
    """The energy counters of the processor packages.

    Source: Linux, Documentation/power/powercap/powercap.rst.

    Args:
        packages: their folders below /sys/class/powercap.
    """

    source = "rapl"

    def __init__(self, packages: list[Path]) -> None:
        self._packages = packages
        self._before: list[int] = []

    def start(self) -> None:
        self._before = [_read_microjoules(package / "energy_uj") for package in self._packages]

    def stop(self) -> float:
        used = 0
        for package, before in zip(self._packages, self._before, strict=True):
            difference = _read_microjoules(package / "energy_uj") - before
            if difference < 0:  # the counter wrapped around
                difference += _read_microjoules(package / "max_energy_range_uj")
            used += difference
        return used / 1e6


class PmicMeter(EnergyMeter):
    """The power of a Raspberry Pi 5's rails, integrated over time by the trapezoidal rule."""

    source = "pmic"

    def __init__(self) -> None:
        self._readings: list[tuple[float, float]] = []

    def start(self) -> None:
        self._readings = []
        self._read()

    def sample(self) -> None:
        if not self._readings or time.monotonic() - self._readings[-1][0] >= PMIC_INTERVAL:
            self._read()

    def stop(self) -> float:
        self._read()
        if len(self._readings) < 2:
            return float("nan")
        return sum((end - begin) * (power + later) / 2 for (begin, power), (end, later) in pairwise(self._readings))

    def _read(self) -> None:
        watts = read_power()
        if watts is not None:
            self._readings.append((time.monotonic(), watts))


def find_meter(root: Path = Path("/")) -> EnergyMeter | None:
    """Returns the energy meter of this machine, whose ``/sys`` is in root; None if there is none this user may read."""
    packages = sorted(
        path
        for path in root.glob("sys/class/powercap/intel-rapl:*")
        if path.name.count(":") == 1 and _is_package(path) and _is_readable(path / "energy_uj")
    )
    if packages:
        return RaplMeter(packages)
    return PmicMeter() if read_power() is not None else None


def _is_package(domain: Path) -> bool:
    """Returns whether a domain is a package: not a part of one, nor the whole platform ("psys") around them."""
    try:
        return (domain / "name").read_text(encoding="ascii").startswith("package")
    except (OSError, ValueError):
        return False


def _is_readable(counter: Path) -> bool:
    """Returns whether this user may read a counter; by default Linux lets only root."""
    try:
        _read_microjoules(counter)
    except (OSError, ValueError):
        return False
    return True


def _read_microjoules(counter: Path) -> int:
    return int(counter.read_text(encoding="ascii"))
