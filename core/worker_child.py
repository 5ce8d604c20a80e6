"""Work in a child process, the child's side; see ``core.worker`` for the protocol."""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Event, Thread
from typing import IO, Any

from tledge.core.errors import TledgeError
from tledge.core.parent_death import end_with_parent
from tledge.core.progress import Progress, Step

ORPHANED = 75
"""The exit code of a child whose parent ended during a request (EX_TEMPFAIL)."""


class RelayedProgress(Progress):
    """Progress that the parent shows: every call writes a line of the protocol to ``stream``."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def note(self, label: str, text: str) -> None:
        self.send("note", label, text)

    def warn(self, text: str) -> None:
        self.send("warn", text)

    @contextmanager
    def step(self, label: str, total: int, unit: str) -> Iterator[Step]:
        self.send("step", label, total, unit)
        try:
            yield _RelayedStep(self)
        except BaseException:
            self.send("fail")
            raise
        self.send("end")

    def send(self, *line: Any) -> None:
        """Writes one line of the protocol."""
        print(json.dumps(line), file=self._stream, flush=True)


class _RelayedStep(Step):
    def __init__(self, progress: RelayedProgress) -> None:
        self._progress = progress

    def begin(self, detail: str, seconds: float | None = None, later: float | None = None) -> None:
        self._progress.send("begin", detail, seconds, later)

    def advance(self, count: int = 1, detail: str = "") -> None:
        self._progress.send("advance", int(count), detail)

    def mark(self, detail: str) -> None:
        self._progress.send("mark", detail)


def serve(handle: Callable[[Any, Progress], Any], *, outlive_parent: bool = False) -> int:
    """Serves requests from standard input until it closes; the body of a child process's ``main``.

    Everything else that is written to standard output, also by native libraries, goes to standard error instead.

    Args:
        handle: takes a request and a progress to report to, and returns a result that JSON can hold. A ``TledgeError``
            that it raises is reported to the parent.
        outlive_parent: finish the current request even if the parent ends. Otherwise the process ends at once, with
            exit code 75.

    Returns:
        The process's exit code.
    """
    if not outlive_parent and end_with_parent() and _parent_is_gone():
        return ORPHANED
    progress = RelayedProgress(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)
    requests: SimpleQueue[str] = SimpleQueue()
    busy = Event()

    def read() -> None:
        for line in sys.stdin:
            busy.set()
            requests.put(line)
        if busy.is_set() and not outlive_parent:
            os._exit(ORPHANED)
        requests.put("")

    Thread(target=read, daemon=True).start()
    try:
        while line := requests.get():
            result = handle(json.loads(line), progress)
            busy.clear()
            progress.send("result", result)
    except TledgeError as error:
        progress.send("error", str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the parent is gone
        return ORPHANED
    return 0


def _parent_is_gone() -> bool:
    """Returns whether the other end of standard input is closed: the parent ended before the kernel watched it."""
    poll = select.poll()
    poll.register(0, 0)
    return any(event & select.POLLHUP for _, event in poll.poll(0))
