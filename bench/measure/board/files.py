"""The files of ``/proc`` and ``/sys`` by which Linux tells of a machine's heat, clock and memory.

Source: Linux, Documentation/driver-api/thermal/sysfs-api.rst, Documentation/admin-guide/pm/cpufreq.rst,
Documentation/filesystems/proc.rst.
"""

from __future__ import annotations

import re
from pathlib import Path

from tledge.core.system_files import read_text


def read_temperature(root: Path) -> float | None:
    """Degrees Celsius of the hottest sensor; None where there is none."""
    zones = root.glob("sys/class/thermal/thermal_zone*/temp")
    return max((value / 1000 for value in map(read_number, zones) if value is not None), default=None)


def find_policies(root: Path) -> list[Path]:
    """A folder for each set of cores that share a clock: one on a Raspberry Pi, two on a board with big and small."""
    return sorted(root.glob("sys/devices/system/cpu/cpufreq/policy[0-9]*"))


def read_clock(policy: Path) -> float | None:
    """MHz that the kernel asked for; a Raspberry Pi that is held down may run slower than that."""
    kilohertz = read_number(policy / "scaling_cur_freq")
    return None if kilohertz is None else kilohertz / 1000


def read_governor(policy: Path) -> str:
    """What decides upon the clock; empty where the system does not tell."""
    return read_text(policy / "scaling_governor")


def read_memory_available(root: Path) -> int | None:
    """Bytes that programs can still have without swapping."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB$", read_text(root / "proc/meminfo"), re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def read_number(path: Path) -> float | None:
    """A file's number; None where it holds none."""
    try:
        return float(read_text(path))
    except ValueError:
        return None
