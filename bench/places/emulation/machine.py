"""A board that is ready to run, and running Python on it."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tledge.bench.places.emulation.boards import Board
from tledge.core.errors import MeasurementError

INTERPRETER = "usr/bin/python3.11"
"""Debian bookworm's Python, in the root folder."""

TIMEOUT = 3600.0
"""Seconds after which an emulated program is taken for stuck."""


@dataclass(frozen=True, kw_only=True)
class EmulatedMachine:
    """A board's root folder, and the libraries that its Python sees.

    Attributes:
        board: whose CPU is emulated.
        qemu: the emulator on this machine.
        root: the folder that emulated programs see as ``/``; what is not in it, they see of this machine.
        libraries: folders of Python packages: the wheels, and tledge itself.
    """

    board: Board
    qemu: Path
    root: Path
    libraries: tuple[Path, ...]

    def command(self, arguments: Sequence[str | Path]) -> list[str]:
        """The command line that runs the emulated Python with these arguments."""
        emulator = [self.qemu, "-cpu", self.board.qemu_cpu, "-L", self.root]
        # -P: a script's folder is no place to import from; -s: nor are the user's packages for another machine.
        return [str(part) for part in (*emulator, self.root / INTERPRETER, "-P", "-s", *arguments)]

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables of emulated programs: none of this machine's, some of which tune its own CPU."""
        return {"LC_ALL": "C.UTF-8", "PYTHONPATH": ":".join(map(str, self.libraries))}


def run_python(
    machine: EmulatedMachine, arguments: Sequence[str | Path], *, seconds: float = TIMEOUT
) -> subprocess.CompletedProcess[str]:
    """Runs the emulated Python to its end.

    Args:
        machine: what :func:`prepare` returned.
        arguments: of Python: a script and its arguments, or "-c" and code.
        seconds: after which it is taken for stuck.

    Returns:
        Its exit code (negative where a signal ended it) and what it printed.

    Raises:
        MeasurementError: it gave no answer for that long.
    """
    try:
        return subprocess.run(
            machine.command(arguments),
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
            f"Python on the emulated {machine.board.name} gave no answer for {seconds:.0f} s"
        ) from error
