"""Ties a process to its parent: it ends when the parent does, however that happens.

On Linux the kernel kills it, also in the middle of a native call (prctl(2), PR_SET_PDEATHSIG). The kernel watches the
parent's thread that started the process, so that thread has to live as long. Run as a script, this file ties a program
that is not ours and becomes it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1


def end_with_parent() -> bool:
    """Makes the kernel kill this process when its parent ends; returns whether this system can do so.

    A parent that ended earlier is not noticed: the caller checks for that afterwards.
    """
    if sys.platform != "linux":
        return False
    try:
        import ctypes

        return bool(ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0) == 0)
    except (ImportError, OSError, AttributeError):  # a Python without ctypes
        return False


def tied(command: Sequence[str | Path]) -> list[str]:
    """Returns a command that runs a program so that it ends with this process; unchanged where that is impossible."""
    if sys.platform != "linux":
        return [str(part) for part in command]
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *map(str, command)]


def _become(parent: int, command: list[str]) -> None:
    """Ends with the parent, and replaces this process by a program."""
    end_with_parent()
    if os.getppid() != parent:
        sys.exit(1)
    try:
        os.execvp(command[0], command)  # noqa: S606 - an argument list of our own
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    _become(int(sys.argv[1]), sys.argv[2:])
