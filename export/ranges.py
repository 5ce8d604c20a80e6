"""The range of values that each quantized tensor represents, from its values on the calibration images.

Source: Nagel et al., A white paper on neural network quantization, arXiv 2106.08295, section 3.1 (MSE).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from tledge.core.images import Pixels

BATCH = 8
BINS = 2048
LEVELS = 255
"""Steps between the lowest and the highest 8-bit integer."""

SHARES = np.linspace(0.3, 1.0, 71)
"""Fractions of each limit of the observed range that are tried as the new limit."""

Values = npt.NDArray[np.float32]
Name = TypeVar("Name")


@dataclass(frozen=True)
class Range:
    """The lowest and the highest value of a tensor; 0 lies between them.

    Attributes:
        low: at most 0.
        high: at least 0, and above ``low``.
    """

    low: float
    high: float

    def widened(self, values: Values) -> Range:
        """Returns a range that also includes some values."""
        return Range(min(self.low, float(values.min())), max(self.high, float(values.max())))

    @property
    def scale(self) -> float:
        """The value of one integer step."""
        return max((self.high - self.low) / LEVELS, float(np.finfo(np.float32).tiny))

    @property
    def zero_point(self) -> int:
        """The integer, 0 to 255, that represents 0."""
        return round(-self.low / self.scale)


@dataclass
class Histogram:
    """Counts of a tensor's values over the observed range.

    Attributes:
        observed: the lowest and the highest value so far, and 0.
        counts: (BINS,), by equally wide parts of that range.
    """

    observed: Range
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))

    def add(self, values: Values) -> None:
        """Counts some values. If they exceed the observed range, it grows, and earlier counts move to new bins."""
        grown = self.observed.widened(values)
        if grown != self.observed:
            centres = self._edges[:-1] + np.diff(self._edges) / 2
            counts, self.observed, self.counts = self.counts, grown, np.zeros(BINS, np.int64)
            np.add.at(self.counts, self._bins(centres), counts)
        self.counts += np.bincount(self._bins(values.ravel()), minlength=BINS)

    @property
    def _edges(self) -> npt.NDArray[np.float64]:
        return np.linspace(self.observed.low, self.observed.high, BINS + 1)

    def _bins(self, values: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
        width = self.observed.high - self.observed.low
        per_unit = np.float32(BINS / width if width else 0.0)
        indexes = ((values - self.observed.low) * per_unit).astype(np.int32)
        clipped: npt.NDArray[np.int32] = np.clip(indexes, 0, BINS - 1)
        return clipped

    def best_range(self) -> Range:
        """Returns the range with the lowest squared error of 8-bit integers, from clipping and from rounding.

        Rare large values are clipped if the smaller steps reduce the error by more than clipping adds.
        """
        values = (self._edges[:-1] + self._edges[1:]) / 2
        lows, highs = self.observed.low * SHARES, self.observed.high * SHARES
        below = _clipping_error(values, self.counts, lows, below=True)
        above = _clipping_error(values, self.counts, highs, below=False)
        steps = (highs[np.newaxis] - lows[:, np.newaxis]) / LEVELS
        # Exact zeros, as after a ReLU, have no rounding error.
        rounded = (self.counts[1:] if self.observed.low == 0 else self.counts).sum()
        errors = below[:, np.newaxis] + above[np.newaxis] + rounded * steps**2 / 12
        row, column = np.unravel_index(errors.argmin(), errors.shape)
        return Range(float(lows[row]), float(highs[column]))


def observe(
    values: Callable[[Pixels], Mapping[Name, Values]], calibration: Pixels, pixels: Collection[Name] = ()
) -> dict[Name, Range]:
    """Returns the best range of each tensor on the calibration images.

    Args:
        values: runs a float model on uint8 (n, height, width, 3) and returns tensors by name; it is called with each
            image once, ``BATCH`` at a time.
        calibration: uint8 (n, height, width, 3).
        pixels: tensors that hold scaled pixels; their ranges reach exactly from the value of 0 to that of 255.
    """
    histograms: dict[Name, Histogram] = {}
    for start in range(0, len(calibration), BATCH):
        for name, found in values(calibration[start : start + BATCH]).items():
            histograms.setdefault(name, Histogram(Range(0.0, 0.0))).add(found)
    ranges = {name: histogram.best_range() for name, histogram in histograms.items()}
    if pixels:
        extremes = np.stack([np.zeros_like(calibration[0]), np.full_like(calibration[0], 255)])
        ranges |= {name: Range(0.0, 0.0).widened(found) for name, found in values(extremes).items() if name in pixels}
    return ranges


def _clipping_error(
    values: npt.NDArray[np.float64], counts: npt.NDArray[np.int64], limits: npt.NDArray[np.float64], below: bool
) -> npt.NDArray[np.float64]:
    """Returns the sum of the squared distances of all values beyond each limit."""
    beyond = limits[:, np.newaxis] - values if below else values - limits[:, np.newaxis]
    squares: npt.NDArray[np.float64] = np.square(np.maximum(beyond, 0)) @ counts
    return squares
