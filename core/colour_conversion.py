"""Conversion of images of every mode to RGB with 8 bits, upright."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from PIL import ExifTags, Image

from tledge.core.errors import ImageError

if TYPE_CHECKING:
    from PIL.ImageFile import ImageFile

DARKEST = 16
"""Floats above 1 are brightness values, 0 to 255 or more, only if one of them is this bright."""

WHITES = tuple(2.0**bits - 1 for bits in (8, 12, 16, 24, 31))
"""What may be white in greyscale integers: the least that no pixel exceeds. In few steps, so few photos differ."""

_seen_whites = set[float]()

STRIP = 64
"""Rows to convert to RGB at a time, if the conversion takes several steps."""


def has_16_bits(image: ImageFile) -> bool:
    """Whether an image that is not loaded yet stores colours with 16 bits; Pillow then drops the lower 8."""
    return image.mode in ("RGB", "RGBA", "LA") and ";16" in str(image.tile[:1])


def check_deep_colour(image: Image.Image) -> None:
    """Raises ImageError if colours stored with 16 bits fill 12 of them at most, since they would be nearly black."""
    most = max(np.asarray(image.getchannel(band)).max() for band in image.getbands() if band != "A")
    if 0 < most < 2**4:
        raise ImageError("has colours of 12 bits or fewer in 16 bits, which would be nearly black; save it with 8 bits")


def to_rgb(image: Image.Image) -> Image.Image:
    """Converts an image of any mode to an upright RGB one; transparent parts become white.

    Raises:
        ImageError: greyscale with values that are not those of a photo, such as negative ones.
    """
    upright = image
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:  # exif_transpose copies in any case
        from PIL import ImageOps

        upright = ImageOps.exif_transpose(image)
    if upright.mode == "RGB":
        return upright
    if upright.mode.startswith("I") or upright.mode == "F":
        return _numbers_to_rgb(upright)
    if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
        return _by_strips(upright, _over_white)
    return upright.convert("RGB")


def describe_mixed_ranges() -> str:
    """Returns a warning if the greyscale numbers converted since the last call have several ranges; else nothing."""
    whites = sorted(_seen_whites)
    _seen_whites.clear()
    if len(whites) < 2:
        return ""
    return (
        "greyscale photos with more than 8 bits are scaled by what each holds, here from 0 to"
        f" {' or '.join(f'{white:,.0f}' for white in whites)}: photos of one camera may differ in brightness; save them"
        " with 8 bits"
    )


def _by_strips(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Converts an image to RGB, some rows at a time, to avoid several copies of a large one."""
    converted = Image.new("RGB", image.size)
    for number, strip in enumerate(_strips(image)):
        converted.paste(convert(strip), (0, number * STRIP))
    return converted


def _strips(image: Image.Image) -> Iterator[Image.Image]:
    for top in range(0, image.height, STRIP):
        yield image.crop((0, top, image.width, min(top + STRIP, image.height)))


def _numbers_to_rgb(image: Image.Image) -> Image.Image:
    """Converts greyscale of integers or floats; see docs/adr/0019-photos-are-what-decodes.md for the ranges."""
    ends = [(float(part.min()), float(part.max())) for part in map(np.asarray, _strips(image))]
    least, most = float(np.min(ends)), float(np.max(ends))
    whites = (1.0, 255.0) if image.mode == "F" else WHITES
    white = next((white for white in whites if most < white + 0.5), 0)  # floats may exceed it by rounding
    if not least >= 0 or not white or (image.mode == "F" and 1 < most < DARKEST):  # also NaN
        raise ImageError(
            f"has pixel values from {least:g} to {most:g}, which are not those of a photo; save it with 8 or 16 bits"
        )
    _seen_whites.add(white)
    scale = 255 / white

    def convert(strip: Image.Image) -> Image.Image:
        values = np.rint(np.asarray(strip, np.float32) * np.float32(scale))
        return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)).convert("RGB")

    return _by_strips(image, convert)


def _over_white(image: Image.Image) -> Image.Image:
    background = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(background, image.convert("RGBA")).convert("RGB")
