"""Work in a child process, the parent's side: one protocol for every Python process that tledge starts.

The parent writes each request as a line of JSON to the child's standard input. The child (see ``core.worker_child``)
replies with lines of JSON, each a list:

    ["note", label, text], ["warn", text]                       progress, see ``core.progress``
    ["step", label, total, unit], ["begin", detail, seconds], ["advance", count, detail], ["mark", detail]
    ["end"], ["fail"]                                           of the latest open step
    ["result", value]                                           ends the request
    ["error", message]                                          ends the request, and the child

Large arrays are passed in files that a request names. What libraries print in the child is logged, as a warning if the
child failed, and never gets into the protocol. A child ends when its standard input closes or its parent ends (see
``core.parent_death``), unless it serves with ``outlive_parent``. Ctrl-C, SIGTERM and SIGHUP do not reach a child: its
parent decides what they mean, and ends it.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Timer
from typing import IO, Annotated, Any, Self, cast

from tledge.core.bounded_json import parse_json
from tledge.core.errors import MeasurementError, TledgeError
from tledge.core.field_bounds import AnyFloat, Characters, Count, shown
from tledge.core.interrupt_delay import ENDING_SIGNALS
from tledge.core.progress import Progress, Step
from tledge.core.record_types import convert

_log = logging.getLogger(__name__)

SECONDS_TO_END = 10.0
"""How long a child may take to end by itself after its standard input was closed."""

_kept_open: set[int] = set()


@contextmanager
def kept_open_in_children(descriptor: int) -> Iterator[None]:
    """Children that are started in this block hold a file descriptor open, too: a lock lasts until they have ended."""
    _kept_open.add(descriptor)
    try:
        yield
    finally:
        _kept_open.discard(descriptor)


def python_module(name: str, *arguments: str | Path) -> list[str]:
    """Returns the command that runs a module in a new Python like this one.

    ``-P`` keeps the working directory out of the module path: a user's file may have the name of a library.
    """
    return [sys.executable, "-P", "-m", name, *map(str, arguments)]


def quiet_environment() -> dict[str, str]:
    """Returns this process's environment variables, with TensorFlow's log reduced to errors."""
    return {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}


def describe_end(code: int, printed: str) -> str:
    """Describes how a program ended, for an error message: "ended with exit code 1: no such file".

    Args:
        code: its exit code; the negative number of a signal that ended it.
        printed: what it wrote on standard error; the last line is quoted.
    """
    last = (printed.strip().splitlines() or ["it printed nothing"])[-1]
    return f"{describe_signal(code) if code < 0 else f'ended with exit code {code}'}: {last}"


def describe_signal(code: int) -> str:
    """Describes the end of a program by a signal: "was ended by SIGSEGV"; ``code`` is the signal's negative number."""
    if code == -signal.SIGKILL:
        return "was killed (SIGKILL), probably for lack of memory"
    return f"was ended by {signal_name(code)}"


def signal_name(code: int) -> str:
    """Returns the name of the signal that ended a program: "SIGSEGV"; ``code`` is the signal's negative number."""
    return {-int(item): item.name for item in signal.Signals}.get(code, f"signal {-code}")


class ChildEnd(Exception):  # noqa: N818 - the cause of an error, never raised by itself
    """How a child ended before it replied: the ``__cause__`` of the error that :meth:`Worker.ask` raises.

    Attributes:
        code: its exit code; the negative number of a signal that ended it.
        timed_out: it was killed because it took too long.
    """

    def __init__(self, code: int, *, timed_out: bool) -> None:
        super().__init__(code)
        self.code, self.timed_out = code, timed_out


class Worker:
    """A child process that serves requests; use it in a ``with`` block, which ends the child.

    Args:
        command: the program, as from :func:`python_module`; it calls ``worker_child.serve``.
        name: the work's name in error messages ("int8.tflite on litert:cpu:2").
        error: the type of the errors that :meth:`ask` raises.
        timeout: seconds that one request may take; after that the child counts as stuck and is killed. No limit by
            default.
        progress: shows the child's progress.
        environment: environment variables; by default those of :func:`quiet_environment`.

    Attributes:
        started: when the child was started, in ns of the monotonic clock that all processes share.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        name: str,
        error: type[TledgeError] = MeasurementError,
        timeout: float | None = None,
        progress: Progress | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._error = error
        self._timeout = timeout
        self._progress = progress or Progress()
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed in close
        self._timed_out = False
        self._failed = False
        self.started = time.monotonic_ns()
        process: subprocess.Popen[str] | None = None
        try:
            with _signals_blocked():
                process = subprocess.Popen(
                    list(command),
                    env=quiet_environment() if environment is None else dict(environment),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=self._errors,
                    encoding="utf-8",
                    errors="replace",
                    pass_fds=tuple(_kept_open),
                )
        except BaseException:  # a signal arrives when it is no longer blocked
            if process is not None:
                process.kill()
                process.wait()
            self._errors.close()
            raise
        self._process = process
        self._pipes = cast(IO[str], self._process.stdin), cast(IO[str], self._process.stdout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.close(patient=kind is None)

    def ask(self, request: Any) -> Any:
        """Sends a request and waits for its result, showing progress meanwhile.

        Args:
            request: any value that JSON can hold.

        Returns:
            The result, decoded from JSON.

        Raises:
            TledgeError: of the type ``error``: the child reported an error, ended, or took longer than the timeout.
            KeyboardInterrupt: Ctrl-C; the child is killed when the ``with`` block ends.
        """
        if self._timeout is None:
            return self._exchange(json.dumps(request))
        watchdog = Timer(self._timeout, self._time_out)
        watchdog.daemon = True
        watchdog.start()
        try:
            return self._exchange(json.dumps(request))
        finally:
            watchdog.cancel()

    def close(self, *, patient: bool = True) -> None:
        """Ends the child, at once unless ``patient``, and logs what it printed: as a warning if a request failed."""
        process = self._process
        stdin, stdout = self._pipes
        if patient and not self._failed:
            with suppress(OSError, subprocess.TimeoutExpired):
                stdin.close()
                process.wait(SECONDS_TO_END)
        process.kill()
        process.wait()
        for stream in (stdin, stdout):
            with suppress(OSError):  # bytes that the child no longer reads
                stream.close()
        if not self._errors.closed:
            printed = self._printed()
            self._errors.close()
            if printed:
                level = logging.WARNING if self._failed else logging.INFO
                _log.log(level, "--- %s\n%s", self.name, printed.rstrip("\n"))

    def _exchange(self, line: str) -> Any:
        stdin, stdout = self._pipes
        with suppress(BrokenPipeError):  # it has ended; its exit code says more
            stdin.write(f"{line}\n")
            stdin.flush()
        try:
            reply = read_reply(stdout, self._progress)
        except ValueError as error:
            self._failed = True
            raise self._error(f"{self.name} sent a message that is not one of the protocol: {error}") from error
        if reply is None:
            self._failed = True
            end = ChildEnd(self._process.wait(), timed_out=self._timed_out)
            raise self._ended(end) from end
        kind, value = reply
        if kind == "error":
            self._failed = True
            raise self._error(str(value))
        return value

    def _ended(self, end: ChildEnd) -> TledgeError:
        """Returns the error for a child that ended before it replied."""
        if self._timed_out and self._timeout is not None:
            return self._error(f"{self.name} did not reply within {_duration(self._timeout)}")
        return self._error(f"{self.name} {describe_end(end.code, self._printed())}")

    def _printed(self) -> str:
        self._errors.seek(0)
        return self._errors.read()

    def _time_out(self) -> None:
        self._timed_out = True
        self._process.kill()


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """Blocks the signals that end a program; a process that is started in the block never receives them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run_worker(command: Sequence[str], request: Any, *, name: str, **options: Any) -> Any:
    """Sends one request to a new child process and returns its result; see :class:`Worker` for the arguments."""
    with Worker(command, name=name, **options) as worker:
        return worker.ask(request)


def read_reply(lines: Iterable[str], progress: Progress) -> tuple[str, Any] | None:
    """Reads what a child writes for one request, and shows the progress in it.

    Args:
        lines: the child's standard output.
        progress: shows the child's progress.

    Returns:
        ("result", value) or ("error", message); None if the lines end before that.

    Raises:
        ValueError: a line is not a message of the protocol; another machine may write anything.
    """
    reply: tuple[str, Any] | None = None
    with suppress(_StepFailedError), ExitStack() as whole:
        steps: list[tuple[Step, ExitStack]] = []
        for line in lines:
            if not line.endswith("\n"):  # cut off by the end of the process
                break
            kind, values = _parse_message(line, steps=len(steps))
            if kind in ("result", "error"):
                reply = kind, values[0]
                break
            if kind == "step":
                stack = whole.enter_context(ExitStack())
                steps.append((stack.enter_context(progress.step(*values)), stack))
            elif kind == "end":
                steps.pop()[1].close()
            elif kind == "fail":
                with suppress(_StepFailedError), steps.pop()[1]:
                    raise _StepFailedError
            elif kind in ("note", "warn"):
                getattr(progress, kind)(*values)
            else:
                getattr(steps[-1][0], kind)(*values)
        if reply is None or reply[0] == "error":
            raise _StepFailedError  # into the steps that are still open
    return reply


_TEXT = Annotated[str, Characters(most=1 << 20)]
_MESSAGES: Mapping[str, tuple[Any, ...]] = {
    "note": (_TEXT, _TEXT),
    "warn": (_TEXT,),
    "step": (_TEXT, Count, _TEXT),
    "begin": (_TEXT, AnyFloat | None, AnyFloat | None),
    "advance": (int, _TEXT),
    "mark": (_TEXT,),
    "end": (),
    "fail": (),
    "result": (object,),
    "error": (_TEXT,),
}
"""The values of each kind of message; those of ``_OF_STEP`` need an open step."""

_OF_STEP = ("begin", "advance", "mark", "end", "fail")


def _parse_message(line: str, *, steps: int) -> tuple[str, list[Any]]:
    """Returns the kind and the values of a line of the protocol. Raises ValueError if it is none."""
    message = parse_json(line)
    if not isinstance(message, list) or not message or message[0] not in tuple(_MESSAGES):
        raise ValueError(f"expected one of {', '.join(_MESSAGES)}, received {shown(message)}")
    kind, *values = message
    declared = _MESSAGES[kind]
    needed = 1 if kind == "begin" else len(declared)
    if len(values) < needed:
        raise ValueError(f"'{kind}' has {len(values)} values, not {needed}")
    if kind in _OF_STEP and not steps:
        raise ValueError(f"'{kind}' without a step")
    of_kind = zip(values, declared, strict=False)
    return kind, [item if each is object else convert(item, each, kind) for item, each in of_kind]


class _StepFailedError(Exception):
    """Passes through a step that failed in the child, so that it does not look finished here."""


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.0f} hours" if seconds >= 7200 else f"{seconds:.0f} s"
