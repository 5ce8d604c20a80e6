"""Corrupts photos by the name of a corruption, reproducibly."""

from __future__ import annotations

import zlib

import numpy as np

from tledge.attacks.corruptions import blur, digital, edge_camera, noise, weather
from tledge.attacks.corruptions.pixels import Corruption
from tledge.core.errors import OptionError, UnknownNameError
from tledge.core.images import Pixels

_IMAGENET_C: dict[str, Corruption] = {
    "gaussian_noise": noise.gaussian_noise,
    "shot_noise": noise.shot_noise,
    "impulse_noise": noise.impulse_noise,
    "defocus_blur": blur.defocus_blur,
    "glass_blur": blur.glass_blur,
    "motion_blur": blur.motion_blur,
    "zoom_blur": blur.zoom_blur,
    "snow": weather.snow,
    "frost": weather.frost,
    "fog": weather.fog,
    "brightness": weather.brightness,
    "contrast": digital.contrast,
    "elastic_transform": digital.elastic_transform,
    "pixelate": digital.pixelate,
    "jpeg_compression": digital.jpeg_compression,
}
_EDGE: dict[str, Corruption] = {
    "low_light": edge_camera.low_light,
    "camera_motion": edge_camera.camera_motion,
    "low_quality_jpeg": edge_camera.low_quality_jpeg,
    "dirty_lens": edge_camera.dirty_lens,
    "white_balance": edge_camera.white_balance,
    "wrong_exposure": edge_camera.wrong_exposure,
}
_ALL = _IMAGENET_C | _EDGE

CORRUPTIONS = tuple(_IMAGENET_C)
"""The 15 common corruptions of ImageNet-C, in the paper's order."""

EDGE_CORRUPTIONS = tuple(_EDGE)
"""The 6 corruptions of edge cameras."""

SEVERITIES = (1, 2, 3, 4, 5)

SMALLEST_SIDE = 16
"""Pixels. On smaller images, a blur of a few pixels at 224 px would have no effect."""


def corrupt(images: Pixels, name: str, *, severity: int, seed: int, first: int = 0) -> Pixels:
    """Corrupts photos.

    Random numbers depend on the seed, the name, the severity and the photo's index. Batches of a set give the same
    photos as the whole set if ``first`` is the index at which each batch begins.

    Source: Hendrycks and Dietterich, Benchmarking Neural Network Robustness to Common Corruptions and Perturbations,
    arXiv 1903.12261, section 3, with the parameters of ImageNet-C. docs/how-to/corruptions.md lists them.

    Args:
        images: uint8 (N, height, width, 3), RGB, sides of 16 px or more. Lengths are scaled from 224 px
            to the shorter side.
        name: one of ``CORRUPTIONS`` or ``EDGE_CORRUPTIONS``.
        severity: 1 to 5.
        seed: 0 or more.
        first: the index of the first photo, 0 or more.

    Returns:
        uint8 (N, height, width, 3).

    Raises:
        UnknownNameError: the name is unknown.
        OptionError: another dtype or shape of images, a severity out of range, a negative seed or index.
    """
    if name not in _ALL:
        raise UnknownNameError("corruption", name, _ALL)
    if severity not in SEVERITIES:
        raise OptionError(f"a corruption's severity must be a whole number from 1 to 5; received {severity}")
    if seed < 0 or first < 0:
        raise OptionError(f"seed and first must be 0 or more; received {seed} and {first}")
    shape, dtype = np.shape(images), np.asarray(images).dtype
    if dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or min(shape[1:3]) < SMALLEST_SIDE:
        raise OptionError(
            f"photos to corrupt must be uint8 (N, height, width, 3) with sides of {SMALLEST_SIDE} px or more; "
            f"received {dtype} {shape}"
        )
    corrupted = np.empty_like(images)
    key = zlib.crc32(name.encode())
    for index, image in enumerate(images):
        rng = np.random.default_rng((seed, key, severity, first + index))
        corrupted[index] = _ALL[name](image, severity, rng)
    return corrupted
