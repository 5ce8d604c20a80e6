"""What a model's input or output tensor is, as the file says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Tensor = npt.NDArray[Any]
Logits = npt.NDArray[np.float32]

OPEN_LENGTH = 224
"""What an axis that the file leaves open is taken for, until an image says otherwise."""


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of a model.

    Attributes:
        name: in the file.
        shape: length of each axis; None where the file leaves it open.
        dtype: of its elements.
        scale: of a quantized tensor: an element stands for scale * (element - zero_point); 0 where it is not quantized.
        zero_point: of a quantized tensor.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]
    scale: float = 0.0
    zero_point: int = 0

    @property
    def outputs(self) -> int:
        """Of an output: its elements for one image; 0 where the file leaves that open."""
        return math.prod(length or 0 for length in self.shape[1:])

    def lengths(self, batch: int) -> tuple[int, ...]:
        """The shape of an array for it: ``batch`` along the first axis, ``OPEN_LENGTH`` along others left open."""
        return (batch, *(OPEN_LENGTH if length is None else length for length in self.shape[1:]))

    def to_real(self, elements: Tensor) -> Logits:
        """What its elements stand for, as float32: quantized ones are dequantized."""
        values = elements.astype(np.float32)
        return (values - np.float32(self.zero_point)) * np.float32(self.scale) if self.scale else values

    def __str__(self) -> str:
        lengths = ", ".join("?" if length is None else str(length) for length in self.shape)
        quantized = f", {self.scale:.6g} * (q {-self.zero_point:+d})" if self.scale else ""
        return f"{self.name}: {self.dtype} [{lengths}]{quantized}"
