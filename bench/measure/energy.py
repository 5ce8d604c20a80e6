"""Energy, where the machine reports it: RAPL on x86, the power management chip of a Raspberry Pi 5.

Both tell of the whole processor or board, whatever runs on it.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from pathlib import Path

from tledge.bench.measure.board import read_power

PMIC_INTERVAL = 0.2
"""Seconds between two readings of the power management chip; reading it takes some milliseconds."""


class EnergyMeter(ABC):
    """Measures what is used between ``start`` and ``stop``.

    Attributes:
        source: "rapl" or "pmic".
    """

    source: str

    @abstractmethod
    def start(self) -> None:
        """Begins."""

    def sample(self) -> None:  # noqa: B027 - a meter that knows energy has nothing to do
        """To be called often, beside what is measured, for a meter that knows power and not energy."""

    @abstractmethod
    def stop(self) -> float:
        """Joules since ``start``; NaN where the meter did not answer."""


class RaplMeter(EnergyMeter):
    """The counters of the processor packages.

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
            if difference < 0:  # the counter began anew
                difference += _read_microjoules(package / "max_energy_range_uj")
            used += difference
        return used / 1e6


class PmicMeter(EnergyMeter):
    """The currents and voltages of a Raspberry Pi 5's rails, summed and integrated by trapezoids."""

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
        pairs = zip(self._readings, self._readings[1:], strict=False)
        return sum((end - begin) * (power + later) / 2 for (begin, power), (end, later) in pairs)

    def _read(self) -> None:
        watts = read_power()
        if watts is not None:
            self._readings.append((time.monotonic(), watts))


def find_meter(root: Path = Path("/")) -> EnergyMeter | None:
    """The meter of this machine; None where it reports no energy, or not to this user.

    Args:
        root: where ``/sys`` is.
    """
    packages = sorted(
        path
        for path in root.glob("sys/class/powercap/intel-rapl:*")
        if path.name.count(":") == 1 and _is_package(path) and _is_readable(path / "energy_uj")
    )
    if packages:
        return RaplMeter(packages)
    return PmicMeter() if read_power() is not None else None


def _is_package(domain: Path) -> bool:
    """Not a part of one, nor the whole platform ("psys"), which holds the packages."""
    try:
        return (domain / "name").read_text(encoding="ascii").startswith("package")
    except (OSError, ValueError):
        return False


def _is_readable(counter: Path) -> bool:
    """Linux lets only root read it, unless a person has decided otherwise."""
    try:
        _read_microjoules(counter)
    except (OSError, ValueError):
        return False
    return True


def _read_microjoules(counter: Path) -> int:
    return int(counter.read_text(encoding="ascii"))
