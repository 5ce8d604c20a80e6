"""Which CPUs an artifact's integers are right on.

x86 CPUs with AVX2 or AVX-512 but without VNNI multiply 8-bit integers by an instruction (vpmaddubsw) that adds two
products in 16 bits, and saturates where they do not fit. With 7-bit weights they always fit.
"""

from __future__ import annotations

import functools
import platform
from collections.abc import Collection
from pathlib import Path

CPUS = ("any", "x86", "arm")
"""What ``tledge export --for`` takes. Only ``arm`` makes another file: with 8-bit weights, which some x86 CPUs cannot
multiply without error."""

X86 = frozenset({"x86_64", "amd64", "i686"})

CPUINFO = Path("/proc/cpuinfo")


class CpuWarning(UserWarning):
    """An artifact that was exported for another CPU than this one."""


@functools.cache
def saturates() -> bool:
    """Whether this machine's 8-bit products may saturate: an x86 CPU that does not say it has VNNI."""
    try:
        features = CPUINFO.read_text(encoding="utf-8", errors="replace").split()
    except OSError:
        features = []
    return _may_saturate(platform.machine(), frozenset(features))


def mismatch(cpu: str) -> str:
    """Why this machine may give other answers than the CPU that an artifact was made for; empty where it does not.

    Args:
        cpu: from the artifact's sidecar.
    """
    return _explain(cpu, platform.machine(), saturating=saturates())


def mismatch_on(cpu: str, machine: str, features: Collection[str]) -> str:
    """The same of another machine.

    Args:
        cpu: from the artifact's sidecar.
        machine: its instruction set ("aarch64").
        features: its CPU's extensions, as Linux calls them.
    """
    return _explain(cpu, machine, saturating=_may_saturate(machine, features))


def _may_saturate(machine: str, features: Collection[str]) -> bool:
    return machine.lower() in X86 and not {"avx512_vnni", "avx_vnni"} & set(features)


def _explain(cpu: str, machine: str, *, saturating: bool) -> str:
    if cpu == "arm" and saturating:
        return (
            "it was exported for ARM, and its 8-bit products saturate on this x86 CPU, which has no VNNI: its answers"
            " are not those of the device; export it with --for any"
        )
    if cpu == "x86" and machine.lower() not in X86:
        return (
            f"it was exported for x86 and this CPU is {machine}: its answers were not compared on such a one; export it"
            " with --for any or --for arm"
        )
    return ""
