"""Random changes of training photos: crop, rotation, mirroring and colour.

A crop of random size and angle is taken from inside of the photo, so that no corner is empty, in one antialiased
resize. Then the image may be mirrored, and its brightness, contrast and saturation change.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance

from tledge.core.errors import OptionError
from tledge.core.images import Pixels

MARGIN = 3
"""Extra pixels around a rotated crop: its corners are cut off where positions are rounded to whole pixels."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How much training photos are changed at random.

    Attributes:
        flip: mirror every second photo, left to right.
        crop: the smallest fraction of a photo's side that is kept, 0.1 to 1.
        rotation: the largest angle, 0 to 45 degrees.
        colour: the largest change of brightness, contrast and saturation, as a fraction, 0 to 0.9.

    Raises:
        OptionError: a value outside of these ranges.
    """

    flip: bool = True
    crop: float = 0.7
    rotation: float = 10.0
    colour: float = 0.2

    def __post_init__(self) -> None:
        for name, low, high in (("crop", 0.1, 1.0), ("rotation", 0.0, 45.0), ("colour", 0.0, 0.9)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise OptionError(f"`{name}` must be between {low:g} and {high:g}; received {value:g}")

    def minimum_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Returns the (height, width) that a photo needs, so that no crop is smaller than the ``size`` wanted."""
        height, width = size
        return math.ceil(height / self.crop), math.ceil(width / self.crop)

    def apply(self, image: Image.Image, size: tuple[int, int], *, resize: str, rng: np.random.Generator) -> Pixels:
        """Makes a training image from a photo.

        Args:
            image: RGB, of any size.
            size: (height, width) wanted.
            resize: the resize rule: "crop" keeps the aspect ratio, "stretch" does not.
            rng: the source of all random values.

        Returns:
            uint8 (height, width, 3).
        """
        height, width = size
        angle = float(rng.uniform(-self.rotation, self.rotation))
        scale = float(rng.uniform(self.crop, 1.0))
        # Photo pixels for each pixel of the result; for "stretch" they differ between the directions.
        units = image.width / width, image.height / height
        across, down = (min(units), min(units)) if resize == "crop" else units
        turned = math.radians(abs(angle))
        margin = MARGIN if angle else 0
        outer_width = (width + margin) * math.cos(turned) + (height + margin) * math.sin(turned)
        outer_height = (width + margin) * math.sin(turned) + (height + margin) * math.cos(turned)
        scale = min(scale, image.width / (outer_width * across), image.height / (outer_height * down))
        box_width, box_height = outer_width * across * scale, outer_height * down * scale
        left = float(rng.uniform()) * max(0.0, image.width - box_width)
        top = float(rng.uniform()) * max(0.0, image.height - box_height)
        box = (left, top, min(left + box_width, image.width), min(top + box_height, image.height))
        outer = image.resize((round(outer_width), round(outer_height)), Image.Resampling.BILINEAR, box=box)
        if angle:
            outer = outer.rotate(angle, Image.Resampling.BILINEAR)
        left, top = (outer.width - width) // 2, (outer.height - height) // 2
        changed = outer.crop((left, top, left + width, top + height))
        if self.flip and rng.random() < 0.5:
            changed = changed.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if self.colour:
            for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
                changed = enhance(changed).enhance(float(rng.uniform(1 - self.colour, 1 + self.colour)))
        return np.asarray(changed, np.uint8)


UNCHANGED = Augmentation(flip=False, crop=1.0, rotation=0.0, colour=0.0)
"""No augmentation: training photos are resized exactly as in evaluation."""

SMALL_AND_UPRIGHT = Augmentation(flip=False, crop=0.9, rotation=0.0, colour=0.0)
"""For small images of characters: a mirrored character is a different one, and a rotated crop loses the edges."""
