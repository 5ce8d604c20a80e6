"""Whether this Python has 64 bits, which every runtime of artifacts requires.

The kernel's architecture does not decide it: on newer boards, 32-bit Raspberry Pi OS runs on a 64-bit kernel, which
reports aarch64. This module only needs the standard library, since others may not work on such a system.
"""

from __future__ import annotations

import sys


def word_size_problem() -> str:
    """Returns what is wrong with a 32-bit system, and the remedy; empty on a 64-bit one."""
    if sys.maxsize > 2**32:
        return ""
    import platform

    machine = platform.machine()
    on_arm = machine.startswith(("arm", "aarch64"))
    remedy = (
        "64-bit Raspberry Pi OS (on a Pi 3, 4, 5 or Zero 2 W; older boards cannot run it)"
        if on_arm
        else "a 64-bit Python"
    )
    return (
        f"this system is 32-bit (32-bit Python {platform.python_version()} on {machine}), and neither LiteRT nor"
        f" ONNX Runtime has a wheel for it; install {remedy}"
    )


def check_word_size() -> None:
    """Raises TargetError on a 32-bit system."""
    problem = word_size_problem()
    if problem:
        from tledge.core.errors import TargetError  # here, since setup.py runs this file before tledge is installed

        raise TargetError(problem)
