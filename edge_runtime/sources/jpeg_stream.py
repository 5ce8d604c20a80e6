"""Cuts a stream of JPEGs, one after the other, into its images.

A JPEG is a sequence of segments, each led by a marker and its length, and of entropy-coded data, in which a byte FF is
followed by 00 or a restart marker (ITU-T T.81, Annex B). An image ends with EOI outside of a segment: that of
a thumbnail inside of an EXIF segment ends nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

START = b"\xff\xd8\xff"
"""SOI and the first byte of the marker that must follow."""

LARGEST = 128 << 20
"""Bytes after which an image without an end is given up."""

_SOI, _EOI, _SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01
_RESTARTS = range(0xD0, 0xD8)
_FREE = frozenset({*range(0xE0, 0xF0), 0xFE})
"""APPn and COM, which may hold anything; tables and frames hold no image, so that one in them is the next image."""
_END_OF_SCAN = re.compile(rb"\xff(?:[\xc4\xd9-\xdd]|\xd8\xff)")
"""DHT, EOI, SOS, DQT, DNL, DRI, or the next image where this one was cut off; anything else is damage."""


class JpegSplitter:
    """Takes a stream in pieces of any size and gives each image as soon as its last byte is there.

    An image that is cut off or damaged in its headers is given as it is, up to the next one: decoding says what is
    wrong. What stands between two images is skipped.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = 0  # the next byte to look at; 0 between two images
        self._segment = 0  # where the last segment begins: what its length says may be wrong
        self._in_scan = False
        self._lost = False

    def feed(self, content: bytes) -> Iterator[bytes]:
        """The images that are whole with these bytes."""
        self._buffer += content
        while self._begin():
            end = self._find_end()
            if not end and len(self._buffer) <= LARGEST:
                return
            yield self._take(end or len(self._buffer))

    def finish(self) -> Iterator[bytes]:
        """What is left at the end of the stream: an image that was cut off, or nothing."""
        if self._at:
            yield self._take(len(self._buffer))

    def _take(self, end: int) -> bytes:
        image = bytes(self._buffer[:end])
        del self._buffer[:end]
        self._at = 0
        return image

    def _begin(self) -> bool:
        """Whether the buffer begins with an image, once what stands before it is skipped."""
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
        """Where the image in the buffer ends; 0 if that is not known yet."""
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
        """Goes past a marker and its segment: None. Else where the image ends, or 0 where bytes are missing."""
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
