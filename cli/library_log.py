"""Keeps the logging of libraries away from the terminal."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from contextlib import ExitStack, suppress
from pathlib import Path

from tledge.cli.output_streams import failure_of, open_lasting
from tledge.core import atomic
from tledge.core.temporary_files import process_folder, system_folder
from tledge.core.terminal_text import printable_lines

_logger = logging.getLogger("tledge")


class _PrintableFormatter(logging.Formatter):
    """Names from files within a message are printable in the log, which users show in a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return printable_lines(super().format(record))


class LibraryLog:
    """Redirects file descriptors 1 and 2 to a file, so that even C++ code logs there.

    Output for the user goes through ``out`` and ``err``, copies of the original descriptors; writing to them never
    fails.
    """

    def __init__(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self._saved = (os.dup(1), os.dup(2))
        self.out, self.err = (
            open_lasting(os.dup(number), encoding="utf-8", errors="replace", close=True, lines=False)
            for number in (1, 2)
        )
        self._temporary = ExitStack()
        self.path: Path | None = None
        try:
            self.path = self._temporary.enter_context(process_folder()) / "tledge.log"
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError:  # no writable temporary folder: run without a log
            handle = os.open(os.devnull, os.O_WRONLY)
            self.path = None
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        os.close(handle)
        self._handler = logging.StreamHandler(sys.stderr)
        self._handler.setFormatter(_PrintableFormatter())
        _logger.addHandler(self._handler)
        _logger.setLevel(logging.INFO)

    @property
    def lost(self) -> OSError | None:
        """Why the first failed write to ``out`` failed; None if all went well."""
        return failure_of(self.out)

    def record(self, error: BaseException) -> None:
        """Writes an error with its traceback to the log."""
        text = "".join(traceback.format_exception(error))
        with suppress(OSError):  # a full disk must not hide the error
            print(printable_lines(text), file=sys.stderr)

    def keep(self) -> Path | None:
        """Keeps the log after the command, for a report of an error; returns its new path, None without a log."""
        if self.path is not None:
            with suppress(OSError):
                kept = system_folder() / f"tledge-error-{os.urandom(4).hex()}.log"
                self.path = self.path.rename(kept)
        return self.path

    def close(self, keep_as: Path | None) -> None:
        """Restores the descriptors; the log is copied to ``keep_as``, and deleted unless :meth:`keep` was called.

        The folder of all temporary files of the command is removed.
        """
        _logger.removeHandler(self._handler)
        self._flush()
        for descriptor, saved in zip((1, 2), self._saved, strict=True):
            os.dup2(saved, descriptor)
            os.close(saved)
        self.out.close()
        self.err.close()
        with suppress(OSError):  # a full disk must not hide how the command ended
            if self.path is not None and keep_as is not None and keep_as.parent.parent.is_dir():
                atomic.write_bytes(keep_as, self.path.read_bytes())
        with suppress(OSError):
            self._temporary.close()

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
