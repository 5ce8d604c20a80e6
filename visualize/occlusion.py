"""Occlusion: how much the score of a class falls when part of a photo is covered. Needs no gradients.

Source: Zeiler and Fergus, arXiv 1311.2901, section 4.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tledge.core.errors import OptionError
from tledge.core.images import Floats, Pixels
from tledge.edge_runtime.batched_logits import LogitsFn
from tledge.visualize.visualize_options import SMALLEST_PATCH

PATCHES_ACROSS = 5
"""Default number of patches along the shorter side of a photo, without overlap."""

BATCH_SIZE = 32
"""Covered photos per batch."""


@dataclass(frozen=True)
class Patches:
    """Squares that are covered one after the other, each overlapping the one before by half.

    Attributes:
        size: (height, width) of the photos, in pixels.
        side: side of the squares, in pixels.
    """

    size: tuple[int, int]
    side: int

    @classmethod
    def of(cls, size: tuple[int, int], side: int | None) -> Patches:
        """Returns squares of a side, by default a fifth of the photo's. Raises OptionError if they do not fit."""
        if side is None:
            side = max(SMALLEST_PATCH, min(size) // PATCHES_ACROSS)
        if not SMALLEST_PATCH <= side <= min(size) // 2:
            raise OptionError(
                f"`patch` must be between {SMALLEST_PATCH} and {min(size) // 2} pixels, half of the photo; received"
                f" {side}"
            )
        return cls(size, side)

    @property
    def rows(self) -> list[int]:
        """Top edges of the squares."""
        return _starts(self.size[0], self.side)

    @property
    def columns(self) -> list[int]:
        """Left edges of the squares."""
        return _starts(self.size[1], self.side)

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)

    def covered(self, photo: Pixels) -> Iterator[Pixels]:
        """Yields batches of the photo with one square in its mean colour: uint8 (n, height, width, 3)."""
        colour = np.rint(photo.mean(axis=(0, 1))).astype(np.uint8)
        corners = [(row, column) for row in self.rows for column in self.columns]
        for begin in range(0, len(corners), BATCH_SIZE):
            part = corners[begin : begin + BATCH_SIZE]
            images = np.repeat(photo[np.newaxis], len(part), axis=0)
            for image, (row, column) in zip(images, part, strict=True):
                image[row : row + self.side, column : column + self.side] = colour
            yield images

    def spread(self, values: Floats) -> Floats:
        """Spreads values of the squares (rows, columns) over a map (height, width): the mean of a pixel's squares."""
        total, count = np.zeros(self.size, np.float32), np.zeros(self.size, np.float32)
        for row, line in zip(self.rows, values, strict=True):
            for column, value in zip(self.columns, line, strict=True):
                part = (slice(row, row + self.side), slice(column, column + self.side))
                total[part] += value
                count[part] += 1
        return np.divide(total, np.maximum(count, 1), dtype=np.float32)

    def gathered(self, heat: Floats) -> Floats:
        """Returns the mean of a map (height, width) within each square: (rows, columns)."""
        return np.array(
            [
                [heat[row : row + self.side, column : column + self.side].mean() for column in self.columns]
                for row in self.rows
            ],
            np.float32,
        )


def occlusion_map(logits: LogitsFn, photo: Pixels, target: int, patches: Patches) -> Floats:
    """Returns how much each square of a photo supports a class.

    Args:
        logits: from uint8 (N, height, width, 3) to float32 logits (N, classes).
        photo: uint8 (height, width, 3).
        target: index of the class.
        patches: the squares to cover.

    Returns:
        float32 (rows, columns): decrease of the log-odds of the class when that square is covered.
    """
    whole = log_odds(logits(photo[np.newaxis]), target)
    odds = np.concatenate([log_odds(logits(images), target) for images in patches.covered(photo)])
    found: Floats = (whole - odds).reshape(len(patches.rows), len(patches.columns))
    return found


def log_odds(logits: Floats, target: int) -> Floats:
    """Returns log(p / (1 - p)) of a class's softmax score p: (N,). Unlike p, it does not saturate at 1."""
    others = np.delete(logits, target, axis=1)
    largest = others.max(axis=1)
    total = largest + np.log(np.exp(others - largest[:, np.newaxis]).sum(axis=1))
    found: Floats = (logits[:, target] - total).astype(np.float32)
    return found


def rank_correlation(first: Floats, second: Floats) -> float | None:
    """Returns Spearman's rank correlation of two maps of one shape, -1 to 1; None if one of them is constant.

    Source: C. Spearman, The proof and measurement of association between two things, 1904.
    """
    if first.min() == first.max() or second.min() == second.max():
        return None
    from scipy.stats import spearmanr

    return float(spearmanr(first.ravel(), second.ravel()).statistic)


def _starts(length: int, side: int) -> list[int]:
    last = length - side
    return sorted({*range(0, last, max(1, side // 2)), last})
