"""Photos a little different each time: what a camera could have seen as well.

One random crop, turned by a small angle, takes as much of the photo as can be had without a corner from outside of it,
in a single antialiased resize; then a mirror image and a change of brightness, contrast and saturation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance

from tledge.core.errors import OptionError
from tledge.core.images import Pixels

EDGE = 3
"""Pixels more than are needed of a turned photo: its corners are cut off where they are rounded to whole ones."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How much training photos are changed at random.

    Attributes:
        flip: mirror every second photo.
        crop: the least share of a photo's side that is kept, above 0 to 1.
        rotation: the largest angle, degrees.
        colour: the most that brightness, contrast and saturation change, as a fraction.
    """

    flip: bool = True
    crop: float = 0.7
    rotation: float = 10.0
    colour: float = 0.2

    def __post_init__(self) -> None:
        for name, low, high in (("crop", 0.1, 1.0), ("rotation", 0.0, 45.0), ("colour", 0.0, 0.9)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise OptionError(f"--{name} must be between {low:g} and {high:g}; received {value:g}")

    def least_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of a photo whose smallest crop still is as large as the images wanted, of ``size``."""
        height, width = size
        return math.ceil(height / self.crop), math.ceil(width / self.crop)

    def apply(self, image: Image.Image, size: tuple[int, int], resize: str, rng: np.random.Generator) -> Pixels:
        """Makes one training image of a photo.

        Args:
            image: RGB, of any size.
            size: (height, width) wanted.
            resize: the resize rule: "crop" keeps shapes, "stretch" does not.
            rng: what everything random is drawn from.

        Returns:
            uint8 (height, width, 3).
        """
        height, width = size
        angle = float(rng.uniform(-self.rotation, self.rotation))
        scale = float(rng.uniform(self.crop, 1.0))
        # The sides of the crop, in the photo's pixels; for "stretch" its unit is not the same in both directions.
        units = image.width / width, image.height / height
        across, down = (min(units), min(units)) if resize == "crop" else units
        turned = math.radians(abs(angle))
        margin = EDGE if angle else 0
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
"""Every photo as it is evaluated: :class:`~tledge.train.data.training_batches.TrainingBatches` changes nothing then."""

SMALL_AND_UPRIGHT = Augmentation(flip=False, crop=0.9, rotation=0.0, colour=0.0)
"""For written characters of few pixels: a mirror makes others of them, and a turned crop has to leave an edge out."""
