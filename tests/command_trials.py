"""Runs many commands of tledge quickly and records how each ended: each is a fork of one process that has loaded them.

Used by ``tests/hardening``: a command that ends in a traceback, an internal error or not at all fails the test.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

LIMIT_S = 30.0
"""Seconds after which a command counts as hanging."""


@dataclass(frozen=True)
class Trial:
    """How a command ended.

    Attributes:
        arguments: the command's arguments.
        code: its exit code; the negative number of the signal that ended it.
        out: what it wrote on standard output.
        err: what it wrote on standard error.
        seconds: how long it ran.
        peak_bytes: the most memory that it had, the loaded modules included.
        hung: it was killed, after ``LIMIT_S``.
    """

    arguments: tuple[str, ...]
    code: int
    out: str
    err: str
    seconds: float
    peak_bytes: int
    hung: bool

    def faults(self) -> list[str]:
        """Returns what no command may do, whatever it reads; empty if it ended well or in a clear error."""
        text = self.out + self.err
        faults = ["hung"] if self.hung else []
        faults += [word for word in ("Traceback", "internal error") if word in text]
        if self.code not in (0, 1, 2):
            faults.append(f"ended with {self.code}")
        elif self.code and not text.strip():
            faults.append("gave no error message")
        return faults


class CommandForks:
    """Runs commands as forks of a child process; use it in a ``with`` block.

    Args:
        modules: what the child imports before it forks. No library that starts threads (TensorFlow, a runtime).
    """

    def __init__(self, *modules: str) -> None:
        names = ("tledge.cli.app", "tledge.cli.main", "tledge.core.images", *modules)
        self._child = subprocess.Popen(
            [sys.executable, "-P", __file__, *names], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._child.communicate()

    def run(self, *arguments: object, cwd: Path, limit_s: float = LIMIT_S) -> Trial:
        """Runs one command with an empty standard input."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        request = {"arguments": [str(argument) for argument in arguments], "cwd": str(cwd), "limit_s": limit_s}
        self._child.stdin.write(f"{json.dumps(request)}\n")
        self._child.stdin.flush()
        fields = json.loads(self._child.stdout.readline())
        return Trial(**{**fields, "arguments": tuple(fields["arguments"])})


def _serve(modules: Sequence[str]) -> None:
    for name in modules:
        __import__(name)
    for line in sys.stdin:
        print(json.dumps(asdict(_fork(**json.loads(line)))), flush=True)


def _fork(arguments: list[str], cwd: str, limit_s: float) -> Trial:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.monotonic()
        child = os.fork()
        if child == 0:
            _become_command(arguments, cwd, out.fileno(), err.fileno())
        hung = False
        while True:
            ended, status, usage = os.wait4(child, os.WNOHANG)
            if ended:
                break
            if not hung and time.monotonic() - start > limit_s:
                hung = True
                os.killpg(child, signal.SIGKILL)
            time.sleep(0.005)
        seconds = time.monotonic() - start
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
        code = os.waitstatus_to_exitcode(status)
        return Trial(tuple(arguments), code, texts[0], texts[1], seconds, usage.ru_maxrss * 1024, hung)


def _become_command(arguments: list[str], cwd: str, out: int, err: int) -> None:
    code: Any = 1
    try:
        os.setpgid(0, 0)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for number, descriptor in enumerate((nothing, out, err)):
            os.dup2(descriptor, number)
        os.chdir(cwd)
        sys.argv = ["tledge", *arguments]
        from tledge.cli.main import main

        main()
        code = 0
    except SystemExit as end:
        code = end.code
        if isinstance(code, str):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:  # noqa: BLE001 - what the interpreter would do
        import traceback

        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code or 0)


if __name__ == "__main__":
    _serve(sys.argv[1:])
