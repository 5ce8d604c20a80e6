"""The machine and software that a number was measured on."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tledge.core.cores import usable_cores
from tledge.core.errors import MeasurementError
from tledge.core.field_bounds import Count, PositiveCount
from tledge.core.records import Record
from tledge.core.system_files import read_text


@dataclass(frozen=True, kw_only=True)
class Environment(Record, error=MeasurementError, remedy="run the benchmark again"):
    """A machine and its software; equal records have equal ids.

    Attributes:
        host: the machine's name.
        machine: the instruction set ("x86_64", "aarch64").
        cpu: the CPU's model name, or the board's name for boards.
        cpu_features: the CPU's instruction set extensions, sorted.
        cores: logical cores of the machine.
        usable_cores: cores that this process may use.
        governor: the frequency governor of core 0; empty if unknown.
        memory: bytes of RAM; 0 if unknown.
        os: name and version of the operating system.
        python: the Python version.
        packages: versions of the distributions that the measurement depends on.
    """

    host: str
    machine: str
    cpu: str
    cpu_features: tuple[str, ...]
    cores: PositiveCount
    usable_cores: PositiveCount
    governor: str
    memory: Count
    os: str
    python: str
    packages: Mapping[str, str]

    @property
    def id(self) -> str:
        """12 hexadecimal digits that identify this record."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:12]


def installed_versions(distributions: Iterable[str]) -> dict[str, str]:
    """Returns the versions of those distributions that are installed."""
    versions = {}
    for name in distributions:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


@functools.cache
def read_board_model(root: Path = Path("/")) -> str:
    """Returns a board's full name ("Raspberry Pi 5 Model B Rev 1.0"); empty if the machine is not a board.

    A Raspberry Pi has it in ``/proc/cpuinfo``, also in containers. Other boards have it in their device tree, as text
    that ends with NUL (Devicetree Specification, section 2.3.2).

    Args:
        root: the folder that contains ``proc``.
    """
    name = _first(read_text(root / "proc/cpuinfo"), "Model") or read_text(root / "proc/device-tree/model")
    return " ".join(name.replace("\0", " ").split())


def read_environment(distributions: Iterable[str] = (), *, root: Path = Path("/")) -> Environment:
    """Reads the record of this machine.

    Args:
        distributions: distributions whose versions to record, besides tledge and numpy.
        root: the folder that contains ``proc`` and ``sys``.
    """
    cpuinfo = read_text(root / "proc/cpuinfo")
    cpu = read_board_model(root) or _first(cpuinfo, "model name", "Hardware")
    return Environment(
        host=platform.node(),
        machine=platform.machine(),
        cpu=cpu or platform.processor() or platform.machine(),
        cpu_features=tuple(sorted(_first(cpuinfo, "flags", "Features").split())),
        cores=os.cpu_count() or 1,
        usable_cores=usable_cores(),
        governor=read_text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        memory=_memory(root),
        os=_operating_system(),
        python=platform.python_version(),
        packages=installed_versions(("tledge", "numpy", *distributions)),
    )


def _operating_system() -> str:
    kernel = f"{platform.system()} {platform.release()}"
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {kernel}"
    except (OSError, KeyError):
        return kernel


def _memory(root: Path) -> int:
    match = re.search(r"MemTotal:\s+(\d+) kB", read_text(root / "proc/meminfo"))
    return int(match[1]) * 1024 if match else 0


def _first(text: str, *keys: str) -> str:
    for key in keys:
        match = re.search(rf"^{re.escape(key)}\s*:\s*(.+)$", text, re.MULTILINE)
        if match:
            return match[1].strip()
    return ""
