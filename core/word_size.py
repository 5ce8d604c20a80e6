"""Whether this Python has 64 bits, without which no runtime of artifacts can be installed.

What counts is Python's own size: 32-bit Raspberry Pi OS runs on a 64-bit kernel on newer boards, which then calls
itself aarch64. Only the standard library is needed: on such a system the others may be broken, too.
"""

from __future__ import annotations

import sys


def word_size_problem() -> str:
    """What is wrong with a 32-bit system, and what to do; empty on all others."""
    if sys.maxsize > 2**32:
        return ""
    import platform

    machine = platform.machine()
    on_arm = machine.startswith(("arm", "aarch64"))
    remedy = (
        "64-bit Raspberry Pi OS (on a Pi 3, 4, 5 or Zero 2 W; older boards cannot)" if on_arm else "a 64-bit Python"
    )
    return (
        f"this system is 32-bit (Python {platform.python_version()} of 32 bits on {machine}), and neither LiteRT nor"
        f" ONNX Runtime has a wheel for it; install {remedy}"
    )


def check_word_size() -> None:
    """Raises TargetError on a 32-bit system."""
    found = word_size_problem()
    if found:
        from tledge.core.errors import TargetError  # here, because setup.py runs this file before tledge is installed

        raise TargetError(found)
