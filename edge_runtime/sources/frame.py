"""Frames: images of any size on their way to the model. And sources, which yield them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Protocol

from PIL import Image

from tledge.core import images
from tledge.core.errors import ImageError
from tledge.core.images import Pixels

PATIENCE = 0.2
"""Seconds between two checks whether to stop waiting for a frame."""


class Frame(Protocol):
    """An image with a name by which users can find it again."""

    @property
    def name(self) -> str:
        """Unique in its source: "porch/1.jpg", "clip.mp4 0:00:12.440 (frame 312)"."""

    @property
    def dropped(self) -> int | None:
        """Frames that its source had dropped when this one was read; None for a source that never drops any."""

    def load(self, size: tuple[int, int], rule: str) -> Pixels:
        """Decodes and resizes it to uint8 (height, width, 3), RGB. Raises ImageError. Thread-safe."""


class Source(Protocol):
    """Yields frames."""

    @property
    def width(self) -> int:
        """The expected length of its frames' names, in characters."""

    def frames(self, ended: Event) -> Iterator[Frame]:
        """Yields the frames in order; stops soon after ``ended`` is set, also while waiting for one.

        Raises:
            SourceError: the source failed.
        """


@dataclass(frozen=True)
class PhotoFile:
    """An image file, which is read when it is decoded."""

    path: Path
    dropped: int | None = None

    @property
    def name(self) -> str:
        """The path as the user gave it."""
        return str(self.path)

    def load(self, size: tuple[int, int], rule: str) -> Pixels:
        return images.load_pixels(self.path, size, rule)


@dataclass(frozen=True)
class EncodedImage:
    """The bytes of an image file."""

    name: str
    content: bytes
    dropped: int | None = None
    finish: Callable[[], None] | None = None
    """Called when it was loaded or failed to load."""

    def load(self, size: tuple[int, int], rule: str) -> Pixels:
        try:
            return images.load_pixels_from_bytes(self.content, size, rule, name=self.name)
        finally:
            if self.finish is not None:
                self.finish()


@dataclass(frozen=True)
class DecodedImage:
    """RGB pixels of any size: uint8 (height, width, 3)."""

    name: str
    pixels: Pixels
    dropped: int | None = None

    def load(self, size: tuple[int, int], rule: str) -> Pixels:
        return images.resize(Image.fromarray(self.pixels), size, rule)


@dataclass(frozen=True)
class BrokenFrame:
    """A frame that its source could not read; ``reason`` is the complete error message."""

    name: str
    reason: str
    dropped: int | None = None

    def load(self, size: tuple[int, int], rule: str) -> Pixels:
        """Raises ImageError, always."""
        raise ImageError(self.reason)


@dataclass(frozen=True)
class Chain:
    """Several sources, one after the other; ``notes`` say what was left out when they were found."""

    sources: tuple[Source, ...]
    notes: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """The width of the widest source."""
        return max((source.width for source in self.sources), default=0)

    def frames(self, ended: Event) -> Iterator[Frame]:
        for source in self.sources:
            yield from source.frames(ended)
