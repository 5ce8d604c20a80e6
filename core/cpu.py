"""Which CPUs an artifact's integers are right on.

x86 CPUs with AVX2 or AVX-512 but without VNNI multiply 8-bit integers by an instruction (vpmaddubsw) that adds two
products in 16 bits, and saturates where they do not fit. With 7-bit weights they always fit.
"""

from __future__ import annotations

import functools
import platform
from pathlib import Path

CPUS = ("any", "x86", "arm")
"""What ``tledge export --for`` takes. Only ``arm`` makes another file: with 8-bit weights, which some x86 CPUs cannot
multiply without error."""

CPUINFO = Path("/proc/cpuinfo")


class CpuWarning(UserWarning):
    """An artifact that was exported for another CPU than this one."""


@functools.cache
def saturates() -> bool:
    """Whether this machine's 8-bit products may saturate: an x86 CPU that does not say it has VNNI."""
    if platform.machine().lower() not in ("x86_64", "amd64", "i686"):
        return False
    try:
        flags = CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    return "avx512_vnni" not in flags and "avx_vnni" not in flags


def mismatch(cpu: str) -> str:
    """Why this machine may give other answers than the CPU that an artifact was made for; empty where it does not.

    Args:
        cpu: from the artifact's sidecar.
    """
    if cpu == "arm" and saturates():
        return (
            "it was exported for ARM, and its 8-bit products saturate on this x86 CPU, which has no VNNI: its answers"
            " are not those of the device; export it with --for any"
        )
    return ""
