"""Reads temperature, clock and memory from the files of ``/proc`` and ``/sys``.

Source: Linux, Documentation/driver-api/thermal/sysfs-api.rst, Documentation/admin-guide/pm/cpufreq.rst,
Documentation/filesystems/proc.rst.
"""

from __future__ import annotations

import re
from pathlib import Path

from tledge.core.system_files import read_text


def read_temperature(root: Path) -> float | None:
    """Returns the temperature of the hottest sensor in degrees Celsius; None if there is no sensor."""
    zones = root.glob("sys/class/thermal/thermal_zone*/temp")
    return max((value / 1000 for value in map(read_number, zones) if value is not None), default=None)


def find_policies(root: Path) -> list[Path]:
    """Returns a folder for each set of cores that share a clock: one on a Raspberry Pi, two on big.LITTLE boards."""
    return sorted(root.glob("sys/devices/system/cpu/cpufreq/policy[0-9]*"))


def read_clock(policy: Path) -> float | None:
    """Returns the MHz that the kernel requested; a throttled Raspberry Pi may run slower."""
    kilohertz = read_number(policy / "scaling_cur_freq")
    return None if kilohertz is None else kilohertz / 1000


def read_governor(policy: Path) -> str:
    """Returns the frequency governor; empty if the system does not report it."""
    return read_text(policy / "scaling_governor")


def read_memory_available(root: Path) -> int | None:
    """Returns the bytes that programs can still allocate without swapping; None if unknown."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", read_text(root / "proc/meminfo"), re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def read_number(path: Path) -> float | None:
    """Returns the number in a file; None if there is none."""
    try:
        return float(read_text(path))
    except ValueError:
        return None
