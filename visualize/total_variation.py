"""Total variation: how much the values of an image change from one pixel to the next.

Source: Rudin, Osher and Fatemi, Nonlinear total variation based noise removal algorithms, Physica D 60, 1992; as a
prior for images that a network is asked for: Mahendran and Vedaldi, arXiv 1412.0035, section 2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

ROUNDING = 1.0
"""Pixel values below which a difference counts by its square, so that the gradient does not jump from -1 to 1."""


def total_variation(images: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The sum of the absolute differences of neighbouring values, down and across, over the number of values.

    Args:
        images: (N, height, width, channels), uint8 or floating.

    Returns:
        float64 (N,), in pixel values.
    """
    values = images.astype(np.float64)
    size = values[0].size
    down = np.abs(np.diff(values, axis=1)).sum(axis=(1, 2, 3))
    across = np.abs(np.diff(values, axis=2)).sum(axis=(1, 2, 3))
    found: npt.NDArray[np.float64] = (down + across) / size
    return found


def total_variation_gradient(images: Floats) -> Floats:
    """The gradient of the sum of sqrt(d² + ROUNDING²) over all differences d of neighbouring values.

    Args:
        images: float32 (N, height, width, channels).

    Returns:
        float32 of the same shape, each value within -4 and 4.
    """
    gradient = np.zeros_like(images)
    for axis in (1, 2):
        difference = np.diff(images, axis=axis)
        pull = difference / np.sqrt(np.square(difference) + np.float32(ROUNDING**2))
        before, after = _ends(axis)
        gradient[after] += pull
        gradient[before] -= pull
    return gradient


def _ends(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """All but the last along an axis, and all but the first."""
    every = (slice(None),) * axis
    return (*every, slice(None, -1)), (*every, slice(1, None))
