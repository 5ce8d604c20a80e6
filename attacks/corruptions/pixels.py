"""Pixel values as bytes, as fractions of white and as linear light."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tledge.core.images import Pixels

Values = npt.NDArray[np.float32]
"""Pixel values as fractions: 0 is black, 1 is white."""

Corruption = Callable[[Pixels, int, np.random.Generator], Pixels]
"""A function of a photo, uint8 (height, width, 3), a severity from 1 to 5 and a random number generator."""

REFERENCE_SIDE = 224
"""Side in pixels of the images that ImageNet-C's lengths are for."""


def scale_of(image: npt.NDArray[np.generic]) -> float:
    """Returns the factor of ImageNet-C's lengths for an image: its shorter side over 224."""
    return float(min(image.shape[:2])) / REFERENCE_SIDE


def to_values(pixels: Pixels) -> Values:
    """Returns uint8 0..255 as float32 0..1."""
    return np.divide(pixels, np.float32(255), dtype=np.float32)


def to_pixels(values: npt.NDArray[np.floating]) -> Pixels:
    """Returns fractions as uint8, clipped and rounded."""
    pixels: Pixels = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return pixels


def decode_gamma(values: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Returns sRGB values 0..1 as linear light 0..1 (IEC 61966-2-1)."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def encode_gamma(light: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Returns linear light, clipped to 0..1, as sRGB values 0..1 (IEC 61966-2-1)."""
    clipped = np.clip(light, 0, 1)
    values: npt.NDArray[np.floating] = np.where(
        clipped <= 0.0031308, clipped * 12.92, 1.055 * clipped ** (1 / 2.4) - 0.055
    )
    return values


_LIGHT = decode_gamma(np.arange(256) / 255).astype(np.float32)


def to_light(pixels: Pixels) -> Values:
    """Returns uint8 sRGB as linear light, float32 0..1."""
    return _LIGHT[pixels]


def expose(pixels: Pixels, gains: npt.NDArray[np.float64]) -> Pixels:
    """Multiplies the linear light of uint8 (height, width, 3) sRGB by ``gains`` (3,), and clips values above white."""
    tables = to_pixels(encode_gamma(_LIGHT[:, None] * gains))
    return tables[pixels, np.arange(3)]
