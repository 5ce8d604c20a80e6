"""Progress of another process: it writes lines on its standard output, and this one shows them.

Each line is a JSON list: ["note", label, text], ["warn", text], ["step", label, total, unit], ["advance", count,
detail], ["mark", detail] or ["end"].
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from tledge.core.child import python_module, quiet_environment
from tledge.core.progress import Progress, Step


class RelayedProgress(Progress):
    """What the other process tells its work; every call becomes a line.

    Args:
        stream: where lines go.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def note(self, label: str, text: str) -> None:
        self.tell("note", label, text)

    def warn(self, text: str) -> None:
        self.tell("warn", text)

    @contextmanager
    def step(self, label: str, total: int, unit: str) -> Iterator[Step]:
        self.tell("step", label, total, unit)
        try:
            yield _RelayedStep(self)
        finally:
            self.tell("end")

    def tell(self, *line: str | int) -> None:
        """Writes a line."""
        print(json.dumps(line), file=self._stream, flush=True)


class _RelayedStep(Step):
    def __init__(self, progress: RelayedProgress) -> None:
        self._progress = progress

    def advance(self, count: int = 1, detail: str = "") -> None:
        self._progress.tell("advance", int(count), detail)

    def mark(self, detail: str) -> None:
        self._progress.tell("mark", detail)


def run_relayed(module: str, *arguments: str | Path, progress: Progress) -> tuple[int, str]:
    """Runs a module in a fresh Python whose progress is shown here; it is ended with this one.

    Args:
        module: it writes lines of a :class:`RelayedProgress` on its standard output.
        arguments: of it.
        progress: is told what the module tells.

    Returns:
        Its exit code, and what it wrote on standard error.

    Raises:
        KeyboardInterrupt: a person stopped it; the other process has ended.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        with subprocess.Popen(
            python_module(module, *arguments),
            env=quiet_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
            errors="replace",
        ) as process:
            try:
                _show(process.stdout or (), progress)
                code = process.wait()
            finally:
                process.kill()
        errors.seek(0)
        printed = errors.read()
    if printed:
        sys.stderr.write(f"--- {module}\n{printed}")  # for the log
    return code, printed


def _show(lines: Iterator[str] | IO[str] | tuple[()], progress: Progress) -> None:
    with ExitStack() as whole:
        steps: list[tuple[Step, ExitStack]] = []
        for line in lines:
            if not line.endswith("\n"):  # cut off by the end of the process
                break
            kind, *values = json.loads(line)
            if kind == "step":
                stack = whole.enter_context(ExitStack())
                steps.append((stack.enter_context(progress.step(*values)), stack))
            elif kind == "end":
                steps.pop()[1].close()
            elif kind in ("note", "warn"):
                getattr(progress, kind)(*values)
            else:
                getattr(steps[-1][0], kind)(*values)
