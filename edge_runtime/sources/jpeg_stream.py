"""Splits a stream of JPEGs into its images.

A JPEG is a sequence of segments, each with a marker and a length, and of entropy-coded data, in which FF is followed by
00 or a restart marker (ITU-T T.81, Annex B). An image ends with an EOI marker outside of a segment; the EOI of a
thumbnail inside an EXIF segment does not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

START = b"\xff\xd8\xff"
"""SOI and the first byte of the marker that must follow."""

LARGEST = 64 << 20
"""Bytes after which an image without an end is abandoned."""

_SOI, _EOI, _SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01
_RESTARTS = range(0xD0, 0xD8)
_FREE = frozenset({*range(0xE0, 0xF0), 0xFE})
"""APPn and COM, which may contain anything. Other segments cannot contain an image, so one found there is the next."""
_END_OF_SCAN = re.compile(rb"\xff(?:[\xc4\xd9-\xdd]|\xd8\xff)")
"""DHT, EOI, SOS, DQT, DNL, DRI, or the next image if this one was cut off; anything else is damage."""


class JpegSplitter:
    """Takes a stream in pieces of any size, and yields each image as soon as its last byte has arrived.

    An image that is cut off or has damaged headers is yielded as it is, up to the next one, and fails when it is
    decoded. Data between two images is skipped.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = 0  # the next byte to examine; 0 between two images
        self._segment = 0  # where the last segment starts; its length may be wrong
        self._in_scan = False
        self._lost = False

    def feed(self, content: bytes) -> Iterator[bytes]:
        """Yields the images that these bytes complete."""
        self._buffer += content
        while self._begin():
            end = self._find_end()
            if not end and len(self._buffer) <= LARGEST:
                return
            yield self._take(end or len(self._buffer))

    def finish(self) -> Iterator[bytes]:
        """Yields the rest at the end of the stream: an image that was cut off, or nothing."""
        if self._at:
            yield self._take(len(self._buffer))

    def _take(self, end: int) -> bytes:
        with memoryview(self._buffer) as view:
            image = bytes(view[:end])
        del self._buffer[:end]
        self._at = 0
        return image

    def _begin(self) -> bool:
        """Skips data before the next image; returns whether the buffer then starts with one."""
        if self._at:
            return True
        start = self._buffer.find(START)
        if start < 0:
            del self._buffer[: -len(START) + 1]
            return False
        del self._buffer[:start]
        self._at, self._segment, self._in_scan, self._lost = 2, 2, False, False
        return True

    def _find_end(self) -> int:
        """Returns where the image in the buffer ends; 0 if not known yet."""
        while True:
            if self._lost:
                start = self._buffer.find(START, self._at)
                self._at = max(self._at, len(self._buffer) - len(START) + 1)
                return max(start, 0)
            if self._in_scan:
                found = _END_OF_SCAN.search(self._buffer, self._at)
                if found is None:
                    self._at = max(self._at, len(self._buffer) - 2)
                    return 0
                self._at, self._in_scan = found.start(), False
            end = self._read_marker()
            if end is not None:
                return end

    def _read_marker(self) -> int | None:
        """Skips a marker and its segment and returns None; or returns the image's end, or 0 if bytes are missing."""
        marker = self._buffer[self._at : self._at + 4]
        if len(marker) < 2:
            return 0
        code = marker[1]
        if marker[0] != 0xFF or code == 0x00:
            self._at, self._lost = self._segment + 1, True
        elif code == 0xFF:  # fill bytes may precede a marker
            self._at += 1
        elif code == _EOI:
            return self._at + 2
        elif code == _SOI:
            return self._at
        elif code in _RESTARTS or code == _TEM:
            self._at += 2
        elif len(marker) < 4:
            return 0
        else:
            end = self._at + 2 + int.from_bytes(marker[2:], "big")
            if code not in _FREE:
                start = self._buffer.find(START, self._at + 2, end)
                if start >= 0 or len(self._buffer) < end:
                    return max(start, 0)
            self._segment, self._at, self._in_scan = self._at, end, code == _SOS
        return None
