"""Snow, frost, fog and daylight. Snow, ice and fog are drawn for a side of 224 px and resized to the image."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from tledge.attacks.corruptions.filters import convolve, resize_plane, trail_kernel
from tledge.attacks.corruptions.frost import FROST_SIDE, frost_pictures
from tledge.attacks.corruptions.pixels import REFERENCE_SIDE, Values, scale_of, to_pixels, to_values
from tledge.core.images import Pixels

_SNOW = (  # mean and deviation of the layer, flake size, threshold, radius and sigma of its motion, weight of the photo
    (0.1, 0.3, 3.0, 0.5, 10.0, 4.0, 0.8),
    (0.2, 0.3, 2.0, 0.5, 12.0, 4.0, 0.7),
    (0.55, 0.3, 4.0, 0.9, 12.0, 8.0, 0.7),
    (0.55, 0.3, 4.5, 0.85, 12.0, 8.0, 0.65),
    (0.55, 0.3, 2.5, 0.85, 12.0, 12.0, 0.55),
)
_FROST = ((1.0, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))  # weights of the photo and of the frost
_FOG = ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))  # thickness, decay of its finer structure
_FOG_SIDE = 256
_BRIGHTNESS = (0.1, 0.2, 0.3, 0.4, 0.5)
_LUMA = np.array((0.299, 0.587, 0.114), np.float32)


def snow(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Adds falling snow, streaked by its motion, and whitens the photo."""
    mean, deviation, size, threshold, radius, sigma, share = _SNOW[severity - 1]
    # Drawn at 224 px: the flakes of a small image would be points, too fine for the threshold to thin out.
    height, width = (round(side / scale_of(image)) for side in image.shape[:2])
    drawn = rng.standard_normal((math.ceil(height / size), math.ceil(width / size)), dtype=np.float32)
    layer = resize_plane(drawn * np.float32(deviation) + np.float32(mean), height, width)
    layer = np.where(layer < threshold, np.float32(0), np.clip(layer, 0, 1))
    angle = math.radians(rng.uniform(45, 135))  # roughly downwards
    layer = np.clip(convolve(layer, trail_kernel(radius, sigma, angle)), 0, 1)
    layer = resize_plane(layer, *image.shape[:2])[..., None]
    values = to_values(image)
    white = np.maximum(values, (values @ _LUMA)[..., None] * np.float32(1.5) + np.float32(0.5))
    return to_pixels(share * values + (1 - share) * white + layer + layer[::-1, ::-1])


def frost(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Adds ice on the lens: blends the photo with a crop of a picture of frost."""
    photo_share, frost_share = _FROST[severity - 1]
    pictures = frost_pictures()
    picture = pictures[rng.integers(len(pictures))]
    left, top = rng.integers(0, FROST_SIDE - REFERENCE_SIDE, 2, endpoint=True).tolist()
    box = (left, top, left + REFERENCE_SIDE, top + REFERENCE_SIDE)
    size = (image.shape[1], image.shape[0])
    ice = np.asarray(picture.resize(size, Image.Resampling.BILINEAR, box=box))
    if rng.random() < 0.5:
        ice = ice[:, ::-1]
    return to_pixels(photo_share * to_values(image) + frost_share * to_values(ice))


def fog(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Adds fog of uneven thickness, drawn by the diamond-square algorithm."""
    thickness, decay = _FOG[severity - 1]
    cloud = plasma(_FOG_SIDE, decay, rng)[:REFERENCE_SIDE, :REFERENCE_SIDE]
    cloud = resize_plane(cloud, *image.shape[:2])
    values = to_values(image)
    brightest = values.max()
    return to_pixels((values + thickness * cloud[..., None]) * (brightest / (brightest + thickness)))


def plasma(side: int, decay: float, rng: np.random.Generator) -> Values:
    """Returns a random surface of the diamond-square algorithm that tiles seamlessly.

    Source: Fournier, Fussell and Carpenter, Computer rendering of stochastic models, Communications of the ACM 25,
    1982; the levels' heights are those of ImageNet-C.

    Args:
        side: a power of two, in pixels.
        decay: the height of each finer level is divided by its square.
        rng: the random number generator.

    Returns:
        float32 (side, side), 0 to 1.
    """
    surface = np.zeros((side, side), np.float32)
    step, height = side, 1.0
    while step > 1:
        half = step // 2
        corners = surface[::step, ::step]
        sums = corners + np.roll(corners, -1, 0)
        sums = sums + np.roll(sums, -1, 1)
        middles = sums / 4 + _uniform(height, sums.shape, rng)
        surface[half::step, half::step] = middles
        beside = corners + np.roll(corners, -1, 1) + middles + np.roll(middles, 1, 0)
        surface[::step, half::step] = beside / 4 + _uniform(height, beside.shape, rng)
        below = corners + np.roll(corners, -1, 0) + middles + np.roll(middles, 1, 1)
        surface[half::step, ::step] = below / 4 + _uniform(height, below.shape, rng)
        step, height = half, height / decay**2
    surface -= surface.min()
    surface /= surface.max()
    return surface


def _uniform(reach: float, shape: tuple[int, ...], rng: np.random.Generator) -> Values:
    return rng.uniform(-reach, reach, shape).astype(np.float32)


def brightness(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Adds daylight: raises the value in hue, saturation and value."""
    values = to_values(image)
    value = values.max(axis=2, keepdims=True)
    raised = np.minimum(value + np.float32(_BRIGHTNESS[severity - 1]), 1)
    hue = np.divide(values, value, out=np.ones_like(values), where=value > 0)  # black becomes grey
    return to_pixels(hue * raised)
