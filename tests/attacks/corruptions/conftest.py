from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tledge.attacks.corruptions.filters import gaussian_blur
from tledge.attacks.corruptions.pixels import to_pixels
from tledge.core.images import Pixels

PHOTOS = 12


@pytest.fixture(scope="session")
def photos() -> Pixels:
    """uint8 (12, 64, 72, 3): soft textures of every scale with hard shapes before them."""
    return np.stack([_scene(np.random.default_rng(number)) for number in range(PHOTOS)])


def _scene(rng: np.random.Generator) -> Pixels:
    texture = sum(
        sigma * gaussian_blur(rng.standard_normal((64, 72, 3), dtype=np.float32), sigma)
        for sigma in (0.7, 2.0, 6.0, 16.0)
    )
    scene = Image.fromarray(to_pixels(0.2 * texture + rng.uniform(0.3, 0.6, 3)))
    pen = ImageDraw.Draw(scene)
    for _ in range(4):
        x, y, radius = rng.uniform(8, 64), rng.uniform(8, 56), rng.uniform(4, 14)
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tuple(rng.integers(0, 256, 3).tolist()))
    return np.asarray(scene)
