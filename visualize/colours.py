"""Numbers as colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tledge.core.extras import require
from tledge.core.images import Pixels

Floats = npt.NDArray[np.floating[Any]]

STRONG = 99.5
"""The percentile from which on values have the last colour of a map."""

OVERLAID = 0.6
"""How opaque a heat map is where it is strongest."""


def coloured(values: Floats, name: str = "viridis") -> Pixels:
    """Numbers from 0 to 1, of any shape, in the colours of one of matplotlib's maps: uint8 (..., 3)."""
    require("matplotlib", extra="train", purpose="colouring pictures")
    from matplotlib import colormaps

    found: Pixels = np.rint(colormaps[name](np.clip(values, 0, 1))[..., :3] * 255).astype(np.uint8)
    return found


def stretched(values: Floats) -> Floats:
    """A map from its smallest value, which becomes 0, to its strongest ones, which become 1; all 0 where it is flat."""
    low, high = float(values.min()), float(np.percentile(values, STRONG))
    if high <= low:
        high = float(values.max())
    if high <= low:
        return np.zeros_like(values)
    found: Floats = np.clip((values - low) / (high - low), 0, 1)
    return found


def positive_share(values: Floats) -> Floats:
    """What of a map is above 0, with its largest value as 1; all 0 where nothing is."""
    positive: Floats = np.maximum(values, 0)
    largest = positive.max()
    return positive / largest if largest > 0 else positive


def resized(values: Floats, size: tuple[int, int]) -> Floats:
    """A map (h, w) enlarged to (height, width) by bilinear interpolation: float32."""
    image = Image.fromarray(values.astype(np.float32))
    return np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR))


def overlaid(photo: Pixels, heat: Floats, name: str = "inferno") -> Pixels:
    """A photo in grey beneath a heat map.

    Args:
        photo: uint8 (height, width, 3).
        heat: (height, width), 0 to 1: how warm and how opaque the colour is.
        name: of matplotlib's colour map.
    """
    grey = np.asarray(Image.fromarray(photo).convert("L"), np.float32)[..., np.newaxis]
    share = (OVERLAID * np.clip(heat, 0, 1) + 0.15)[..., np.newaxis]
    mixed = (1 - share) * grey + share * coloured(heat, name)
    found: Pixels = np.rint(np.clip(mixed, 0, 255)).astype(np.uint8)
    return found


def amplified(difference: npt.NDArray[Any]) -> tuple[Pixels, float]:
    """Changes of pixel values around a middle grey, enlarged until the largest is black or white.

    Args:
        difference: (height, width, 3), signed, in pixel values.

    Returns:
        uint8 (height, width, 3), and by how much it was enlarged.
    """
    largest = float(np.abs(difference).max())
    factor = 127 / largest if largest else 1.0
    return np.rint(128 + difference.astype(np.float64) * factor).clip(0, 255).astype(np.uint8), factor
