"""Rounds a change of pixel values to whole numbers without making it longer."""

from __future__ import annotations

import numpy as np

from tledge.core.images import Floats

ROUNDS = 12
"""Bisection steps, on a logarithmic scale, of the search for the factor."""

SHRINKING = 0.999
"""Factor by which a change is shortened repeatedly while its exact length is above the limit."""


def round_change(change: Floats, longest: float, rounds: int = ROUNDS) -> Floats:
    """Rounds the largest multiple of a change whose rounded values are no longer than the change.

    A rounded value never shrinks when the factor grows, so bisection finds the factor. Where all values are far below
    1/2, only the largest of them become 1 or -1, and the others become 0.

    Args:
        change: float32 of any shape.
        longest: a Euclidean length that the result never exceeds, in addition to the length of ``change``.
        rounds: bisection steps.

    Returns:
        Whole numbers, float32 of the same shape; ``change`` itself if it is whole and not too long.
    """
    flat = change.reshape(-1)
    rounded = np.rint(flat)
    limit = min(float(np.dot(flat, flat)), longest**2)
    if np.array_equal(rounded, flat) and _squared_length(rounded) <= longest**2:
        return rounded.reshape(change.shape)
    largest = float(np.abs(flat).max())
    low, high = 0.5 / largest, (limit**0.5 + 0.5) / largest  # all values become 0; the largest value alone is too long
    for _ in range(rounds):
        middle = (low * high) ** 0.5
        np.multiply(flat, np.float32(middle), out=rounded)
        np.rint(rounded, out=rounded)
        if float(np.dot(rounded, rounded)) <= limit:
            low = middle
        else:
            high = middle
    np.rint(np.multiply(flat, np.float32(low), out=rounded), out=rounded)
    factor = 1.0
    while _squared_length(rounded) > longest**2:  # float32 sums of long changes are inexact
        np.trunc(flat * np.float32(factor), out=rounded)
        factor *= SHRINKING
    return rounded.reshape(change.shape)


def _squared_length(whole: Floats) -> int:
    """Returns the exact squared length of whole numbers."""
    exact = whole.astype(np.int64)
    return int(np.dot(exact, exact))
