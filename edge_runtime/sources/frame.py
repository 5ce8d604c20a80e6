"""One image on its way to the model, not yet of its size; and what gives such images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Protocol

from PIL import Image

from tledge.core import images
from tledge.core.errors import ImageError
from tledge.core.images import Pixels


class Frame(Protocol):
    """An image that a person can find again by its name."""

    @property
    def name(self) -> str:
        """Unique in its source: "porch/1.jpg", "clip.mp4 0:00:12.440 (frame 312)"."""

    @property
    def dropped(self) -> int | None:
        """How many frames of its source had been dropped when this one was taken; None where none ever is."""

    def load(self, size: tuple[int, int], rule: str) -> Pixels:
        """Decodes and resizes it: uint8 (height, width, 3), RGB. Raises ImageError. Any thread may call it."""


class Source(Protocol):
    """Gives frames."""

    @property
    def width(self) -> int:
        """Characters that the names of its frames take, as far as that is known."""

    def frames(self, ended: Event) -> Iterator[Frame]:
        """Gives the frames, in order; stops soon after ``ended`` is set, also while it waits for one.

        Raises:
            SourceError: no further frame can be had, where that is not the end but a failure.
        """


@dataclass(frozen=True)
class PhotoFile:
    """An image file, read when it is decoded."""

    path: Path
    dropped: int | None = None

    @property
    def name(self) -> str:
        """Its path, as it was given."""
        return str(self.path)

    def load(self, size: tuple[int, int], rule: str) -> Pixels:
        """See :class:`Frame`."""
        return images.load_pixels(self.path, size, rule)


@dataclass(frozen=True)
class EncodedImage:
    """The bytes of an image file."""

    name: str
    content: bytes
    dropped: int | None = None

    def load(self, size: tuple[int, int], rule: str) -> Pixels:
        """See :class:`Frame`."""
        return images.load_pixels_from_bytes(self.content, size, rule, name=self.name)


@dataclass(frozen=True)
class DecodedImage:
    """RGB pixels of any size: uint8 (height, width, 3)."""

    name: str
    pixels: Pixels
    dropped: int | None = None

    def load(self, size: tuple[int, int], rule: str) -> Pixels:
        """See :class:`Frame`."""
        return images.resize(Image.fromarray(self.pixels), size, rule)


@dataclass(frozen=True)
class BrokenFrame:
    """A frame that its source could not read; ``reason`` is the whole error, with the name."""

    name: str
    reason: str
    dropped: int | None = None

    def load(self, size: tuple[int, int], rule: str) -> Pixels:
        """Raises ImageError, always."""
        raise ImageError(self.reason)


@dataclass(frozen=True)
class Chain:
    """Several sources, one after the other."""

    sources: tuple[Source, ...]

    @property
    def width(self) -> int:
        """That of the widest."""
        return max((source.width for source in self.sources), default=0)

    def frames(self, ended: Event) -> Iterator[Frame]:
        """See :class:`Source`."""
        for source in self.sources:
            yield from source.frames(ended)
