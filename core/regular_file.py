"""Reading of files that others may have put there: only regular ones, and never more than a stated number of bytes.

A pipe would block for ever, a device may act when it is opened or never end, and a sparse file of a few bytes on the
disk may be larger than the memory. Errors are ``OSError`` with the reason in ``strerror``, so that callers report them
like a missing file.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def read_bounded(path: Path, limit: int, what: str = "file") -> bytes:
    """Returns the content of a regular file.

    Args:
        path: the file, or a link to it.
        limit: the most bytes that it may have; a longer file is refused before anything is read.
        what: the kind of file that is expected, for the error message: "photo".

    Raises:
        OSError: the file cannot be opened or read, is not a regular file, or is too long.
    """
    descriptor, size = _open(path, limit, what)
    try:
        pieces, left = [], limit + 1
        while piece := os.read(descriptor, min(size + 1, left)):
            pieces.append(piece)
            left -= len(piece)
            if not left:  # it grows, or is a file of /proc, whose size is 0
                raise _too_long(path, f"more than {limit:,} bytes", limit, what)
        return b"".join(pieces) if len(pieces) != 1 else pieces[0]
    finally:
        os.close(descriptor)


def read_start(path: Path, count: int) -> bytes:
    """Returns the first ``count`` bytes of a regular file, or all if it has fewer. Raises OSError."""
    descriptor, _ = _open(path)
    try:
        return os.read(descriptor, count)
    finally:
        os.close(descriptor)


def open_regular(path: Path, limit: int | None = None, what: str = "file") -> BinaryIO:
    """Opens a regular file for reading, for callers that read it in pieces.

    Args:
        path: the file, or a link to it.
        limit: the most bytes that it may have now; by default any number.
        what: the kind of file that is expected, for the error message.

    Raises:
        OSError: the file cannot be opened, is not a regular file, or is too long.
    """
    descriptor, _ = _open(path, limit, what)
    return os.fdopen(descriptor, "rb")


def _open(path: Path, limit: int | None = None, what: str = "file") -> tuple[int, int]:
    """Returns an open descriptor and the size of the file."""
    _check(path, os.stat(path), limit, what)  # noqa: PTH116 - before it is opened: to open a device may start something
    # The file may be replaced in between: a pipe is opened without waiting, a terminal does not become ours.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        return descriptor, _check(path, os.fstat(descriptor), limit, what)
    except OSError:
        os.close(descriptor)
        raise


def _check(path: Path, status: os.stat_result, limit: int | None, what: str) -> int:
    """Returns the size of a file. Raises OSError if it is not regular or too long."""
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if kind != stat.S_IFREG:
        raise OSError(errno.EINVAL, f"is {_KINDS.get(kind, 'something else')}, not a regular file", str(path))
    if limit is not None and status.st_size > limit:
        raise _too_long(path, f"{status.st_size:,} bytes", limit, what)
    return status.st_size


def _too_long(path: Path, length: str, limit: int, what: str) -> OSError:
    return OSError(errno.EFBIG, f"has {length}; a {what} may have {limit:,} at most", str(path))
