"""Generated pictures of frost: fern-like crystals over a haze of ice.

ImageNet-C blends its images with photos of frosted windows. This package ships no photos of others, so it draws its
own, the same ones every time.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from PIL import Image, ImageDraw

from tledge.attacks.corruptions.filters import gaussian_blur, resize_plane
from tledge.attacks.corruptions.pixels import Values, to_pixels, to_values

FROST_SIDE = 384
"""Side of a picture in pixels; a photo of 224 px gets a crop of 224 px."""

_PICTURES = 5
_SEED = 1903_12261
_FERNS = 42
_DEPTH = 2  # barbs, and barbs of barbs
_SPACING = 9.0  # between barbs, in pixels of a canvas of twice the side
_INK = (120, 185, 255)  # by depth: barbs of barbs, barbs, stems
_BARB = (0.0, 0.3, 0.42)  # a barb's length, as a fraction of its stem's
_DARK, _BRIGHT = np.array((0.08, 0.12, 0.18), np.float32), np.array((0.93, 0.97, 1.0), np.float32)


@functools.cache
def frost_pictures() -> tuple[Image.Image, ...]:
    """Returns five RGB pictures of ``FROST_SIDE`` pixels, drawn once per process."""
    return tuple(_draw(np.random.default_rng((_SEED, number))) for number in range(_PICTURES))


def _draw(rng: np.random.Generator) -> Image.Image:
    canvas = Image.new("L", (2 * FROST_SIDE, 2 * FROST_SIDE))
    pen = ImageDraw.Draw(canvas)
    for _ in range(_FERNS):
        _fern(pen, rng)
    crystals = resize_plane(to_values(np.asarray(canvas)), FROST_SIDE, FROST_SIDE)
    haze = _haze(rng)
    grain = rng.standard_normal(haze.shape, dtype=np.float32) * np.float32(0.05)
    glow = gaussian_blur(crystals, 5.0)
    ice = np.clip(0.35 * haze**1.5 + 0.75 * crystals * (0.6 + haze) + 0.4 * glow * haze + grain * (0.3 + haze), 0, 1)
    return Image.fromarray(to_pixels(_DARK + ice[..., None] * (_BRIGHT - _DARK)))


def _haze(rng: np.random.Generator) -> Values:
    """Returns ice too fine to be seen as crystals: clouds with grain, 0 to 1."""
    layers = [
        np.float32(weight)
        * _normalized(gaussian_blur(rng.standard_normal((FROST_SIDE, FROST_SIDE), dtype=np.float32), sigma))
        for sigma, weight in ((48.0, 0.55), (14.0, 0.3), (4.0, 0.15), (1.2, 0.1))
    ]
    total: Values = np.clip(np.sum(layers, axis=0), 0, 1)
    return total


def _normalized(plane: Values) -> Values:
    low, high = np.percentile(plane, (2, 98))
    normalized: Values = np.clip((plane - low) / (high - low), 0, 1).astype(np.float32)
    return normalized


def _fern(pen: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """Draws one crystal: a bent stem at a random position and heading, with barbs at 60 degrees on both sides."""
    side = 2 * FROST_SIDE
    x, y = rng.uniform(0, side, 2)
    heading = rng.uniform(0, 2 * math.pi)
    _branch(pen, rng, (x, y), heading, length=side * rng.uniform(0.2, 0.5), depth=_DEPTH)


def _branch(
    pen: ImageDraw.ImageDraw,
    rng: np.random.Generator,
    start: tuple[float, float],
    heading: float,
    *,
    length: float,
    depth: int,
) -> None:
    """Draws a stem (depth 2), a barb of it (1) or a barb's barb (0): thinner and darker towards its end."""
    x, y = start
    if depth == 0:
        pen.line((x, y, x + length * math.cos(heading), y + length * math.sin(heading)), fill=_INK[0])
        return
    bend = rng.normal(0, 0.35) if depth == _DEPTH else 0.0
    pieces = max(2, int(length / _SPACING))
    for piece in range(pieces):
        left = 1 - piece / pieces
        turned = heading + bend * piece / pieces
        end = x + _SPACING * math.cos(turned), y + _SPACING * math.sin(turned)
        pen.line((x, y, *end), fill=int(_INK[depth] * (0.45 + 0.55 * left)), width=depth + 1)
        x, y = end
        if piece:
            reach = length * _BARB[depth] * left * rng.uniform(0.6, 1.0)
            for side in (-1, 1):
                angle = turned + side * (math.pi / 3 + rng.normal(0, 0.06))
                _branch(pen, rng, (x, y), angle, length=reach, depth=depth - 1)
