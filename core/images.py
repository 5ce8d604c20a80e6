"""Decoding and resizing of images, from a file to the pixels of a model's input.

Training, calibration, benchmarks and the device all use this module, so they see the same pixels. It applies the EXIF
orientation, converts colours to RGB, and resizes with Pillow's antialiased bilinear filter. A JPEG of at least 4 times
the wanted size is decoded at 1/2, 1/4 or 1/8 of its size by the decoder's scaled transform; see
docs/adr/0013-large-jpegs-are-decoded-small.md.
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, UnidentifiedImageError

from tledge.core.colour_conversion import check_deep_colour, has_16_bits, to_rgb
from tledge.core.decoding_cost import check_structure, memory_to_decode
from tledge.core.errors import ImageError, TledgeError, UnknownNameError
from tledge.core.image_formats import HEAD, format_of, plugin_of
from tledge.core.memory_budget import Claim, budget_for
from tledge.core.regular_file import read_bounded

if TYPE_CHECKING:  # Pillow's plugins take time to import, and are only needed with the first image
    from PIL.ImageFile import ImageFile
    from PIL.JpegImagePlugin import JpegImageFile

DECODING = 4
"""The version of the decoding: increased whenever photos give other pixels, so that caches are recomputed."""

REDUCED = 2
"""A JPEG decoded at a reduced size is still at least this many times the wanted size along both axes."""

LARGEST = 256_000_000
"""The most bytes that a photo may take, its file included, for a board of 512 MB: 12 to 60 megapixels, depending on its
format, or many more for a JPEG. Photos that are decoded at the same time take no more together on such a board."""

LARGEST_FILE = 64 << 20
"""The most bytes of an image file; a longer one is not read."""

SMALL_FILE = 4 << 20
"""Bytes of a file that is read before there is memory to decode it, since it may then be known how little it takes."""

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Box = tuple[float, float, float, float]
"""Left, top, right and bottom in an image, in pixels."""

T = TypeVar("T")

_ON_ITS_SIDE = frozenset({5, 6, 7, 8})  # EXIF orientations that swap width and height
_LAST_COLUMN_IS_FIRST = frozenset({2, 3, 6, 7})  # orientations with the file's last column at the left,
_LAST_ROW_IS_FIRST = frozenset({3, 4, 7, 8})  # or its last row at the top
budget = budget_for(LARGEST)
"""What the photos that are decoded at the same time may take together."""


def decode(path: Path, at_least: tuple[int, int] | None = None) -> Image.Image:
    """Reads and decodes an image file.

    Args:
        path: the file.
        at_least: (height, width) to which the image will be resized. A large JPEG is then decoded at 1/2, 1/4 or 1/8
            of its size, the smallest that is at least twice ``at_least`` along both axes. By default in full size.

    Returns:
        An upright RGB image; the first frame of an animation.

    Raises:
        ImageError: the file does not exist, may not be read, is empty, cut off, too large, or not an image.
    """
    return _load(path, at_least, lambda image, _: image)


def read_content(path: Path) -> bytes:
    """Reads an image file's bytes: of a regular file of at most ``LARGEST_FILE`` bytes. Raises ImageError."""
    try:
        return read_bounded(path, LARGEST_FILE, "photo")
    except OSError as error:
        raise ImageError(f"cannot read image '{path}': {error.strerror or error}") from error


def _load(path: Path, at_least: tuple[int, int] | None, finish: Callable[[Image.Image, Box], T]) -> T:
    """Reads and decodes an image file, when there is memory for it. See :func:`_decode`."""
    with budget.claim() as claim:
        try:
            size = path.stat().st_size
        except OSError:
            size = 0  # reading it gives the reason
        if SMALL_FILE < size <= LARGEST_FILE:
            claim.hold(size, last=False)
        return _decode(read_content(path), str(path), at_least, finish, claim)


def decode_bytes(content: bytes, name: str = "<bytes>", *, at_least: tuple[int, int] | None = None) -> Image.Image:
    """Decodes an image file's bytes; ``name`` is used in error messages. See :func:`decode`."""
    with budget.claim() as claim:
        return _decode(content, name, at_least, lambda image, _: image, claim)


def _decode(
    content: bytes,
    name: str,
    at_least: tuple[int, int] | None,
    finish: Callable[[Image.Image, Box], T],
    claim: Claim,
) -> T:
    """Decodes an image and returns ``finish`` of it and of the box that the photo fills in it."""
    if not content:
        raise ImageError(f"not a readable image: '{name}' is empty (0 bytes)")
    kind = "image"
    try:
        with _open(content, claim) as image:
            kind = image.format or kind
            full = image.size
            scale = _reduce(image, at_least)
            deep = has_16_bits(image)
            turned = _is_known_to_be_turned(image)
            needed = memory_to_decode(image, content, full=full, turned=turned, deep=deep, at_least=at_least)
            if needed > LARGEST:
                raise ImageError(_describe_too_large(image, full, needed))
            claim.hold(needed, last=True)
            image.load()
            if deep:
                check_deep_colour(image)
            orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
            upright = to_rgb(image)
            return finish(upright, _filled(upright, full, scale, orientation))
    except ImageError as error:
        raise ImageError(f"not a readable image: '{name}' {error}") from error
    except TledgeError:
        raise
    except UnidentifiedImageError as error:
        size = f"({len(content):,} bytes)"
        raise ImageError(f"not a readable image: '{name}' {size} has an unknown image format") from error
    except (Image.DecompressionBombError, MemoryError) as error:
        raise ImageError(f"not a readable image: '{name}' is too large: {error or 'out of memory'}") from error
    except Exception as error:
        truncated = "truncated" in str(error).lower()
        problem = f"truncated {kind} ({len(content):,} bytes)" if truncated else f"broken {kind} ({error})"
        raise ImageError(f"not a readable image: '{name}' is a {problem}") from error


def _open(content: bytes, claim: Claim) -> ImageFile:
    """Opens an image like ``PIL.Image.open``, without its warning about images above 89 megapixels.

    This module has its own limit, and a warning cannot be silenced for one call if other threads are running.
    """
    kind = format_of(content[:HEAD])
    if kind is None:
        raise UnidentifiedImageError
    if (needed := check_structure(kind, content)) > LARGEST:
        raise ImageError(
            f"is too large: it may take {needed / 1e6:,.0f} MB to open as {kind}; the limit for a photo is"
            f" {LARGEST / 1e6:,.0f} MB; make it smaller or save it without metadata"
        )
    claim.hold(needed, last=False)  # a WebP's canvas is allocated when it is opened
    try:
        return cast("ImageFile", plugin_of(kind)(io.BytesIO(content), ""))
    except (SyntaxError, IndexError, TypeError, struct.error) as error:
        raise UnidentifiedImageError from error


def _reduce(image: ImageFile, at_least: tuple[int, int] | None) -> int:
    """Sets a JPEG to be decoded at a fraction of its size, if allowed; returns the fraction's denominator."""
    jpeg = _as_jpeg(image)
    if at_least is None or jpeg is None:
        return 1
    height, width = at_least
    if jpeg.getexif().get(ExifTags.Base.Orientation, 1) in _ON_ITS_SIDE:
        height, width = width, height
    jpeg.draft(None, (REDUCED * width, REDUCED * height))
    return int(jpeg.decoderconfig[0]) if jpeg.decoderconfig else 1


def _is_known_to_be_turned(image: ImageFile) -> bool:
    """Whether EXIF data turn an image, as far as that is known before it is decoded: a PNG may have them at its end."""
    if image.format == "PNG" and "exif" not in image.info:
        return False  # Pillow would decode the whole image to look for them
    return bool(image.getexif().get(ExifTags.Base.Orientation, 1) != 1)


def _as_jpeg(image: ImageFile) -> JpegImageFile | None:
    from PIL.JpegImagePlugin import JpegImageFile

    return image if isinstance(image, JpegImageFile) else None


def _filled(upright: Image.Image, full: tuple[int, int], scale: int, orientation: int) -> Box:
    """Returns the box that the photo fills in a reduced image, whose last column and row may be only partly filled.

    ``full`` is (width, height) in the file, before it was reduced to 1 / ``scale`` and turned by its EXIF orientation.
    """
    width, height = full[0] / scale, full[1] / scale
    if orientation in _ON_ITS_SIDE:
        width, height = height, width
    left = upright.width - width if orientation in _LAST_COLUMN_IS_FIRST else 0.0
    top = upright.height - height if orientation in _LAST_ROW_IS_FIRST else 0.0
    return left, top, left + width, top + height


def _describe_too_large(image: ImageFile, full: tuple[int, int], needed: float) -> str:
    other = "" if _as_jpeg(image) else " or save it as a JPEG, which is decoded at a reduced size"
    return (
        f"is too large: {math.prod(full) / 1e6:,.0f} megapixels ({full[0]:,} x"
        f" {full[1]:,}) take {needed / 1e6:,.0f} MB to decode as {image.format}; the limit for a photo is"
        f" {LARGEST / 1e6:,.0f} MB; make it smaller{other}"
    )


def _crop(box: Box, height: int, width: int) -> Box:
    outer_width, outer_height = box[2] - box[0], box[3] - box[1]
    scale = min(outer_width / width, outer_height / height)
    # Pillow rejects a box that rounding has moved out of the image by the last digit.
    left = max(box[0], box[0] + (outer_width - width * scale) / 2)
    top = max(box[1], box[1] + (outer_height - height * scale) / 2)
    return left, top, min(left + width * scale, box[2]), min(top + height * scale, box[3])


_RULES: dict[str, Callable[[Box, int, int], Box]] = {"crop": _crop, "stretch": lambda box, height, width: box}

RESIZE_RULES = tuple(_RULES)
"""``crop``: the largest centred part with the right aspect ratio; ``stretch``: the whole image, distorted if needed."""


def resize(image: Image.Image, size: tuple[int, int], rule: str, *, filled: Box | None = None) -> Pixels:
    """Resizes an RGB image, antialiased and bilinear.

    Args:
        image: an RGB image of any size.
        size: (height, width) of the result.
        rule: one of ``RESIZE_RULES``.
        filled: the box that the photo fills in the image; by default all of it.

    Returns:
        uint8 (height, width, 3), RGB.

    Raises:
        UnknownNameError: the rule is unknown.
    """
    if rule not in _RULES:
        raise UnknownNameError("resize rule", rule, RESIZE_RULES)
    height, width = size
    box = _RULES[rule](filled or (0.0, 0.0, float(image.width), float(image.height)), height, width)
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR, box=box), np.uint8)


def load_pixels(path: Path, size: tuple[int, int], rule: str) -> Pixels:
    """Decodes and resizes an image file; a large JPEG is decoded at a reduced size. See :func:`resize`.

    Raises:
        ImageError: the file cannot be read as an image.
        UnknownNameError: the rule is unknown.
    """
    return _load(path, size, lambda image, filled: resize(image, size, rule, filled=filled))


def load_pixels_from_bytes(content: bytes, size: tuple[int, int], rule: str, *, name: str = "<bytes>") -> Pixels:
    """Decodes and resizes an image file's bytes; ``name`` is used in error messages. See :func:`load_pixels`."""
    with budget.claim() as claim:
        return _decode(content, name, size, lambda image, filled: resize(image, size, rule, filled=filled), claim)
