"""The range of values that each quantized tensor represents, from its values on the calibration images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from tledge.core.images import Pixels

BATCH = 8
BINS = 2048
LEVELS = 255
"""Steps of an 8-bit integer from its least to its greatest value."""

SHARES = np.linspace(0.3, 1.0, 71)
"""Of each end of the observed range, where to look for the best place to cut."""


Values = npt.NDArray[np.float32]
Name = TypeVar("Name")


@dataclass(frozen=True)
class Range:
    """The least and the greatest value of a tensor; 0 lies between them.

    Attributes:
        low: at most 0.
        high: at least 0, and above ``low``.
    """

    low: float
    high: float

    def widened(self, values: Values) -> Range:
        """The range with some values included."""
        return Range(min(self.low, float(values.min())), max(self.high, float(values.max())))

    @property
    def scale(self) -> float:
        """The step between two integers."""
        return max((self.high - self.low) / LEVELS, float(np.finfo(np.float32).tiny))

    @property
    def zero_point(self) -> int:
        """The integer, 0 to 255, that stands for 0."""
        return round(-self.low / self.scale)


@dataclass
class Histogram:
    """Counts of a tensor's values over an observed range.

    Attributes:
        observed: the least and the greatest value there is.
        counts: (BINS,), of equally wide parts of it.
    """

    observed: Range
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))

    def add(self, values: Values) -> None:
        """Counts some values; where they pass the observed range, that grows and what was counted is counted anew."""
        grown = self.observed.widened(values)
        if grown != self.observed:
            centres = self._edges[:-1] + np.diff(self._edges) / 2
            counts, self.observed, self.counts = self.counts, grown, np.zeros(BINS, np.int64)
            np.add.at(self.counts, self._places(centres), counts)
        self.counts += np.bincount(self._places(values.reshape(-1)), minlength=BINS)

    @property
    def _edges(self) -> npt.NDArray[np.float64]:
        return np.linspace(self.observed.low, self.observed.high, BINS + 1)

    def _places(self, values: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
        width = max(self.observed.high - self.observed.low, float(np.finfo(np.float32).tiny))
        places = ((values - self.observed.low) * np.float32(BINS / width)).astype(np.int32)
        clipped: npt.NDArray[np.int32] = np.clip(places, 0, BINS - 1)
        return clipped

    def best_range(self) -> Range:
        """The range with the least squared error of an 8-bit integer: what is cut off, and what is rounded.

        Rare large values are cut where the finer steps gain more than they lose.

        Source: Nagel et al., A white paper on neural network quantization, arXiv 2106.08295, section 3.1 (MSE).
        """
        values = (self._edges[:-1] + self._edges[1:]) / 2
        lows, highs = self.observed.low * SHARES, self.observed.high * SHARES
        if self.observed.low == 0:
            lows = lows[-1:]
        if self.observed.high == 0:
            highs = highs[-1:]
        below = _squares_beyond(values, self.counts, lows, below=True)
        above = _squares_beyond(values, self.counts, highs, below=False)
        steps = (highs[np.newaxis] - lows[:, np.newaxis]) / LEVELS
        # A 0 that is there exactly, as after a ReLU, is not rounded.
        rounded = self.counts.sum() - (self.counts[0] if self.observed.low == 0 else 0)
        errors = below[:, np.newaxis] + above[np.newaxis] + rounded * steps**2 / 12
        row, column = np.unravel_index(errors.argmin(), errors.shape)
        return Range(float(lows[row]), float(highs[column]))


def observe(values: Callable[[Pixels], Mapping[Name, Values]], calibration: Pixels) -> dict[Name, Range]:
    """The best range of each tensor on the calibration images.

    Args:
        values: runs a float model over uint8 (n, height, width, 3) and gives tensors by name; it is called with each
            image once.
        calibration: uint8 (n, height, width, 3).
    """
    histograms: dict[Name, Histogram] = {}
    for start in range(0, len(calibration), BATCH):
        for name, found in values(calibration[start : start + BATCH]).items():
            histograms.setdefault(name, Histogram(Range(0.0, 0.0))).add(found)
    return {name: histogram.best_range() for name, histogram in histograms.items()}


def _squares_beyond(
    values: npt.NDArray[np.float64], counts: npt.NDArray[np.int64], ends: npt.NDArray[np.float64], below: bool
) -> npt.NDArray[np.float64]:
    """The sum of the squared distances of all values beyond each end."""
    beyond = ends[:, np.newaxis] - values if below else values - ends[:, np.newaxis]
    squares: npt.NDArray[np.float64] = np.square(np.maximum(beyond, 0)) @ counts
    return squares
