"""Random squares of change in 8-bit images: the proposals of the Square attack.

A proposal is written into the image itself and undone if it does not help. This costs little time next to the model.
Where the model's scores tie, no square can be judged: then a proposal replaces the whole change by random blocks.

Source: Andriushchenko et al., Square Attack, arXiv 1912.00049, algorithms 2 and 3.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from tledge.attacks.integer_change import round_change
from tledge.attacks.threat_model import LINF, WHITE, ThreatModel
from tledge.core.images import Floats, Pixels

Window = tuple[slice, slice]
WHOLE: Window = (slice(None), slice(None))

CHANNELS = 3
TILES = 5
"""Tiles of the L2 start along the shorter side."""

ROUNDS = 8
"""Bisection steps when a square is rounded; a rough result is enough, since the next query proposes another square."""


class Squares(ABC):
    """Images under attack, each with one proposed change.

    Attributes:
        images: uint8 (n, height, width, 3), with the proposals in them.
        draws: random numbers from 0 to 1 that one proposal needs for each photo.
    """

    draws: int

    def __init__(self, originals: Pixels, eps: float) -> None:
        self.originals = originals
        self.images = originals.copy()
        self.eps = eps
        self._undo: list[list[tuple[Window, Pixels]]] = []

    @abstractmethod
    def start(self, rngs: Sequence[np.random.Generator]) -> None:
        """Puts the first change into each image."""

    @abstractmethod
    def change(self, index: int, side: int, draws: Floats) -> list[tuple[Window, Pixels]]:
        """Changes one image; returns the windows that it changed, with their former pixels."""

    @abstractmethod
    def replace(self, index: int, rng: np.random.Generator) -> None:
        """Replaces the whole change of one image by random blocks of a random size."""

    def propose(
        self, sides: Sequence[int], draws: Floats, replaced: Mapping[int, np.random.Generator] = MappingProxyType({})
    ) -> None:
        """Changes one square in each image, or the whole image.

        Args:
            sides: of each image's square, in pixels; at most the shorter side of the image.
            draws: (n, ``self.draws``), each from 0 to 1.
            replaced: the images that are replaced as a whole, with their random numbers.
        """
        self._undo = []
        for index, (side, row) in enumerate(zip(sides, draws, strict=True)):
            if index in replaced:
                self._undo.append([(WHOLE, self.images[index].copy())])
                self.replace(index, replaced[index])
            else:
                self._undo.append(self.change(index, side, row))

    def settle(self, kept: npt.NDArray[np.bool_]) -> None:
        """Undoes the proposals that are not kept; ``kept`` is bool (n,)."""
        for index in np.flatnonzero(~kept):
            for window, before in reversed(self._undo[index]):
                self.images[index][window] = before

    def select(self, indices: npt.NDArray[Any]) -> None:
        """Drops all images but some."""
        self.originals, self.images = self.originals[indices], self.images[indices]

    def _window(self, side: int, across: float, down: float) -> Window:
        height, width = self.images.shape[1:3]
        top, left = int(down * (height - side + 1)), int(across * (width - side + 1))
        return slice(top, top + side), slice(left, left + side)


class LinfSquares(Squares):
    """Squares that differ from the original by eps or -eps, channel by channel."""

    draws = 2 + CHANNELS

    def __init__(self, originals: Pixels, eps: float) -> None:
        super().__init__(originals, eps)
        step = np.uint8(eps)
        self._low = np.maximum(originals, step) - step
        self._high = np.minimum(originals, WHITE - step) + step

    def start(self, rngs: Sequence[np.random.Generator]) -> None:
        """Adds vertical stripes as high as the image."""
        width = self.images.shape[2]
        for index, rng in enumerate(rngs):
            up = rng.random((1, width, CHANNELS)) < 0.5
            self.images[index] = np.where(up, self._high[index], self._low[index])

    def change(self, index: int, side: int, draws: Floats) -> list[tuple[Window, Pixels]]:
        window = self._window(side, draws[0], draws[1])
        inside = self.images[index][window]
        before = inside.copy()
        up = draws[2:] < 0.5
        self._fill(index, window, inside, up)
        if np.array_equal(inside, before):  # one draw in eight towards the end; it would waste a query
            self._fill(index, window, inside, ~up)
        return [(window, before)]

    def replace(self, index: int, rng: np.random.Generator) -> None:
        height, width = self.images.shape[1:3]
        rows, columns = (2 ** int(rng.integers(length.bit_length())) for length in (height, width))
        up = rng.random((rows, columns, CHANNELS)) < 0.5
        up = up[np.arange(height) * rows // height][:, np.arange(width) * columns // width]
        self.images[index] = np.where(up, self._high[index], self._low[index])

    def _fill(self, index: int, window: Window, inside: Pixels, up: npt.NDArray[np.bool_]) -> None:
        for channel in range(CHANNELS):
            bound = self._high if up[channel] else self._low
            inside[..., channel] = bound[index][window][..., channel]

    def select(self, indices: npt.NDArray[Any]) -> None:
        super().select(indices)
        self._low, self._high = self._low[indices], self._high[indices]


class L2Squares(Squares):
    """Squares that receive a peak and a trough, whose length is taken from another square.

    The change always consists of whole numbers. The part of eps that rounding and the bounds 0 and 255 leave unused
    goes to the next square.
    """

    draws = 4 + CHANNELS + 1

    def __init__(self, originals: Pixels, eps: float) -> None:
        super().__init__(originals, eps)
        self._squared: npt.NDArray[np.float64] = np.zeros(len(originals))
        self._proposed: npt.NDArray[np.float64] = np.zeros(len(originals))

    def start(self, rngs: Sequence[np.random.Generator]) -> None:
        """Adds a grid of peaks and troughs."""
        for index, rng in enumerate(rngs):
            self._squared[index] = self._add_grid(index, rng, TILES)

    def replace(self, index: int, rng: np.random.Generator) -> None:
        self._proposed[index] = self._add_grid(index, rng, 1 + int(rng.integers(min(self.images.shape[1:3]) // 2)))

    def _add_grid(self, index: int, rng: np.random.Generator, tiles: int) -> float:
        """Puts a grid of peaks and troughs into one original; returns the change's squared length."""
        height, width = self.images.shape[1:3]
        side = max(2, min(height, width) // tiles)
        rows, columns = height // side, width // side
        top, left = (height - rows * side) // 2, (width - columns * side) // 2
        change = np.zeros((height, width, CHANNELS), np.float32)
        for row in range(rows):
            for column in range(columns):
                window = _square(top + row * side, left + column * side, side)
                change[window] = _peaks(side, bool(rng.random() < 0.5))[..., np.newaxis] * _signs(
                    rng.random(CHANNELS, np.float32)
                )
        change *= self.eps / float(np.linalg.norm(change))
        self.images[index] = np.clip(round_change(change, self.eps) + self.originals[index], 0, WHITE)
        return _squared(self._difference(index, WHOLE))

    def change(self, index: int, side: int, draws: Floats) -> list[tuple[Window, Pixels]]:
        image, original = self.images[index], self.originals[index]
        receiver, donor = self._window(side, draws[0], draws[1]), self._window(side, draws[2], draws[3])
        old = self._difference(index, receiver)
        undo = [(receiver, image[receiver].copy()), (donor, image[donor].copy())]
        inside = (old**2).sum(axis=(0, 1))
        image[receiver] = original[receiver]  # so that the overlap of both squares counts once
        freed = inside + (self._difference(index, donor) ** 2).sum(axis=(0, 1))
        image[donor] = original[donor]
        rest = self._squared[index] - float(freed.sum())

        new = _peaks(side, bool(draws[7] < 0.5))[..., np.newaxis] * _signs(draws[4:7])
        new = new + old / np.sqrt(np.maximum(inside, 1e-10))
        spare = max(self.eps**2 - self._squared[index], 0)
        new *= np.sqrt((spare / CHANNELS + freed) / np.maximum((new**2).sum(axis=(0, 1)), 1e-10))
        longest = max(self.eps**2 - rest, 0) ** 0.5
        whole = round_change(new.astype(np.float32), longest, ROUNDS)
        image[receiver] = np.clip(whole + original[receiver], 0, WHITE)
        self._proposed[index] = rest + _squared(self._difference(index, receiver))
        return undo

    def settle(self, kept: npt.NDArray[np.bool_]) -> None:
        super().settle(kept)
        self._squared[kept] = self._proposed[kept]

    def select(self, indices: npt.NDArray[Any]) -> None:
        super().select(indices)
        self._squared, self._proposed = self._squared[indices], self._proposed[indices]

    def _difference(self, index: int, window: Window) -> Floats:
        difference: Floats = np.subtract(self.images[index][window], self.originals[index][window], dtype=np.float32)
        return difference


def start_squares(originals: Pixels, threat: ThreatModel, rngs: Sequence[np.random.Generator]) -> Squares:
    """Returns the squares after the first change; each image has its own random numbers."""
    kind = LinfSquares if threat.norm == LINF else L2Squares
    squares = kind(originals, threat.eps)
    squares.start(rngs)
    return squares


def _square(top: int, left: int, side: int) -> Window:
    return slice(top, top + side), slice(left, left + side)


def _signs(draws: Floats) -> Floats:
    return np.where(draws < 0.5, np.float32(1), np.float32(-1))


def _squared(difference: Floats) -> float:
    flat = difference.reshape(-1).astype(np.float64)
    return float(np.dot(flat, flat))


@lru_cache(maxsize=512)
def _peaks(side: int, turned: bool) -> Floats:
    """Returns a peak beside a trough, together of length 1: float32 (side, side). Equation (2) of the paper."""
    half = side // 2
    peaks = np.concatenate([_peak(half, side), -_peak(side - half, side)])
    peaks /= np.linalg.norm(peaks)
    return np.ascontiguousarray(peaks.T if turned else peaks, dtype=np.float32)


def _peak(rows: int, columns: int) -> npt.NDArray[np.float64]:
    """Returns values that fall in rings from the middle outward, of length 1: (rows, columns)."""
    if rows == 0:
        return np.zeros((0, columns))
    down = np.abs(np.arange(rows) - rows // 2)[:, np.newaxis]
    across = np.abs(np.arange(columns) - columns // 2)[np.newaxis, :]
    rings = max(rows, columns) // 2 + 1
    terms = 1 / np.arange(1, rings + 1) ** 2
    values: npt.NDArray[np.float64] = np.cumsum(terms[::-1])[::-1][np.maximum(down, across)]
    values /= np.linalg.norm(values)
    return values
