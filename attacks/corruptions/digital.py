"""Corruptions by image processing: contrast, distortion, resolution, compression."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from tledge.attacks.corruptions.filters import gaussian_blur, sample
from tledge.attacks.corruptions.pixels import scale_of, to_pixels, to_values
from tledge.core.images import Pixels

_CONTRAST = (0.4, 0.3, 0.2, 0.1, 0.05)
_ELASTIC_SIDE = 244  # the unit of ImageNet-C's code; not 224
_ELASTIC = (  # strength of the distortion, its width, and how far corners move, in units of the side above
    (2.0, 0.7, 0.1),
    (2.0, 0.08, 0.2),
    (0.05, 0.01, 0.02),
    (0.07, 0.01, 0.02),
    (0.12, 0.01, 0.02),
)
_PIXELATE = (0.6, 0.5, 0.4, 0.3, 0.25)
_JPEG = (25, 18, 15, 10, 7)


def contrast(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Lowers the contrast: each channel's values move towards its mean."""
    values = to_values(image)
    means = values.mean(axis=(0, 1))
    return to_pixels((values - means) * np.float32(_CONTRAST[severity - 1]) + means)


def elastic_transform(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Stretches and contracts regions: a random affine map and a smooth random displacement, in one resampling.

    As in ImageNet-C, severities 1 and 2 distort the whole photo, and 3 to 5 small regions of it: the change in pixel
    values grows from 1 to 2 and from 3 to 5, but falls from 2 to 3.
    """
    strength, width, corner = (_ELASTIC_SIDE * part for part in _ELASTIC[severity - 1])
    scale = scale_of(image)
    size = image.shape[:2]
    centre, third = np.array(size) / 2, min(size) // 3
    corners = centre + third * np.array([[1, 1], [1, -1], [-1, -1]])
    moved = corners + rng.uniform(-corner * scale, corner * scale, (3, 2))
    affine = np.linalg.solve(np.c_[corners, np.ones(3)], moved).astype(np.float32)
    positions = np.indices(size, np.float32)
    # The deviation of white noise falls as 1 / sigma when it is blurred by sigma: hence the second factor of scale.
    drawn = rng.uniform(-1, 1, (*size, 2)).astype(np.float32)
    positions += np.moveaxis(gaussian_blur(drawn, width * scale), -1, 0) * np.float32(strength * scale * scale)
    rows, columns = np.tensordot(affine[:2], positions, axes=(0, 0)) + affine[2][:, None, None]
    return to_pixels(sample(to_values(image), rows, columns))


def pixelate(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Lowers the resolution, and enlarges the photo again without smoothing."""
    height, width = image.shape[:2]
    scale = _PIXELATE[severity - 1]
    small = Image.fromarray(image).resize((int(width * scale), int(height * scale)), Image.Resampling.BOX)
    return np.asarray(small.resize((width, height), Image.Resampling.BOX))


def jpeg_compression(image: Pixels, severity: int, rng: np.random.Generator) -> Pixels:
    """Compresses as JPEG of low quality, with chroma at half the resolution."""
    return through_jpeg(image, _JPEG[severity - 1])


def through_jpeg(image: Pixels, quality: int) -> Pixels:
    """Writes a photo, uint8 (height, width, 3), as JPEG of Pillow's quality 1 to 95, and reads it again."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality, subsampling="4:2:0")
    with Image.open(stream) as written:
        return np.asarray(written.convert("RGB"))
