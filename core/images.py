"""From an image file to the pixels that a model sees.

The one place where images are decoded and resized: training, calibration, benchmarks and the device all
come through here, so they see the same pixels. EXIF orientation is applied, colours become RGB, and the
resize is Pillow's antialiased bilinear one. A JPEG of at least 4 times the wanted size is decoded at a half, a
quarter or an eighth of its size, by its decoder's own scaled transform: docs/adr/0013-large-jpegs-are-decoded-small.md.
"""

from __future__ import annotations

import io
import math
import os
import struct
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, UnidentifiedImageError

from tledge.core.errors import ImageError, TledgeError, UnknownNameError

if TYPE_CHECKING:  # Pillow imports its plugins with the first image; importing tledge does not take the time for it
    from PIL.ImageFile import ImageFile
    from PIL.JpegImagePlugin import JpegImageFile

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})

DECODING = 2
"""Goes up with each change of the pixels that a photo gives: what was computed from others is computed anew."""

REDUCED = 2
"""How many times the wanted size a JPEG that its decoder reduces must still have along both axes."""

LARGEST = 400e6
"""Bytes that decoding one photo may take, for a board of 1 GB: 50 megapixels, or many more of a JPEG."""

LARGE = 100e6
"""Bytes above which photos are decoded one at a time, however many threads there are: above 12 megapixels."""

HEAD = 16
"""Bytes at the beginning of a file by which Pillow tells formats apart."""

STRIP = 64
"""Rows that are converted to RGB at a time where that takes several steps."""

Pixels = npt.NDArray[np.uint8]
Box = tuple[float, float, float, float]
"""Left, top, right and bottom in an image, in its pixels."""

T = TypeVar("T")

_ON_ITS_SIDE = frozenset({5, 6, 7, 8})  # EXIF orientations that swap width and height
_LAST_COLUMN_IS_FIRST = frozenset({2, 3, 6, 7})  # of the upright image: what the file ends with is at the left,
_LAST_ROW_IS_FIRST = frozenset({3, 4, 7, 8})  # or at the top
_one_large_photo_at_a_time = Lock()


def is_image_name(path: Path) -> bool:
    """Whether a file's suffix is one of an image format that is read here."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def images_below(folder: Path) -> list[Path]:
    """The image files in a folder and in the folders below it, sorted; hidden ones are left out.

    Links to folders are not followed, so none can loop.

    Raises:
        OSError: a folder cannot be read.
    """

    def fail(error: OSError) -> None:
        raise error

    found = []
    for parent, folders, names in os.walk(folder, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent) / name for name in names if is_image_name(Path(name))]
    return sorted(found)


def decode(path: Path, at_least: tuple[int, int] | None = None) -> Image.Image:
    """Reads an image file, wholly.

    Args:
        path: of the file.
        at_least: (height, width) that the image will be resized to; a large JPEG is then decoded at 1/2, 1/4 or 1/8 of
            its size, whichever is the smallest that leaves twice as much along both axes. In full without it.

    Returns:
        An RGB image, upright, of any size; the first frame of an animated one.

    Raises:
        ImageError: no such file, no permission, empty, cut off, too large, or not an image.
    """
    return decode_bytes(read_content(path), name=str(path), at_least=at_least)


def read_content(path: Path) -> bytes:
    """An image file's bytes, not decoded. Raises ImageError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot read image '{path}': {error.strerror or error}") from error


def decode_bytes(content: bytes, name: str = "<bytes>", *, at_least: tuple[int, int] | None = None) -> Image.Image:
    """Decodes an image file's bytes; ``name`` is what errors call it. See :func:`decode`."""
    return _decode(content, name, at_least, lambda image, _: image)


def _decode(content: bytes, name: str, at_least: tuple[int, int] | None, finish: Callable[[Image.Image, Box], T]) -> T:
    """What ``finish`` makes of a decoded image and of the box in it that the photo fills."""
    if not content:
        raise ImageError(f"not a readable image: '{name}' is empty (0 bytes)")
    kind = "image"
    try:
        with _open(content) as image:
            kind = image.format or kind
            full = image.size
            scale = _reduce(image, at_least)
            needed = _memory_to_decode(image, full)
            if needed > LARGEST:
                raise ImageError(_describe_too_large(name, image, full, needed))
            with _one_large_photo_at_a_time if needed > LARGE else nullcontext():
                image.load()
                orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
                upright = to_rgb(image)
                return finish(upright, _filled(upright, full, scale, orientation))
    except TledgeError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(
            f"not a readable image: '{name}' ({len(content):,} bytes) is in no image format known here"
        ) from error
    except (Image.DecompressionBombError, MemoryError) as error:
        raise ImageError(f"not a readable image: '{name}' is too large: {error or 'out of memory'}") from error
    except Exception as error:
        if "truncated" in str(error).lower():
            raise ImageError(
                f"not a readable image: '{name}' is a truncated {kind} ({len(content):,} bytes)"
            ) from error
        raise ImageError(f"not a readable image: '{name}' is a broken {kind} ({error})") from error


def _open(content: bytes) -> ImageFile:
    """As ``PIL.Image.open``, but for its warning of images above 89 megapixels: what is too large is decided here.

    Warnings cannot be silenced for one call where other threads run.
    """
    stream, tried = io.BytesIO(content), set()
    for register in (Image.preinit, Image.init):
        register()
        for kind in [kind for kind in Image.ID if kind not in tried]:
            tried.add(kind)
            factory, accepts = Image.OPEN[kind]
            stream.seek(0)
            try:
                if accepts is None or accepts(content[:HEAD]) is True:  # else False, or why not, as a string
                    return factory(stream, "")
            except (SyntaxError, IndexError, TypeError, struct.error):
                continue
    raise UnidentifiedImageError


def is_image_start(head: bytes) -> bool:
    """Whether the first ``HEAD`` bytes of a file are those of an image format that says so at its beginning."""
    Image.preinit()
    Image.init()
    return any(accepts is not None and accepts(head) is True for _, accepts in Image.OPEN.values())


def _reduce(image: ImageFile, at_least: tuple[int, int] | None) -> int:
    """Has a JPEG decoded at a fraction of its size where that leaves twice ``at_least``; the fraction's denominator."""
    jpeg = _as_jpeg(image)
    if at_least is None or jpeg is None:
        return 1
    height, width = at_least
    if jpeg.getexif().get(ExifTags.Base.Orientation, 1) in _ON_ITS_SIDE:
        height, width = width, height
    jpeg.draft(None, (REDUCED * width, REDUCED * height))
    return int(jpeg.decoderconfig[0]) if jpeg.decoderconfig else 1


def _as_jpeg(image: ImageFile) -> JpegImageFile | None:
    from PIL.JpegImagePlugin import JpegImageFile

    return image if isinstance(image, JpegImageFile) else None


def _filled(upright: Image.Image, full: tuple[int, int], scale: int, orientation: int) -> Box:
    """The part of a reduced image that the photo fills: its last column and row may stand for a part of one.

    Args:
        upright: the reduced image, turned.
        full: (width, height) of the photo, as the file holds it.
        scale: the denominator of the fraction that it was reduced to.
        orientation: how it was turned, as EXIF numbers it.
    """
    width, height = full[0] / scale, full[1] / scale
    if orientation in _ON_ITS_SIDE:
        width, height = height, width
    left = upright.width - width if orientation in _LAST_COLUMN_IS_FIRST else 0.0
    top = upright.height - height if orientation in _LAST_ROW_IS_FIRST else 0.0
    return left, top, left + width, top + height


def _memory_to_decode(image: ImageFile, full: tuple[int, int]) -> float:
    """Bytes that decoding takes: Pillow's 4 a pixel, once more to convert or to turn, and a progressive JPEG's own."""
    needed = 2 * 4 * math.prod(image.size)
    jpeg = _as_jpeg(image)
    if jpeg is not None and "progressive" in jpeg.info:
        areas = [across * down for _, across, down, _ in jpeg.layer]  # its decoder keeps 2 bytes of each coefficient
        needed += int(2 * math.prod(full) * sum(areas) / max(areas))
    return needed


def _describe_too_large(name: str, image: ImageFile, full: tuple[int, int], needed: float) -> str:
    other = "" if _as_jpeg(image) else " or save it as a JPEG, which is decoded at a reduced size"
    return (
        f"not a readable image: '{name}' is too large: {math.prod(full) / 1e6:,.0f} megapixels ({full[0]:,} x"
        f" {full[1]:,}) take {needed / 1e6:,.0f} MB to decode as {image.format}; {LARGEST / 1e6:,.0f} MB are the most"
        f" for one photo; make it smaller{other}"
    )


def to_rgb(image: Image.Image) -> Image.Image:
    """An image of any mode as an upright RGB one, itself if it is one; transparency is laid over white."""
    upright = image
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:  # else it would be copied
        from PIL import ImageOps

        upright = ImageOps.exif_transpose(image)
    if upright.mode == "RGB":
        return upright
    if upright.mode.startswith("I") or upright.mode == "F":
        return _by_strips(upright, _from_numbers)
    if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
        return _by_strips(upright, _over_white)
    return upright.convert("RGB")


def _by_strips(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Converts an image pixel by pixel to RGB, some rows at a time: several copies of a large one would be too many."""
    converted = Image.new("RGB", image.size)
    for top in range(0, image.height, STRIP):
        strip = image.crop((0, top, image.width, min(top + STRIP, image.height)))
        converted.paste(convert(strip), (0, top))
    return converted


def _from_numbers(image: Image.Image) -> Image.Image:
    values = np.asarray(image, np.float32)
    if image.mode.startswith("I"):  # 16-bit greyscale: the upper byte is what a screen shows
        values = values / 257.0
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8)).convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    coloured = image.convert("RGBA")
    background = Image.new("RGBA", coloured.size, "white")
    return Image.alpha_composite(background, coloured).convert("RGB")


def _stretch(box: Box, height: int, width: int) -> Box:
    return box


def _crop(box: Box, height: int, width: int) -> Box:
    outer_width, outer_height = box[2] - box[0], box[3] - box[1]
    scale = min(outer_width / width, outer_height / height)
    # Pillow refuses a box that rounding has put outside of the image by the last digit.
    left = max(box[0], box[0] + (outer_width - width * scale) / 2)
    top = max(box[1], box[1] + (outer_height - height * scale) / 2)
    return left, top, min(left + width * scale, box[2]), min(top + height * scale, box[3])


_RULES: dict[str, Callable[[Box, int, int], Box]] = {"crop": _crop, "stretch": _stretch}

RESIZE_RULES = tuple(_RULES)
"""``crop``: the largest centred part of the right shape; ``stretch``: the whole image, shape ignored."""


def resize(image: Image.Image, size: tuple[int, int], rule: str) -> Pixels:
    """Resizes an RGB image by a named rule, antialiased and bilinear.

    Args:
        image: an RGB image of any size.
        size: (height, width) wanted.
        rule: one of ``RESIZE_RULES``.

    Returns:
        uint8 (height, width, 3), RGB.

    Raises:
        UnknownNameError: no such rule.
    """
    return _resize(image, (0.0, 0.0, float(image.width), float(image.height)), size, rule)


def _resize(image: Image.Image, filled: Box, size: tuple[int, int], rule: str) -> Pixels:
    if rule not in _RULES:
        raise UnknownNameError("resize rule", rule, RESIZE_RULES)
    height, width = size
    box = _RULES[rule](filled, height, width)
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR, box=box), np.uint8)


def load_pixels(path: Path, size: tuple[int, int], rule: str) -> Pixels:
    """Decodes and resizes one image file, a large JPEG by way of its decoder's reduced sizes.

    Args:
        path: of the file.
        size: (height, width) wanted.
        rule: one of ``RESIZE_RULES``.

    Returns:
        uint8 (height, width, 3), RGB.

    Raises:
        ImageError: the file is no readable image.
        UnknownNameError: no such rule.
    """
    return load_pixels_from_bytes(read_content(path), size, rule, name=str(path))


def load_pixels_from_bytes(content: bytes, size: tuple[int, int], rule: str, *, name: str = "<bytes>") -> Pixels:
    """Decodes and resizes an image file's bytes; ``name`` is what errors call it. See :func:`load_pixels`."""
    return _decode(content, name, size, lambda image, filled: _resize(image, filled, size, rule))
