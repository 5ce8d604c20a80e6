"""The threat model: a norm, and the largest change of an image in that norm."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tledge.attacks.integer_change import round_change
from tledge.core.errors import OptionError, UnknownNameError
from tledge.core.images import Floats, Pixels

LINF = "linf"
L2 = "l2"
NORMS = (LINF, L2)

WHITE = 255
"""The largest pixel value."""


@dataclass(frozen=True)
class ThreatModel:
    """The images that an attack may choose from: a ball around the original.

    Attributes:
        norm: "linf", the largest change of one value, or "l2", the Euclidean length of the change over all values.
        eps: radius of the ball, in pixel values from 0 to 255: 8 stands for 8/255.

    Raises:
        UnknownNameError: the norm is unknown.
        OptionError: ``eps`` is larger than any change of an 8-bit image, or smaller than all of them.
    """

    norm: str = LINF
    eps: float = 8.0

    def __post_init__(self) -> None:
        if self.norm not in NORMS:
            raise UnknownNameError("norm", self.norm, NORMS)
        if not math.isfinite(self.eps) or not self.eps >= 1:
            raise OptionError(
                f"eps must be 1 or more, in pixel values from 0 to 255: 8-bit images cannot hold smaller changes;"
                f" received {self.eps:g}"
            )
        if self.norm == LINF and (self.eps != int(self.eps) or self.eps > WHITE):
            raise OptionError(
                f"eps in the norm linf must be a whole number of pixel values, from 1 to 255; received {self.eps:g}"
            )

    def __str__(self) -> str:
        return f"{self.norm} {self.eps:g}/255"

    def project(self, pixels: Floats, originals: Pixels) -> Floats:
        """Returns the nearest images in the ball and within 0 to 255, not rounded.

        Args:
            pixels: float32 (N, height, width, 3).
            originals: uint8 of the same shape.

        Returns:
            float32 (N, height, width, 3).
        """
        if self.norm == LINF:
            near = originals.astype(np.float32)
            projected: Floats = np.minimum(pixels, near + np.float32(self.eps))
            np.maximum(projected, near - np.float32(self.eps), out=projected)
            return np.clip(projected, 0, WHITE, out=projected)
        change = pixels - originals
        lengths = _lengths(change)
        outside = lengths > self.eps
        if outside.any():
            change[outside] *= _each_photo(self.eps / lengths[outside], change)
        change += originals  # clipping to 0 and 255 only brings an image nearer to the original
        return np.clip(change, 0, WHITE, out=change)

    def round(self, pixels: Floats | Pixels, originals: Pixels) -> Pixels:
        """Rounds images to whole pixel values in the ball, keeping the direction and length of the change.

        In L2, rounding each value by itself would remove a small change that is spread over many values. Instead, the
        change is scaled up by the largest factor whose rounded result is no longer than the change.

        Args:
            pixels: (N, height, width, 3), float or integer; images outside the ball are projected first.
            originals: uint8 of the same shape.

        Returns:
            uint8 (N, height, width, 3). Images of whole values in the ball are unchanged.
        """
        projected = self.project(np.asarray(pixels, np.float32), originals)
        if self.norm == LINF:  # whole bounds: rounding cannot cross them
            return np.rint(projected, out=projected).astype(np.uint8)
        rounded = np.empty_like(originals)
        for index, (image, original) in enumerate(zip(projected, originals, strict=True)):
            change = round_change(image - original, self.eps)
            change += original
            rounded[index] = np.clip(change, 0, WHITE, out=change)
        return rounded

    def distance(self, first: Pixels, second: Pixels) -> npt.NDArray[np.float64]:
        """Returns the distance of each image from its counterpart, in this norm and in pixel values: (N,)."""
        change = np.asarray(first, np.float64) - np.asarray(second, np.float64)
        flat = change.reshape(len(change), -1)
        distances: npt.NDArray[np.float64] = (
            np.abs(flat).max(axis=1) if self.norm == LINF else np.sqrt(np.square(flat).sum(axis=1))
        )
        return distances

    def steepest(self, gradients: Floats) -> Floats:
        """Returns the direction of length 1, in this norm, in which a loss rises the most; 0 where the gradient is 0.

        Args:
            gradients: float32 (N, height, width, 3).
        """
        if self.norm == LINF:
            return np.sign(gradients)
        lengths = _lengths(gradients)
        return gradients * _each_photo(1 / np.where(lengths > 0, lengths, 1), gradients)

    def draw(self, original: Pixels, rng: np.random.Generator) -> Floats:
        """Draws an image uniformly from the ball, not clipped to 0 to 255.

        Args:
            original: uint8 (height, width, 3).
            rng: the random number generator.

        Returns:
            float32 (height, width, 3).
        """
        if self.norm == LINF:
            change = rng.uniform(-self.eps, self.eps, original.shape)
        else:
            change = rng.standard_normal(original.shape)
            change *= self.eps * rng.random() ** (1 / change.size) / np.sqrt(np.square(change).sum())
        return (change + original).astype(np.float32)


def _lengths(changes: Floats) -> npt.NDArray[np.float64]:
    """Returns the Euclidean length of each photo's change: (N,)."""
    flat = changes.reshape(len(changes), -1)
    return np.sqrt([float(np.dot(row, row)) for row in flat])


def _each_photo(factors: npt.NDArray[np.float64], like: Floats) -> Floats:
    """Returns one factor for each photo, in a shape that broadcasts."""
    return factors.astype(np.float32).reshape(-1, *[1] * (like.ndim - 1))
