"""The number of cores that this process may use, which can be fewer than the machine has.

It is limited by the affinity of the process and by the CPU quotas of its control group and all groups above, such as a
container's or a systemd slice's. From Python 3.13 on, ``PYTHON_CPU_COUNT`` replaces the affinity if it is set.

Source: the kernel's Documentation/admin-guide/cgroup-v2.rst (cpu.max) and scheduler/sched-bwc.rst (version 1).
"""

from __future__ import annotations

import math
import os
from pathlib import Path

from tledge.core.control_groups import group_folders
from tledge.core.system_files import read_text


def usable_cores() -> int:
    """Returns the number of cores that this process may use, at least 1; a quota of 1.5 cores counts as 2."""
    quota = cpu_quota()
    counted = _counted()
    return counted if quota >= counted else max(1, math.ceil(quota))


def cpu_quota(root: Path = Path("/")) -> float:
    """Returns the CPU quota of this process in cores: the smallest of its control group and all groups above.

    Args:
        root: the folder that contains ``proc`` and ``sys``.

    Returns:
        Infinity if there is no quota, or if it cannot be read.
    """
    quotas = (
        _quota(folder) if version == 2 else _quota_of_version_1(folder)
        for version, folder in group_folders("cpu", root)
    )
    return min(quotas, default=math.inf)


def _counted() -> int:
    if hasattr(os, "process_cpu_count"):
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota(group: Path) -> float:
    """Reads ``cpu.max``: "150000 100000", microseconds of time per period, or "max 100000"."""
    quota, _, period = read_text(group / "cpu.max").partition(" ")
    return _divided(quota, period)


def _quota_of_version_1(group: Path) -> float:
    """Reads the quota of a version 1 group, where -1 means no quota."""
    return _divided(read_text(group / "cpu.cfs_quota_us"), read_text(group / "cpu.cfs_period_us"))


def _divided(quota: str, period: str) -> float:
    return float(quota) / float(period) if quota.isdigit() and period.isdigit() and int(period) else math.inf
