"""The Debian programs that emulation needs on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tledge.core.errors import TargetError

PACKAGES = {
    "qemu-aarch64-static": "qemu-user-static",
    "debootstrap": "debootstrap",
    "dpkg-deb": "dpkg",
}
"""The Debian package of each program."""

SYSTEM_FOLDERS = ("/usr/sbin", "/sbin")
"""Where Debian keeps some of them; not in the PATH of users other than root."""


def find_programs(names: Iterable[str]) -> dict[str, Path]:
    """The path of each of these programs.

    Raises:
        TargetError: one is not installed (all missing packages are named), or this is no Linux.
    """
    if sys.platform != "linux":
        raise TargetError(f"a board can be emulated on Linux only; this is {sys.platform}")
    found = {name: shutil.which(name, path=_search_path()) for name in names}
    missing = [PACKAGES[name] for name, path in found.items() if path is None]
    if missing:
        raise TargetError(
            f"emulating a board needs {' and '.join(missing)}, not installed here: apt-get install {' '.join(missing)}"
        )
    return {name: Path(path) for name, path in found.items() if path is not None}


def call(command: Sequence[str | Path], *, purpose: str, seconds: float = 1800) -> None:
    """Runs a program of this machine to its end.

    Args:
        command: program and arguments.
        purpose: what it is to do, for the error ("download Debian bookworm").
        seconds: after which it is taken for stuck.

    Raises:
        TargetError: it failed; its last words are quoted.
    """
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "PATH": _search_path()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TargetError(f"could not {purpose}: {command[0]} gave no answer for {seconds:.0f} s") from error
    if done.returncode != 0:
        last = (done.stdout.strip().splitlines() or ["it printed nothing"])[-1]
        raise TargetError(f"could not {purpose}: {Path(command[0]).name} ended with {done.returncode}: {last}")


def _search_path() -> str:
    return os.pathsep.join((os.environ.get("PATH", os.defpath), *SYSTEM_FOLDERS))
