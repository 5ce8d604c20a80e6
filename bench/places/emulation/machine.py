"""An emulated board that is set up, and running Python on it."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tledge.bench.places.emulation.boards import Board
from tledge.core.errors import MeasurementError
from tledge.core.parent_death import tied

INTERPRETER = "usr/bin/python3.11"
"""The Python of Debian bookworm, in the root folder."""

TIMEOUT = 3600.0
"""Seconds after which an emulated program or a request to it counts as stuck."""


@dataclass(frozen=True, kw_only=True)
class EmulatedMachine:
    """A board's root folder, and the libraries of its Python.

    Attributes:
        board: the board whose CPU is emulated.
        qemu: the emulator on this machine.
        root: the folder that emulated programs see as ``/``; for files that it lacks, they see those of this machine.
        libraries: folders of Python packages: the wheels, and tledge itself.
    """

    board: Board
    qemu: Path
    root: Path
    libraries: tuple[Path, ...]

    def command(self, arguments: Sequence[str | Path]) -> list[str]:
        """Returns the command that runs the emulated Python with these arguments."""
        emulator = [self.qemu, "-cpu", self.board.qemu_cpu, "-L", self.root]
        # -P: no imports from the script's folder; -s: none of the user's packages, which are for this machine.
        return [str(part) for part in (*emulator, self.root / INTERPRETER, "-P", "-s", *arguments)]

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables of emulated programs; those of this machine may be tuned for its CPU."""
        paths = ":".join(map(str, self.libraries))
        return {"LC_ALL": "C.UTF-8", "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}


def run_python(
    machine: EmulatedMachine, arguments: Sequence[str | Path], *, seconds: float = TIMEOUT
) -> subprocess.CompletedProcess[str]:
    """Runs the emulated Python with these arguments to its end; after some seconds it counts as stuck.

    Returns:
        Its exit code (the negative number of a signal that ended it) and its output.

    Raises:
        MeasurementError: it did not end in time.
    """
    try:
        return subprocess.run(
            tied(machine.command(arguments)),
            env=machine.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise MeasurementError(
            f"Python on the emulated {machine.board.name} did not respond within {seconds:.0f} s"
        ) from error
