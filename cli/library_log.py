"""Keeps the logging of libraries away from the terminal."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path
from typing import IO

from tledge.core import atomic

_logger = logging.getLogger("tledge")


class LibraryLog:
    """Redirects file descriptors 1 and 2 to a file, so that even C++ code logs there.

    Output for the user goes through ``out`` and ``err``, copies of the original descriptors.
    """

    def __init__(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self._saved = (os.dup(1), os.dup(2))
        self.out: IO[str] = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace")
        self.err: IO[str] = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace")
        try:
            handle, name = tempfile.mkstemp(prefix="tledge-", suffix=".log")
        except OSError:  # no writable temporary folder: run without a log
            handle, name = os.open(os.devnull, os.O_WRONLY), ""
        self.path = Path(name) if name else None
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        os.close(handle)
        self._handler = logging.StreamHandler(sys.stderr)
        _logger.addHandler(self._handler)
        _logger.setLevel(logging.INFO)

    def record(self, error: BaseException) -> None:
        """Writes an error with its traceback to the log."""
        with suppress(OSError):  # a full disk must not hide the error
            traceback.print_exception(error, file=sys.stderr)

    def close(self, keep_as: Path | None, keep: bool) -> None:
        """Restores the descriptors; the log is moved to ``keep_as``, kept, or deleted."""
        _logger.removeHandler(self._handler)
        self._flush()
        for descriptor, saved in zip((1, 2), self._saved, strict=True):
            os.dup2(saved, descriptor)
            os.close(saved)
        for stream in (self.out, self.err):
            try:
                stream.close()
            except OSError:  # the reader of the pipe has exited
                continue
        if self.path is None:
            return
        try:
            if keep_as is not None and keep_as.parent.parent.is_dir():
                atomic.write_bytes(keep_as, self.path.read_bytes())
            if not keep:
                self.path.unlink(missing_ok=True)
        except OSError:  # a full disk must not hide how the command ended
            return

    @staticmethod
    def _flush() -> None:
        """Writes what is buffered to the log; where the disk is full it is dropped, not printed on the terminal."""
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            os.close(nowhere)
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
