"""Whole numbers that stand for a change of pixel values without being longer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

ROUNDS = 12
"""Halvings of the interval, on a logarithmic scale, in which the factor is sought."""

SHRINKING = 0.999
"""By how much a change is shortened at a time where the factor found is a little too large."""

Floats = npt.NDArray[np.float32]


def round_change(change: Floats, longest: float, rounds: int = ROUNDS) -> Floats:
    """The whole numbers that are nearest to a multiple of a change, and no longer than it.

    The multiple is the largest at which that holds: no rounded value ever shrinks as it grows, so it is found by
    bisection. Where the values are far below 1/2, only the largest of them become 1 or -1 and the others 0.

    Args:
        change: float32 of any shape.
        longest: the Euclidean length that must never be exceeded, at most by which ``change`` itself may be shorter.
        rounds: of the bisection.

    Returns:
        float32 of the same shape, of whole numbers; ``change`` itself where it is whole and not too long.
    """
    flat = change.reshape(-1)
    rounded = np.rint(flat)
    limit = min(float(np.dot(flat, flat)), longest**2)
    if np.array_equal(rounded, flat) and _squared(rounded) <= longest**2:
        return rounded.reshape(change.shape)
    sizes = np.abs(flat)
    largest = float(sizes.max())
    if largest == 0:
        return np.zeros_like(change)
    low, high = 0.5 / largest, (limit**0.5 + 0.5) / largest  # nothing is left; the largest value alone is too long
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
    while _squared(rounded) > longest**2:  # float32 sums of long changes are not exact
        np.trunc(flat * np.float32(factor), out=rounded)
        factor *= SHRINKING
    return rounded.reshape(change.shape)


def _squared(whole: Floats) -> int:
    """The exact squared length of whole numbers."""
    exact = whole.astype(np.int64)
    return int(np.dot(exact, exact))
