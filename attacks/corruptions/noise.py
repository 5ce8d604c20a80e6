"""Noise of sensors and memory. Each value is drawn independently, at any image size, as in ImageNet-C."""

from __future__ import annotations

import numpy as np

from tledge.attacks.corruptions.pixels import to_pixels, to_values
from tledge.core.images import Pixels

_DEVIATION = (0.08, 0.12, 0.18, 0.26, 0.38)
_PHOTONS = (60, 25, 12, 5, 3)
_SHARE = (0.03, 0.06, 0.09, 0.17, 0.27)


def gaussian_noise(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Adds normal noise, like that of a sensor in low light."""
    drawn = rng.standard_normal(image.shape, dtype=np.float32)
    return to_pixels(to_values(image) + drawn * np.float32(_DEVIATION[severity - 1]))


def shot_noise(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Adds Poisson noise: light arrives in photons, and even white consists of few."""
    photons = _PHOTONS[severity - 1]
    return to_pixels(rng.poisson(to_values(image) * photons) / photons)


def impulse_noise(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Adds salt and pepper: values that flip to 0 or 255, as by bit errors, in each channel independently."""
    share = _SHARE[severity - 1]
    drawn = rng.random(image.shape, dtype=np.float32)
    noisy = image.copy()
    noisy[drawn < share] = 255
    noisy[drawn < share / 2] = 0
    return noisy
