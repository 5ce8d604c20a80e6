"""Maps of numbers as colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tledge.core.extras import require
from tledge.core.images import Pixels

Floats = npt.NDArray[np.floating[Any]]

STRONG = 99.5
"""Values at or above this percentile get the last colour of a colour map."""

OVERLAID = 0.6
"""Opacity of a heat map at its strongest point."""


def apply_colour_map(values: Floats, name: str = "viridis") -> Pixels:
    """Returns numbers from 0 to 1, of any shape, in the colours of a matplotlib colour map: uint8 (..., 3)."""
    require("matplotlib", extra="train", purpose="coloured pictures")
    from matplotlib import colormaps

    found: Pixels = np.rint(colormaps[name](np.clip(values, 0, 1))[..., :3] * 255).astype(np.uint8)
    return found


def stretch(values: Floats) -> Floats:
    """Scales a map to 0 at its smallest value and 1 at its strongest ones; a flat map becomes all 0."""
    low, high = float(values.min()), float(np.percentile(values, STRONG))
    if high <= low:
        high = float(values.max())
    if high <= low:
        return np.zeros_like(values)
    found: Floats = np.clip((values - low) / (high - low), 0, 1)
    return found


def positive_part(values: Floats) -> Floats:
    """Returns the positive values of a map divided by the largest, 0 elsewhere."""
    positive: Floats = np.maximum(values, 0)
    largest = positive.max()
    return positive / largest if largest > 0 else positive


def resize_map(values: Floats, size: tuple[int, int]) -> Floats:
    """Resizes a map (h, w) to (height, width) by bilinear interpolation: float32."""
    image = Image.fromarray(values.astype(np.float32))
    return np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR))


def overlay(photo: Pixels, heat: Floats, name: str = "inferno") -> Pixels:
    """Lays a heat map over a grey version of a photo.

    Args:
        photo: uint8 (height, width, 3).
        heat: (height, width), 0 to 1; sets both colour and opacity.
        name: matplotlib's name of the colour map.
    """
    grey = np.asarray(Image.fromarray(photo).convert("L"), np.float32)[..., np.newaxis]
    share = (OVERLAID * np.clip(heat, 0, 1) + 0.15)[..., np.newaxis]
    mixed = (1 - share) * grey + share * apply_colour_map(heat, name)
    found: Pixels = np.rint(np.clip(mixed, 0, 255)).astype(np.uint8)
    return found


def amplify(difference: npt.NDArray[Any]) -> tuple[Pixels, float]:
    """Shows changes of pixel values around middle grey, amplified until the largest is black or white.

    Args:
        difference: (height, width, 3), signed, in pixel values.

    Returns:
        uint8 (height, width, 3), and the amplification factor.
    """
    largest = float(np.abs(difference).max())
    factor = 127 / largest if largest else 1.0
    return np.rint(128 + difference.astype(np.float64) * factor).clip(0, 255).astype(np.uint8), factor
