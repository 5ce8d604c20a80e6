"""Standard input: one image of any known format, or a stream of JPEGs as video tools write it.

No frame is dropped: unread data waits in the pipe, which makes the producer wait.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from threading import Condition, Event

from tledge.core.errors import SourceError
from tledge.core.image_formats import HEAD, format_of
from tledge.edge_runtime.sources.frame import PATIENCE, BrokenFrame, EncodedImage, Frame
from tledge.edge_runtime.sources.jpeg_stream import LARGEST, START, JpegSplitter

STANDARD_INPUT = "-"
PIECE = 1 << 16
"""Bytes per read, the capacity of a pipe on Linux."""

MOST_WAITING = 32 << 20
"""Bytes of images that wait to be decoded, unless it is a single one."""

_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class StandardInput:
    """The images that arrive on a file descriptor.

    Args:
        descriptor: the open file descriptor.
        every: yield only every n-th frame of a stream, starting with the first.
    """

    descriptor: int = 0
    every: int = 1

    @property
    def width(self) -> int:
        """The length of a name among the first thousands, in characters."""
        return len(_name(1000))

    def frames(self, ended: Event) -> Iterator[Frame]:
        """Yields JPEGs as soon as each is complete, numbered from 1, or an image of another format when the input ends.

        Data that does not start like an image is a stream from its first JPEG on, such as HTTP multipart data.
        """
        if self.descriptor == 0 and _is_closed():
            raise SourceError("standard input is closed; pipe an image or a stream of JPEGs into it")
        pieces = self._pieces(ended)
        whole = bytearray()
        searched = 0
        for piece in pieces:
            whole += piece
            if len(whole) < HEAD:
                continue
            start = whole.find(START, searched)
            searched = len(whole) - len(START) + 1
            if start >= 0 and (start == 0 or format_of(bytes(whole[:HEAD])) is None):
                yield from self._stream(bytes(whole[start:]), pieces, ended)
                return
            if len(whole) > LARGEST:
                yield BrokenFrame(
                    STANDARD_INPUT,
                    f"not a readable image: '{STANDARD_INPUT}' is longer than {LARGEST:,} bytes; only JPEGs can be"
                    " streamed: write it as MJPEG",
                )
                return
        if whole.count(_PNG) > 1:
            yield BrokenFrame(
                STANDARD_INPUT,
                f"not a readable image: '{STANDARD_INPUT}' has several PNG images; only JPEGs can be streamed: write"
                " it as MJPEG",
            )
        elif not ended.is_set():
            content = bytes(whole)
            del whole
            yield EncodedImage(STANDARD_INPUT, content)

    def _stream(self, head: bytes, pieces: Iterator[bytes], ended: Event) -> Iterator[Frame]:
        waiting = _WaitingBytes()
        for number, content in enumerate(_split(head, pieces), 1):
            if (number - 1) % self.every or ended.is_set():
                continue
            name = _name(number)
            if len(content) > LARGEST:  # freed before others are decoded
                yield BrokenFrame(
                    name,
                    f"not a readable image: '{name}' is a JPEG that does not end within {LARGEST:,} bytes; skipped",
                )
            else:
                waiting.add(len(content), ended)
                yield EncodedImage(name, content, finish=partial(waiting.remove, len(content)))
            del content  # while the next one is read

    def _pieces(self, ended: Event) -> Iterator[bytes]:
        """Yields the data that arrives, until the input ends or ``ended`` is set."""
        while not ended.is_set():
            try:
                if not select.select([self.descriptor], [], [], PATIENCE)[0]:
                    continue
                piece = os.read(self.descriptor, PIECE)
            except OSError as error:
                raise SourceError(f"cannot read standard input: {error.strerror or error}") from error
            if not piece:
                return
            yield piece


class _WaitingBytes:
    """The bytes of images that were read and not decoded yet."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._amount = 0

    def add(self, size: int, ended: Event) -> None:
        """Waits while others take too much; one image may be larger."""
        with self._changed:
            while self._amount and self._amount + size > MOST_WAITING and not ended.is_set():
                self._changed.wait(PATIENCE)
            self._amount += size

    def remove(self, size: int) -> None:
        with self._changed:
            self._amount -= size
            self._changed.notify()


def _split(head: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    splitter = JpegSplitter()
    yield from splitter.feed(head)
    for piece in pieces:
        yield from splitter.feed(piece)
    yield from splitter.finish()


def _name(number: int) -> str:
    return f"{STANDARD_INPUT} frame {number}"


def _is_closed() -> bool:
    """Whether the process was started without a standard input; another file may have got its number since."""
    return sys.stdin is None or getattr(sys.stdin, "name", "") == os.devnull
