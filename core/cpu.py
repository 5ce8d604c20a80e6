"""The CPUs on which an artifact's integer arithmetic is exact.

x86 CPUs with AVX2 or AVX-512 but without VNNI multiply 8-bit integers with an instruction (vpmaddubsw) that adds two
products in 16 bits and saturates if the sum does not fit. With 7-bit weights it always fits.
"""

from __future__ import annotations

import functools
import platform
from collections.abc import Collection
from pathlib import Path

CPUS = ("any", "x86", "arm")
"""The values of ``export(cpu=...)``. Only ``arm`` gives another file: with 8-bit weights, which some x86 CPUs cannot
multiply exactly."""

X86 = frozenset({"x86_64", "amd64", "i686"})

ARM = frozenset({"aarch64", "arm64"})

CPUINFO = Path("/proc/cpuinfo")


class CpuWarning(UserWarning):
    """An artifact was exported for another CPU, cannot use its fastest kernels, or runs on more threads than cores."""


@functools.cache
def saturates() -> bool:
    """Whether 8-bit products may saturate on this machine: an x86 CPU that does not report VNNI."""
    try:
        features = CPUINFO.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        features = []
    return _may_saturate(platform.machine(), frozenset(features))


def mismatch(cpu: str) -> str:
    """Returns why this machine may compute other logits than the CPU of an artifact's sidecar; empty if it may not."""
    return _explain(cpu, platform.machine(), saturating=saturates())


def mismatch_on(cpu: str, machine: str, features: Collection[str]) -> str:
    """Returns what :func:`mismatch` returns on another machine.

    Args:
        cpu: the ``cpu`` of the artifact's sidecar.
        machine: the machine's instruction set ("aarch64").
        features: the CPU's extensions, by their names in Linux.
    """
    return _explain(cpu, machine, saturating=_may_saturate(machine, features))


def missing_int8_instructions(machine: str, features: Collection[str]) -> str:
    """Returns what a CPU lacks for fast 8-bit arithmetic: "VNNI", "asimddp"; empty if it lacks nothing or is unknown.

    Args:
        machine: the machine's instruction set ("aarch64").
        features: the CPU's extensions, by their names in Linux; empty if they are not known.
    """
    if not features:
        return ""
    if machine.lower() in X86:
        return "VNNI" if _may_saturate(machine, features) else ""
    return "asimddp" if machine.lower() in ARM and "asimddp" not in features else ""


def _may_saturate(machine: str, features: Collection[str]) -> bool:
    return machine.lower() in X86 and not {"avx512_vnni", "avx_vnni"} & set(features)


def _explain(cpu: str, machine: str, *, saturating: bool) -> str:
    if cpu == "arm" and saturating:
        return (
            "it was exported for ARM. This x86 CPU has no VNNI, so 8-bit products saturate and predictions differ from"
            " those on ARM; export it with `export(cpu='any')`"
        )
    if cpu == "x86" and machine.lower() not in X86:
        return (
            f"it was exported for x86, and its predictions were not checked on this CPU ({machine}); export it"
            " with `export(cpu='any')` or `export(cpu='arm')`"
        )
    return ""
