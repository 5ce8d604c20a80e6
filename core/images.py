"""From an image file to the pixels that a model sees.

The one place where images are decoded and resized: training, calibration, benchmarks and the device all
come through here, so they see the same pixels. EXIF orientation is applied, colours become RGB, and the
resize is Pillow's antialiased bilinear one.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from tledge.core.errors import ImageError, UnknownNameError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})

Pixels = npt.NDArray[np.uint8]


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


def decode(path: Path) -> Image.Image:
    """Reads an image file, wholly.

    Returns:
        An RGB image, upright, of any size; the first frame of an animated one.

    Raises:
        ImageError: no such file, no permission, empty, cut off, too large, or not an image.
    """
    return decode_bytes(read_content(path), name=str(path))


def read_content(path: Path) -> bytes:
    """An image file's bytes, not decoded. Raises ImageError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ImageError(f"cannot read image '{path}': {error.strerror or error}") from error


def decode_bytes(content: bytes, name: str = "<bytes>") -> Image.Image:
    """Decodes an image file's bytes; ``name`` is what errors call it. See :func:`decode`."""
    if not content:
        raise ImageError(f"not a readable image: '{name}' is empty (0 bytes)")
    kind = "image"
    try:
        with Image.open(io.BytesIO(content)) as image:
            kind = image.format or kind
            image.load()
            return to_rgb(image)
    except UnidentifiedImageError as error:
        raise ImageError(
            f"not a readable image: '{name}' ({len(content):,} bytes) is in no image format known here"
        ) from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"not a readable image: '{name}' is too large: {error}") from error
    except Exception as error:
        if "truncated" in str(error).lower():
            raise ImageError(
                f"not a readable image: '{name}' is a truncated {kind} ({len(content):,} bytes)"
            ) from error
        raise ImageError(f"not a readable image: '{name}' is a broken {kind} ({error})") from error


def to_rgb(image: Image.Image) -> Image.Image:
    """An image of any mode as an upright RGB one, itself if it is one; transparency is laid over white."""
    turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
    upright = ImageOps.exif_transpose(image) if turned else image  # which would copy an upright one, too
    if upright.mode == "RGB":
        return upright
    if upright.mode.startswith("I") or upright.mode == "F":
        values = np.asarray(upright, np.float32)
        if upright.mode.startswith("I"):  # 16-bit greyscale: the upper byte is what a screen shows
            values = values / 257.0
        return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8)).convert("RGB")
    if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
        coloured = upright.convert("RGBA")
        background = Image.new("RGBA", coloured.size, "white")
        return Image.alpha_composite(background, coloured).convert("RGB")
    return upright.convert("RGB")


def _stretch(image: Image.Image, height: int, width: int) -> Image.Image:
    return image.resize((width, height), Image.Resampling.BILINEAR)


def _crop(image: Image.Image, height: int, width: int) -> Image.Image:
    scale = min(image.width / width, image.height / height)
    left = (image.width - width * scale) / 2
    top = (image.height - height * scale) / 2
    box = (left, top, left + width * scale, top + height * scale)
    return image.resize((width, height), Image.Resampling.BILINEAR, box=box)


_RULES: dict[str, Callable[[Image.Image, int, int], Image.Image]] = {"crop": _crop, "stretch": _stretch}

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
    if rule not in _RULES:
        raise UnknownNameError("resize rule", rule, RESIZE_RULES)
    return np.asarray(_RULES[rule](image, *size), np.uint8)


def load(path: Path, size: tuple[int, int], rule: str) -> Pixels:
    """Decodes and resizes one image file: uint8 (height, width, 3), RGB. Raises ImageError."""
    return resize(decode(path), size, rule)
