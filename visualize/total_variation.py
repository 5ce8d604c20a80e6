"""Total variation: how much an image changes from one pixel to the next.

Source: Rudin, Osher and Fatemi, Nonlinear total variation based noise removal algorithms, Physica D 60, 1992; as a
prior for generated images: Mahendran and Vedaldi, arXiv 1412.0035, section 2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tledge.core.images import Floats

ROUNDING = 1.0
"""Differences below this many pixel values count by their square, which keeps the gradient continuous at 0."""


def total_variation(images: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Returns the sum of absolute differences between neighbouring values, divided by the number of values.

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
    """Returns the gradient of the sum of sqrt(d² + ROUNDING²) over all differences d of neighbouring values.

    Args:
        images: float32 (N, height, width, channels).

    Returns:
        float32 of the same shape, each value between -4 and 4.
    """
    gradient = np.zeros_like(images)
    for axis in (1, 2):
        difference = np.diff(images, axis=axis)
        pull = difference / np.sqrt(np.square(difference) + np.float32(ROUNDING**2))
        before, after = _neighbour_slices(axis)
        gradient[after] += pull
        gradient[before] -= pull
    return gradient


def _neighbour_slices(axis: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Returns slices of all but the last value along an axis, and of all but the first."""
    every = (slice(None),) * axis
    return (*every, slice(None, -1)), (*every, slice(1, None))
