"""The input or output tensor of a model, as its file describes it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Tensor = npt.NDArray[Any]
Logits = npt.NDArray[np.float32]

CHANNELS = (1, 3)

OPEN_LENGTH = 224
"""The assumed length of an axis that the file leaves open, until an image has another."""


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of a model.

    Attributes:
        name: its name in the file.
        shape: the length of each axis; None if the file leaves it open.
        dtype: the type of its elements.
        scale: of a quantized tensor, whose elements represent scale * (element - zero_point); 0 if not quantized.
        zero_point: of a quantized tensor.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]
    scale: float = 0.0
    zero_point: int = 0

    @property
    def outputs(self) -> int:
        """The number of output values for one image; 0 if the file leaves it open, or even the number of axes."""
        return math.prod(length or 0 for length in self.shape[len(self.shape) > 1 :]) if self.shape else 0

    def lengths(self, batch: int, size: tuple[int, ...] = (), *, channels_last: bool = True) -> tuple[int, ...]:
        """Returns the shape of a batch of ``batch`` images.

        Args:
            batch: number of images.
            size: (height, width) where the file leaves them open; by default ``OPEN_LENGTH`` for every open axis.
            channels_last: the order of the axes, where the file does not show it.
        """
        axes = self.shape[1:]
        if size and len(axes) == 3 and None in axes:
            last = axes[-1] in CHANNELS or (axes[0] not in CHANNELS and channels_last)
            size = (*size, axes[-1] or 3) if last else (axes[0] or 3, *size)
        filled = size if len(size) == len(axes) else (OPEN_LENGTH,) * len(axes)
        return (batch, *(wanted if length is None else length for length, wanted in zip(axes, filled, strict=True)))

    def to_real(self, elements: Tensor) -> Logits:
        """Returns the elements as float32, dequantized if the tensor is quantized."""
        values = elements.astype(np.float32, copy=False)
        return (values - np.float32(self.zero_point)) * np.float32(self.scale) if self.scale else values

    def __str__(self) -> str:
        lengths = ", ".join("?" if length is None else str(length) for length in self.shape)
        quantized = f", {self.scale:.6g} * (q {-self.zero_point:+d})" if self.scale else ""
        return f"{self.name}: {self.dtype} [{lengths}]{quantized}"


def softmax(logits: Logits) -> Logits:
    """Returns the softmax over the last axis, in float32 and without overflow."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    scores: Logits = shifted / shifted.sum(axis=-1, keepdims=True)
    return scores
