"""Commands of tledge that are signalled or killed while they run, each with all of its descendants."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MARK = "TLEDGE_TEST_MARK"
"""An environment variable that every descendant of a command inherits."""

HEEDING = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
"""What runs the tests may have been started to ignore Ctrl-C, which its children inherit."""

MAIN = "from tledge.cli.main import main; main()"


class RunningCommand:
    """A command in a session of its own."""

    def __init__(self, arguments: tuple[object, ...], cwd: Path, mark: str) -> None:
        self._mark = f"{MARK}={mark}".encode()
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", HEEDING + MAIN, *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, MARK: mark, "TMPDIR": str(cwd)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def end(self, number: int, *, group: bool = False) -> tuple[int, str, str]:
        """Sends a signal, to the whole process group like a terminal if ``group``; the exit code and the outputs."""
        with suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.process.pid, number)
        out, err = self.process.communicate(timeout=120)
        code = self.process.returncode
        return 128 - code if code < 0 else code, out, err

    def descendants(self) -> set[int]:
        """The processes of this command that live, itself included."""
        found = set()
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                if state not in "ZX" and self._mark in (folder / "environ").read_bytes().split(b"\0"):
                    found.add(int(folder.name))
        return found

    def orphans(self, patience: float = 5.0) -> set[int]:
        """The processes that still live some seconds after the command has ended."""
        deadline = time.monotonic() + patience
        while (left := self.descendants()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return left


@contextmanager
def running(*arguments: object, cwd: Path) -> Iterator[RunningCommand]:
    """Starts a command; whatever is left of it is killed at the end."""
    command = RunningCommand(arguments, cwd, uuid.uuid4().hex)
    try:
        yield command
    finally:
        command.process.kill()
        command.process.communicate()
        for left in command.descendants():
            with suppress(ProcessLookupError):
                os.kill(left, signal.SIGKILL)
