"""A checksum at the end of a model file, over all bytes before it: the last bytes of what is embedded.

It finds damage (bytes flipped, cut off, added, or from another copy), not malice: anybody can compute it again. A file
is split into blocks whose CRC-32 are computed by several threads, since one thread of a Raspberry Pi 4 may be too slow.
"""

from __future__ import annotations

import os
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from tledge.core.cores import usable_cores
from tledge.core.errors import ArtifactError
from tledge.core.regular_file import open_regular

BLOCK = 1 << 20
"""Bytes of a block."""

MOST_THREADS = 4
_PIECE = 1 << 18  # bytes read at once: they stay in the CPU's cache
_FORM = "tledge-crc32 {:08x} {:015d}"
_PATTERN = re.compile(rb"tledge-crc32 ([0-9a-f]{8}) (\d{15})")
SIZE = len(_FORM.format(0, 0))
"""Bytes of a checksum as it is written."""


@dataclass(frozen=True)
class Checksum:
    """A checksum: the CRC-32 over the CRC-32 of each block, and the number of bytes that it is over."""

    crc32: int
    size: int

    def __bytes__(self) -> bytes:
        """The checksum as it is written at the end of a file."""
        return _FORM.format(self.crc32, self.size).encode()


def checksum_of(content: bytes | memoryview) -> Checksum:
    """Returns the checksum of bytes in memory."""
    view = memoryview(content)
    blocks = (zlib.crc32(view[start : start + BLOCK]) for start in range(0, len(content), BLOCK))
    return Checksum(_combine(list(blocks)), len(content))


def checksum_of_file(path: Path, size: int) -> Checksum:
    """Returns the checksum of the first ``size`` bytes of a file. Raises OSError if it cannot be read."""
    with open_regular(path) as file:
        return Checksum(_combine(_crc32_of_blocks(file.fileno(), size)), size)


def written_checksum(path: Path) -> Checksum | None:
    """Returns the checksum at the end of a file; None if there is none. Raises OSError if it cannot be read."""
    with open_regular(path) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - SIZE, 0))
        found = _PATTERN.fullmatch(file.read(SIZE))
    return Checksum(int(found[1], 16), int(found[2])) if found else None


def check_file(path: Path) -> bool:
    """Returns whether a file ends in a checksum.

    Raises:
        ArtifactError: it is not that of the bytes before it.
        OSError: the file cannot be read.
    """
    expected = written_checksum(path)
    if expected is None:
        return False
    size = path.stat().st_size - SIZE
    if size != expected.size:
        raise damage_error(path, f"expected {expected.size + SIZE:,} bytes, received {size + SIZE:,}")
    found = checksum_of_file(path, size)
    if found != expected:
        raise damage_error(path, f"expected the checksum {expected.crc32:08x}, received {found.crc32:08x}")
    return True


def damage_error(path: Path, reason: str) -> ArtifactError:
    """Returns the error for a model file that is not what was written."""
    return ArtifactError(f"'{path}' is damaged or was changed: {reason}; copy or export it again")


def _combine(blocks: list[int]) -> int:
    return zlib.crc32(b"".join(crc.to_bytes(4, "little") for crc in blocks))


def _crc32_of_blocks(descriptor: int, size: int) -> list[int]:
    """Returns the CRC-32 of each block; the blocks are shared among threads, for which zlib releases Python's lock."""
    count = -(-size // BLOCK)
    found = [0] * count
    threads = min(count, MOST_THREADS, usable_cores())
    failed: list[OSError] = []

    def work(first: int) -> None:
        buffer = memoryview(bytearray(min(_PIECE, size)))
        try:
            for block in range(first, count, threads):
                found[block] = _crc32(descriptor, buffer, block * BLOCK, min((block + 1) * BLOCK, size))
        except OSError as error:
            failed.append(error)

    others = [Thread(target=work, args=(first,), daemon=True) for first in range(1, threads)]
    for thread in others:
        thread.start()
    if threads:
        work(0)
    for thread in others:
        thread.join()
    if failed:
        raise failed[0]
    return found


def _crc32(descriptor: int, buffer: memoryview, start: int, end: int) -> int:
    crc = 0
    while start < end:
        read = os.preadv(descriptor, [buffer[: end - start]], start)
        if not read:
            raise OSError("the file became shorter while it was read")
        crc = zlib.crc32(buffer[:read], crc)
        start += read
    return crc
