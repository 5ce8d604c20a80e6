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

    ``images`` is (N, height, width, channels), uint8 or floating; the result is float64 (N,), in pixel values.
    """
    values = images.astype(np.float64)
    down, across = (np.abs(np.diff(values, axis=axis)).sum(axis=(1, 2, 3)) for axis in (1, 2))
    found: npt.NDArray[np.float64] = (down + across) / values[0].size
    return found


def total_variation_gradient(images: Floats) -> Floats:
    """Returns the gradient of the sum of sqrt(d² + ROUNDING²) over all differences d of neighbouring values.

    Both are float32 (N, height, width, channels); each value of the gradient is between -4 and 4.
    """
    gradient = np.zeros_like(images)
    for axis in (1, 2):
        difference = np.diff(images, axis=axis)
        pull = difference / np.sqrt(np.square(difference) + np.float32(ROUNDING**2))
        gradient -= np.diff(pull, axis=axis, prepend=np.float32(0), append=np.float32(0))
    return gradient
