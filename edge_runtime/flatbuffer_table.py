"""Tables of a FlatBuffer, read with a check that everything lies inside the file.

The ``flatbuffers`` library trusts the offsets in a file. Format: https://flatbuffers.dev/internals: a table starts with
the distance to its vtable, which holds the size of both and the offset of each field, by slot.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from mmap import mmap
from typing import Any

MOST_PARTS = 1 << 19
"""Tables and numbers that are read of a file; a network of a thousand layers has about 20,000."""


class DamageError(Exception):
    """What lies outside the file."""


class TooManyPartsError(Exception):
    """A file has more parts than are read, or its lists overlap."""


class BoundedContent:
    """The bytes of a file, of which at most ``MOST_PARTS`` tables and numbers are read."""

    def __init__(self, content: bytes | mmap) -> None:
        self.content = content
        self._left = MOST_PARTS

    def take(self, count: int) -> None:
        """Counts parts that are about to be read. Raises TooManyPartsError."""
        self._left -= count
        if self._left < 0:
            raise TooManyPartsError(f"it has more than {MOST_PARTS:,} tensors, operators and other parts")


@dataclass(frozen=True)
class Vector:
    """The place of a vector: of its first element, and how many there are."""

    start: int = 0
    count: int = 0


class CheckedTable:
    """A table at ``position`` of a file. Its methods raise DamageError for what lies outside."""

    __slots__ = ("_fields", "_file", "_position", "_size", "_vtable", "content")

    def __init__(self, file: BoundedContent, position: int) -> None:
        self._file, self.content = file, file.content
        self._position = position
        vtable = position - self._unpack("<i", position)
        self._fields, self._size = self._unpack("<HH", vtable, 2)
        if self._fields < 4 or max(vtable + self._fields, position + self._size) > len(self.content):
            raise DamageError("a table")
        self._vtable = vtable

    @classmethod
    def root(cls, content: bytes | mmap) -> CheckedTable:
        """Returns the table that a file starts with."""
        if len(content) < 8:
            raise DamageError("its first table")
        return cls(BoundedContent(content), struct.unpack_from("<I", content)[0])

    def number(self, slot: int, form: str, default: int = 0) -> int:
        """Returns a number of a ``struct`` format ("<i")."""
        place = self._place(slot, struct.calcsize(form))
        return int(self._unpack(form, place)) if place else default

    def table(self, slot: int) -> CheckedTable | None:
        """Returns a table; None if it is absent."""
        place = self._place(slot, 4)
        return CheckedTable(self._file, place + self._unpack("<I", place)) if place else None

    def vector(self, slot: int, width: int) -> Vector:
        """Returns the place of a vector whose elements have ``width`` bytes; an absent one is empty."""
        place = self._place(slot, 4)
        if not place:
            return Vector()
        start = place + self._unpack("<I", place)
        count = self._unpack("<I", start)
        if start + 4 + count * width > len(self.content):
            raise DamageError(f"a list of {count:,}")
        return Vector(start + 4, count)

    def numbers(self, slot: int, letter: str) -> tuple[int, ...]:
        """Returns a vector of numbers of a ``struct`` letter ("i")."""
        found = self.vector(slot, struct.calcsize(f"<{letter}"))
        self._file.take(found.count)
        return tuple(struct.unpack_from(f"<{found.count}{letter}", self.content, found.start))

    def tables(self, slot: int) -> list[CheckedTable]:
        """Returns a vector of tables."""
        found = self.vector(slot, 4)
        self._file.take(found.count)
        offsets = struct.unpack_from(f"<{found.count}I", self.content, found.start)
        return [CheckedTable(self._file, found.start + 4 * index + each) for index, each in enumerate(offsets)]

    def _place(self, slot: int, width: int) -> int:
        """Returns the position of a field of ``width`` bytes; 0 if it is absent."""
        entry = 4 + 2 * slot
        if entry + 2 > self._fields:
            return 0
        offset = self._unpack("<H", self._vtable + entry)
        if offset + width > self._size:
            raise DamageError("a field")
        return self._position + int(offset) if offset else 0

    def _unpack(self, form: str, position: int, count: int = 1) -> Any:
        if not 0 <= position <= len(self.content) - struct.calcsize(form):
            raise DamageError("a table")
        found = struct.unpack_from(form, self.content, position)
        return found[0] if count == 1 else found
