"""Standard streams that may be closed or full: writing never fails, and what failed first can be asked for.

A command's work is in files. So it goes on without its outputs, and only its exit code says at the end that standard
output was lost.
"""

from __future__ import annotations

import io
import os
import sys
from typing import IO, Any

CLOSED_PIPE = 141
"""The exit code if the program that read standard output has exited, as a shell shows it for SIGPIPE."""


class OutputLostError(Exception):
    """Standard output cannot be written any more; ends commands whose work is what they print."""


class LastingFile(io.FileIO):
    """A file for writing that discards everything after the first failed write.

    Attributes:
        failure: why that write failed; None while all went well.
    """

    failure: OSError | None = None

    def write(self, data: Any) -> int:
        """Writes bytes as FileIO does; never raises OSError."""
        try:
            while self.failure is None:
                written: int | None = super().write(data)
                if written is not None:
                    return written
                _wait_until_writable(self)
        except OSError as error:
            self.failure = error
        return len(memoryview(data).cast("B"))


def open_lasting(number: int, *, encoding: str, errors: str, close: bool, lines: bool) -> IO[str]:
    """Opens a file descriptor for text.

    Args:
        number: the descriptor.
        encoding, errors: as of ``open``.
        close: close the descriptor with the stream.
        lines: write each line at once; otherwise only a terminal's lines.
    """
    raw = LastingFile(number, "w", closefd=close)
    by_line = lines or raw.isatty()
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding=encoding, errors=errors, line_buffering=by_line)


def failure_of(stream: IO[str]) -> OSError | None:
    """Returns why the first failed write to a stream failed; None if none did, or if it is of another kind."""
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw.failure if isinstance(raw, LastingFile) else None


def open_standard_streams() -> None:
    """Opens the standard streams that the process was started without on ``/dev/null``, and makes the outputs lasting.

    Otherwise the next file that is opened would take the number of a closed stream, and receive what is printed.
    """
    for number, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
        _open_if_closed(number, flags)
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115, PTH123 - open until the end
    sys.stdout = _lasting(1, sys.stdout)
    sys.stderr = _lasting(2, sys.stderr)


def _lasting(number: int, replaced: Any) -> Any:
    if replaced is not None:
        replaced.flush()
    encoding = getattr(replaced, "encoding", None) or "utf-8"
    errors = getattr(replaced, "errors", None) or ("strict" if number == 1 else "backslashreplace")
    return open_lasting(number, encoding=encoding, errors=errors, close=False, lines=number == 2)


def _open_if_closed(number: int, flags: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(os.devnull, flags)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)
        os.set_inheritable(number, True)


def _wait_until_writable(file: io.FileIO) -> None:
    """Waits for a pipe that was set not to block by another program."""
    import select  # hardly ever needed

    select.select([], [file], [])
