"""Corruptions of edge cameras: cheap, unattended, at night and in the rain.

Light adds up in linear light, as in a sensor. Lengths are for images with a shorter side of 224 px, and scale with the
image.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from tledge.attacks.corruptions.colour_temperature import LUMINANCE, light_of
from tledge.attacks.corruptions.digital import through_jpeg
from tledge.attacks.corruptions.filters import convolve, gaussian_blur, path_kernel, resize_plane
from tledge.attacks.corruptions.pixels import Values, encode_gamma, expose, scale_of, to_light, to_pixels, to_values
from tledge.core.images import Pixels

_STOPS_LOST = (1, 2, 3, 4, 5)
_ELECTRONS = 600  # that white stands for, in good light
_READ_NOISE = 2.5  # electrons
_GAIN = 0.6  # fraction of the lost stops that the camera's gain restores
_HAND_PATH = (8.0, 13.0, 20.0, 28.0, 38.0)
_HAND_STEPS = 128
_JPEG = (30, 20, 15, 10, 5)
_DIRT = (  # fraction smudged, blur and veil of a smudge, specks of dust
    (0.20, 1.5, 0.15, 4),
    (0.30, 2.0, 0.22, 8),
    (0.40, 2.6, 0.30, 12),
    (0.50, 3.3, 0.38, 17),
    (0.60, 4.0, 0.46, 23),
)
_CAMERA_MIREDS = 200.0  # 5000 K: the light that a photo is assumed to be balanced for
_MIREDS = (30.0, 60.0, 90.0, 120.0, 155.0)
_STOPS = (0.75, 1.25, 1.75, 2.25, 3.0)


def low_light(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Reduces the light: few photons, read noise, and a gain that restores part of the brightness."""
    stops = _STOPS_LOST[severity - 1]
    caught = rng.poisson(to_light(image) * (_ELECTRONS * 2.0**-stops))
    read = caught + rng.standard_normal(image.shape, dtype=np.float32) * np.float32(_READ_NOISE)
    return to_pixels(encode_gamma(read / _ELECTRONS * 2 ** (_GAIN * stops)))


def camera_motion(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Adds the camera shake of a long exposure: a bent path, along which highlights leave trails."""
    turns = np.cumsum(rng.normal(0, 2.5 / math.sqrt(_HAND_STEPS), _HAND_STEPS))
    headings = rng.uniform(0, 2 * math.pi) + turns
    step = _HAND_PATH[severity - 1] * scale_of(image) / _HAND_STEPS
    rows, columns = np.cumsum(np.sin(headings)) * step, np.cumsum(np.cos(headings)) * step
    kernel = path_kernel(rows - rows.mean(), columns - columns.mean(), np.ones(_HAND_STEPS))
    return to_pixels(encode_gamma(convolve(to_light(image), kernel)))


def low_quality_jpeg(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Compresses as JPEG for a slow connection: qualities down to 5."""
    return through_jpeg(image, _JPEG[severity - 1])


def dirty_lens(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Adds smudges, which blur the photo and veil it with scattered light, and specks of dust, which darken it."""
    share, sigma, veil, specks = _DIRT[severity - 1]
    scale = scale_of(image)
    light = to_light(image)
    smudged = _smudges(image.shape[:2], share, scale, rng)[..., None]
    scattered = light.mean(axis=(0, 1)) * np.float32(0.5) + np.float32(0.3)
    behind = gaussian_blur(light, sigma * scale) * np.float32(1 - veil) + scattered * np.float32(veil)
    through = light + smudged * (behind - light)
    dust = _dust(image.shape[:2], specks, scale, rng)[..., None]
    return to_pixels(encode_gamma(through * (1 - dust)))


def _smudges(size: tuple[int, ...], share: float, scale: float, rng: np.random.Generator) -> Values:
    """Returns a mask of smudges, (height, width): a fraction ``share`` is near 1, the rest near 0, with soft edges."""
    drawn = rng.standard_normal((*size, 2), dtype=np.float32)
    broad, fine = gaussian_blur(drawn[..., 0], 26 * scale), gaussian_blur(drawn[..., 1], 5 * scale)
    height = broad / broad.std() + np.float32(0.25) * fine / fine.std()
    border = np.quantile(height, 1 - share)
    return np.asarray(1 / (1 + np.exp(-(height - border) / np.float32(0.15))), np.float32)


def _dust(size: tuple[int, ...], specks: int, scale: float, rng: np.random.Generator) -> Values:
    """Returns the light (0 to 1) that specks block: disks out of focus, float32 (height, width)."""
    height, width = size
    finer = 2
    canvas = Image.new("L", (finer * width, finer * height))
    pen = ImageDraw.Draw(canvas)
    for _ in range(specks):
        x, y = rng.uniform(0, finer * width), rng.uniform(0, finer * height)
        radius = finer * scale * rng.uniform(2.0, 6.0)
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=int(rng.uniform(90, 190)))
    drawn = resize_plane(to_values(np.asarray(canvas)), height, width)
    return gaussian_blur(drawn, max(1.2 * scale, 0.4))


def white_balance(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Balances colours for the wrong light: half of all photos become too warm, the others too cold.

    Grey keeps its luminance.
    """
    shift = _MIREDS[severity - 1] * rng.choice((-1, 1))
    gains = light_of(_CAMERA_MIREDS + shift) / light_of(_CAMERA_MIREDS)
    return expose(image, gains / (gains @ LUMINANCE))


def wrong_exposure(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Overexposes half of all photos, which clips highlights, and underexposes the others."""
    stops = _STOPS[severity - 1] * rng.choice((-1, 1))
    return expose(image, np.full(3, 2.0**stops))
