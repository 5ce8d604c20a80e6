"""Blurs of lenses, glass and motion. Lengths are for images with a shorter side of 224 px, and scale with the image."""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from tledge.attacks.corruptions.filters import convolve, gaussian_blur, trail_kernel
from tledge.attacks.corruptions.pixels import Values, scale_of, to_pixels, to_values
from tledge.core.images import Pixels

_DEFOCUS = ((3.0, 0.1), (4.0, 0.5), (6.0, 0.5), (8.0, 0.5), (10.0, 0.5))  # radius, softness of the edge
_GLASS = ((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2))  # sigma, largest move, rounds
_MOTION = ((10.0, 3.0), (15.0, 5.0), (15.0, 8.0), (15.0, 12.0), (20.0, 15.0))  # radius, sigma
_ZOOM = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))  # end (exclusive), step


def defocus_blur(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Defocuses the lens: each point becomes a disk."""
    radius, softness = _DEFOCUS[severity - 1]
    scale = scale_of(image)
    return to_pixels(convolve(to_values(image), _disk(radius * scale, softness * scale)))


@functools.lru_cache(maxsize=64)
def _disk(radius: float, softness: float) -> Values:
    """Returns a disk that sums to 1; its edge is antialiased over one pixel and then blurred by ``softness`` pixels."""
    reach = math.ceil(radius + 0.5 + 2 * softness)
    offsets = np.arange(-reach, reach + 1)
    distance = np.hypot(offsets[:, None], offsets)
    disk = np.clip(radius + 0.5 - distance, 0, 1).astype(np.float32)
    soft = gaussian_blur(disk, softness)
    soft /= soft.sum()
    return soft


def glass_blur(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Adds frosted glass: each pixel shows a nearby one, between two slight blurs.

    Images below 224 px are enlarged first and reduced at the end, because no pixel can move by less than one pixel.
    """
    sigma, farthest, rounds = _GLASS[severity - 1]
    if scale_of(image) < 1:
        height, width = (round(side / scale_of(image)) for side in image.shape[:2])
        enlarged = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
        blurred_large = Image.fromarray(glass_blur(np.asarray(enlarged), severity, rng))
        return np.asarray(blurred_large.resize((image.shape[1], image.shape[0]), Image.Resampling.BILINEAR))
    scale = scale_of(image)
    blurred = gaussian_blur(to_values(image), sigma * scale)
    scattered = blurred.reshape(-1, 3)[_near_pixels(image.shape[:2], (farthest + 0.5) * scale, rounds, rng)]
    return to_pixels(gaussian_blur(scattered.reshape(image.shape), sigma * scale))


def _near_pixels(shape: tuple[int, ...], reach: float, rounds: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Returns the source of each pixel, as a flat index, when each shows a random nearby one ``rounds`` times in a row.

    Offsets are drawn uniformly from -reach to reach pixels and rounded.
    """
    height, width = shape
    sources = np.arange(height * width)
    rows, columns = np.indices(shape)
    for _ in range(rounds):
        down, right = np.rint(rng.uniform(-reach, reach, (2, height, width))).astype(int)
        near = np.clip(rows + down, 0, height - 1) * width + np.clip(columns + right, 0, width - 1)
        sources = sources[near.ravel()]
    return sources


def motion_blur(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Moves the camera on a straight line, within 45 degrees of the horizontal."""
    radius, sigma = _MOTION[severity - 1]
    scale = scale_of(image)
    angle = math.radians(rng.uniform(-45, 45))
    return to_pixels(convolve(to_values(image), trail_kernel(radius * scale, sigma * scale, angle)))


def zoom_blur(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Moves the camera forward: the mean of the photo at several magnifications."""
    end, step = _ZOOM[severity - 1]
    height, width = image.shape[:2]
    photo = Image.fromarray(image)
    total = image.astype(np.float32)
    factors = np.arange(1.0, end, step)
    for factor in factors:
        across, down = width / factor, height / factor
        left, top = (width - across) / 2, (height - down) / 2
        box = (left, top, left + across, top + down)
        total += np.asarray(photo.resize((width, height), Image.Resampling.BILINEAR, box=box))
    return to_pixels(total / (255 * (len(factors) + 1)))
