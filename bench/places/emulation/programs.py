"""The Debian programs that emulation requires on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tledge.core.errors import TargetError
from tledge.core.parent_death import tied
from tledge.core.worker import describe_end

PACKAGES = {
    "qemu-aarch64-static": "qemu-user-static",
    "debootstrap": "debootstrap",
    "dpkg-deb": "dpkg",
}
"""The Debian package of each program."""

TIMEOUT = 1800.0
"""Seconds after which a program counts as stuck."""

SYSTEM_FOLDERS = ("/usr/sbin", "/sbin")
"""Folders of some of them, which are only in root's PATH."""


def find_programs(names: Iterable[str]) -> dict[str, Path]:
    """Returns the path of each of these programs.

    Raises:
        TargetError: one is not installed (all missing packages are named), or this is not Linux.
    """
    if sys.platform != "linux":
        raise TargetError(f"boards can only be emulated on Linux; this is {sys.platform}")
    found = {name: shutil.which(name, path=_search_path()) for name in names}
    missing = [PACKAGES[name] for name, path in found.items() if path is None]
    if missing:
        raise TargetError(
            f"emulating a board needs {' and '.join(missing)}, not installed here: apt-get install {' '.join(missing)}"
        )
    return {name: Path(path) for name, path in found.items() if path is not None}


def call(command: Sequence[str | Path], *, purpose: str) -> None:
    """Runs a program of this machine to its end; error messages say its purpose ("download Debian bookworm").

    Raises:
        TargetError: it failed; the last line it printed is quoted.
    """
    try:
        done = subprocess.run(
            tied(command),
            env={**os.environ, "PATH": _search_path()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TargetError(f"could not {purpose}: {command[0]} did not respond within {TIMEOUT:.0f} s") from error
    if done.returncode != 0:
        raise TargetError(f"could not {purpose}: {Path(command[0]).name} {describe_end(done.returncode, done.stdout)}")


def _search_path() -> str:
    return os.pathsep.join((os.environ.get("PATH", os.defpath), *SYSTEM_FOLDERS))
