"""What a kind shows: grids of tiles, animations and plots, each of which is a file and a part of the page."""

from __future__ import annotations

import base64
import io
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from tledge.core import atomic
from tledge.core.images import Pixels
from tledge.visualize.captions import CaptionWriter

GAP, MARGIN = 8, 12
"""Pixels between tiles, and around them."""

GIF_COLOURS = 128


@dataclass(frozen=True)
class Picture(ABC):
    """One picture.

    Attributes:
        name: of its file, without the suffix.
        title: what stands above it.
        caption: what it shows, for those who see it.
    """

    suffix: ClassVar[str] = ".png"

    name: str
    title: str
    caption: str

    @property
    def file_name(self) -> str:
        """What its file is called."""
        return f"{self.name}{self.suffix}"

    @abstractmethod
    def content(self) -> bytes:
        """The bytes of its file."""

    def save(self, folder: Path) -> Path:
        """Writes its file into a folder."""
        path = folder / self.file_name
        atomic.write_bytes(path, self.content())
        return path


@dataclass(frozen=True)
class Tile:
    """A small image with a word about it.

    Attributes:
        pixels: uint8 (height, width, 3).
        label: what stands below it.
        alt: what it shows, for those who do not see it.
    """

    pixels: Pixels
    label: str
    alt: str

    @property
    def data_uri(self) -> str:
        """The image as an address that holds it."""
        return _data_uri(_png(Image.fromarray(self.pixels)), "image/png")


@dataclass(frozen=True)
class Grid(Picture):
    """Labelled tiles in rows.

    Attributes:
        tiles: in reading order, all of one shape.
        columns: tiles in a row of the file; the page has as many as fit.
        tile_width: pixels; what tiles are enlarged or reduced to in the file and, where there is room, on the page.
    """

    tiles: Sequence[Tile]
    columns: int
    tile_width: int

    def content(self) -> bytes:
        """A PNG of all tiles with their labels."""
        lettering = CaptionWriter.load(13 if self.tile_width >= 120 else 11)
        height, width = self.tiles[0].pixels.shape[:2]
        tile_height = round(self.tile_width * height / width)
        lines = max(len(lettering.wrap(tile.label, self.tile_width)) for tile in self.tiles)
        step = (self.tile_width + GAP, tile_height + lines * lettering.line_height + GAP)
        columns = min(self.columns, len(self.tiles))
        rows = -(-len(self.tiles) // columns)
        canvas = Image.new("RGB", (columns * step[0] - GAP + 2 * MARGIN, rows * step[1] - GAP + 2 * MARGIN), "white")
        for place, tile in enumerate(self.tiles):
            left, top = MARGIN + place % columns * step[0], MARGIN + place // columns * step[1]
            canvas.paste(_scaled(tile.pixels, (self.tile_width, tile_height)), (left, top))
            lettering.write(canvas, tile.label, (left, top + tile_height + 2), self.tile_width)
        return _png(canvas)


@dataclass(frozen=True)
class Animation(Picture):
    """Frames that follow one another; the last one is held.

    Attributes:
        frames: uint8 (height, width, 3), all of one shape.
        milliseconds: that each frame is shown for.
        alt: what happens, for those who do not see it.
    """

    suffix: ClassVar[str] = ".gif"

    frames: Sequence[Pixels]
    milliseconds: int
    alt: str

    def content(self) -> bytes:
        """A GIF that plays twice."""
        images = [Image.fromarray(frame).quantize(GIF_COLOURS, dither=Image.Dither.NONE) for frame in self.frames]
        buffer = io.BytesIO()
        durations = [self.milliseconds] * (len(images) - 1) + [20 * self.milliseconds]
        images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=1)
        return buffer.getvalue()

    @property
    def data_uri(self) -> str:
        """The animation as an address that holds it."""
        return _data_uri(self.content(), "image/gif")

    @property
    def still(self) -> str:
        """Its last frame, for those who asked their device for less motion."""
        return _data_uri(_png(Image.fromarray(self.frames[-1])), "image/png")


@dataclass(frozen=True)
class Plot(Picture):
    """A diagram.

    Attributes:
        png: the file's bytes.
        alt: what it shows, for those who do not see it.
    """

    png: bytes
    alt: str

    def content(self) -> bytes:
        """The PNG."""
        return self.png

    @property
    def data_uri(self) -> str:
        """The diagram as an address that holds it."""
        return _data_uri(self.png, "image/png")


def beside(images: Sequence[Pixels], gap: int = GAP) -> Pixels:
    """Images of one height, (height, width, 3), in a row with white between them."""
    white = np.full((images[0].shape[0], gap, 3), 255, np.uint8)
    parts = [part for image in images for part in (image, white)][:-1]
    return np.concatenate(parts, axis=1)


def enlarged_width(image: Pixels, least: int) -> int:
    """The least multiple of an image's width that is ``least`` pixels or more: enlarged so, all pixels stay alike."""
    width = int(image.shape[1])
    return width * -(-least // width)


def enlarge(image: Pixels, least: int) -> Pixels:
    """An image whose pixels are repeated so often that its width is ``least`` or more."""
    times = enlarged_width(image, least) // image.shape[1]
    return image.repeat(times, axis=0).repeat(times, axis=1)


def _scaled(pixels: Pixels, size: tuple[int, int]) -> Image.Image:
    """Enlarged pixels stay sharp squares; what is reduced is averaged."""
    image = Image.fromarray(pixels)
    larger = size[0] > image.width
    return image.resize(size, Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _data_uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
