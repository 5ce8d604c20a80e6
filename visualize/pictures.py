"""Grids of tiles, animations and plots; each becomes a file and a part of the page."""

from __future__ import annotations

import base64
import io
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from tledge.core import atomic
from tledge.core.image_formats import SUFFIXES
from tledge.core.images import Pixels
from tledge.visualize.captions import CaptionWriter
from tledge.visualize.plots import Chart

GAP, MARGIN = 8, 12
"""Pixels between tiles, and around them."""

GIF_COLOURS = 128

WEBP_QUALITY, LOSSLESS_WIDTH = 75, 64
"""Of pictures in the page: Pillow's quality, and the width in pixels up to which they are compressed without losses."""

WEBP_SIDE = 16_383
"""The largest width and height of a WebP image in pixels (RFC 9649, section 2.5)."""

PAGE_WIDTH = 1184
"""Pixels that a row of tiles has on a wide page."""

LONGEST_NAME = 60
"""Characters of a photo or layer name that a file name holds."""

LONGEST_NAME_BYTES = 90
"""Bytes of the same in UTF-8: a file name holds two of them, a prefix and a suffix in at most 255 bytes."""


@dataclass(frozen=True)
class Picture(ABC):
    """One picture.

    Attributes:
        name: file name without the suffix.
        title: heading on the page; may be empty.
        caption: text below the picture.
    """

    suffix: ClassVar[str] = ".png"

    name: str
    title: str
    caption: str

    @property
    def file_name(self) -> str:
        """File name with the suffix."""
        return f"{self.name}{self.suffix}"

    @property
    @abstractmethod
    def data_uri(self) -> str:
        """The picture as a WebP data URI, which is smaller than the file."""

    @abstractmethod
    def content(self) -> bytes:
        """Returns the content of the file."""

    def save(self, folder: Path) -> Path:
        """Writes the file into a folder and returns its path."""
        path = folder / self.file_name
        atomic.write_bytes(path, self.content())
        return path


@dataclass(frozen=True)
class Tile:
    """A small image.

    Attributes:
        pixels: uint8 (height, width, 3).
        label: text below it.
        alt: alternative for screen readers.
        exact: the page holds every pixel as it is; others may be compressed with losses.
    """

    pixels: Pixels
    label: str
    alt: str
    exact: bool = False

    @property
    def data_uri(self) -> str:
        """The image as a WebP data URI; small images are kept without losses."""
        lossless = self.exact or self.pixels.shape[1] <= LOSSLESS_WIDTH
        return webp_uri([Image.fromarray(self.pixels)], lossless=lossless)


@dataclass(frozen=True)
class Grid(Picture):
    """Labelled tiles in rows.

    Attributes:
        tiles: in reading order, all of one shape.
        columns: most tiles per row in the file, where rows are of about equal length; the page fits as many as the
            width allows.
        tile_width: width of tiles in pixels, in the file and, where there is room, on the page.
    """

    tiles: Sequence[Tile]
    columns: int
    tile_width: int

    @property
    def page_columns(self) -> int:
        """Most tiles per row on the page."""
        return balanced_columns(len(self.tiles), (PAGE_WIDTH + GAP) // (self.tile_width + GAP + 4))

    @property
    def data_uri(self) -> str:
        """All tiles with their labels as a WebP data URI."""
        return webp_uri([self._canvas()])

    def content(self) -> bytes:
        """Returns a PNG of all tiles with their labels."""
        return _png(self._canvas())

    def _canvas(self) -> Image.Image:
        writer = CaptionWriter.load(13 if self.tile_width >= 120 else 11)
        height, width = self.tiles[0].pixels.shape[:2]
        tile_height = round(self.tile_width * height / width)
        lines = max(len(writer.wrap(tile.label, self.tile_width)) for tile in self.tiles)
        step = (self.tile_width + GAP, tile_height + lines * writer.line_height + GAP)
        columns = balanced_columns(len(self.tiles), self.columns)
        rows = -(-len(self.tiles) // columns)
        canvas = Image.new("RGB", (columns * step[0] - GAP + 2 * MARGIN, rows * step[1] - GAP + 2 * MARGIN), "white")
        for index, tile in enumerate(self.tiles):
            left, top = MARGIN + index % columns * step[0], MARGIN + index // columns * step[1]
            canvas.paste(_scaled(tile.pixels, (self.tile_width, tile_height)), (left, top))
            writer.write(canvas, tile.label, (left, top + tile_height + 2), self.tile_width)
        return canvas


@dataclass(frozen=True)
class Animation(Picture):
    """Frames shown in turn; the last one stays longer.

    Attributes:
        frames: uint8 (height, width, 3), all of one shape.
        milliseconds: duration of each frame.
        alt: text alternative for screen readers.
    """

    suffix: ClassVar[str] = ".gif"

    frames: Sequence[Pixels]
    milliseconds: int
    alt: str

    def content(self) -> bytes:
        """Returns a GIF that plays twice."""
        images = [Image.fromarray(frame).quantize(GIF_COLOURS, dither=Image.Dither.NONE) for frame in self.frames]
        buffer = io.BytesIO()
        images[0].save(buffer, "GIF", save_all=True, append_images=images[1:], duration=self._durations, loop=1)
        return buffer.getvalue()

    @property
    def data_uri(self) -> str:
        """The animation as a WebP data URI; it plays twice."""
        return webp_uri([Image.fromarray(frame) for frame in self.frames], duration=self._durations, loop=2)

    @property
    def still(self) -> str:
        """The last frame as a data URI, for devices set to reduced motion."""
        return webp_uri([Image.fromarray(self.frames[-1])])

    @property
    def _durations(self) -> list[int]:
        return [self.milliseconds] * (len(self.frames) - 1) + [20 * self.milliseconds]


@dataclass(frozen=True)
class Plot(Picture):
    """A diagram drawn by matplotlib, and an alternative text for screen readers."""

    chart: Chart
    alt: str

    def content(self) -> bytes:
        """Returns a PNG for a white page."""
        return self.chart.light

    @property
    def data_uri(self) -> str:
        """The diagram for a white page as a WebP data URI."""
        return _lossless(self.chart.light)

    @property
    def dark(self) -> str:
        """The diagram for a dark page as a WebP data URI."""
        return _lossless(self.chart.dark)


def balanced_columns(count: int, most: int) -> int:
    """Returns how many of ``count`` tiles a row holds, 1 to ``most``, so that the last row is as full as possible."""
    if count <= most:
        return count
    return min(range(max(most, 1), most // 2, -1), key=lambda columns: -count % columns)


def scored(label: str, score: float) -> str:
    """Returns a class with its score: "cat (0.981)". The brackets set the score apart from classes such as "7"."""
    return f"{label} ({score:.3f})"


def slug(text: str) -> str:
    """Returns a text as part of a file name: "cat/0123.jpg" becomes "cat-0123"; never empty."""
    suffix = Path(text).suffix
    without_suffix = text.removesuffix(suffix) if suffix.lower() in SUFFIXES else text
    name = re.sub(r"[^\w.-]+", "-", without_suffix).strip("-.")[-LONGEST_NAME:]
    while len(name.encode()) > LONGEST_NAME_BYTES:
        name = name[1:]
    return name.lstrip("-.") or "unnamed"


def beside(images: Sequence[Pixels], gap: int = GAP) -> Pixels:
    """Joins images of one height, (height, width, 3), into a row with white gaps."""
    white = np.full((images[0].shape[0], gap, 3), 255, np.uint8)
    parts = [part for image in images for part in (image, white)][:-1]
    return np.concatenate(parts, axis=1)


def enlarged_width(image: Pixels, least: int) -> int:
    """Returns the smallest multiple of an image's width that is at least ``least`` pixels."""
    width = int(image.shape[1])
    return width * -(-least // width)


def enlarge(image: Pixels, least: int) -> Pixels:
    """Repeats the pixels of an image until it is at least ``least`` wide."""
    times = enlarged_width(image, least) // image.shape[1]
    return image.repeat(times, axis=0).repeat(times, axis=1)


def _scaled(pixels: Pixels, size: tuple[int, int]) -> Image.Image:
    """Resizes an image; enlarged pixels stay sharp squares, reduced ones are averaged."""
    image = Image.fromarray(pixels)
    larger = size[0] > image.width
    return image.resize(size, Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _lossless(png: bytes) -> str:
    with Image.open(io.BytesIO(png)) as image:
        return webp_uri([image], lossless=True)


def webp_uri(frames: Sequence[Image.Image], **options: Any) -> str:
    """Returns one or more frames as a WebP data URI, or a PNG one above WebP's limit; ``options`` are Pillow's."""
    buffer = io.BytesIO()
    more = {"save_all": True, "append_images": frames[1:]} if len(frames) > 1 else {}
    kind = "webp" if max(frames[0].size) <= WEBP_SIDE else "png"
    frames[0].save(buffer, kind, **{"quality": WEBP_QUALITY, "method": 4, **more, **options})
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
