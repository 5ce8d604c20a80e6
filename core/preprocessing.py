"""How photos become the input of a model that was made elsewhere, and what its output means.

Our own exports need none of this: they take pixel values, their preprocessing is in the graph, and they give logits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LAYOUTS = ("nhwc", "nchw")
COLOURS = ("rgb", "bgr", "grey")
OUTPUTS = ("logits", "probabilities", "sigmoid", "logit")
"""``sigmoid``: one probability, of the second of two classes; ``logit``: that before its sigmoid."""


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What stands between a photo and the model's input, and between its output and logits.

    A pixel value v from 0 to 255 becomes ``(low + (high - low) * v / 255 - mean) / std``; a quantized input tensor then
    takes that by its own scale and zero point.

    Attributes:
        layout: the order of the axes: one of ``LAYOUTS``.
        colour: the channels and their order: one of ``COLOURS``.
        input_range: (low, high).
        mean, std: one for each channel, or none of either.
        output: what the model gives: one of ``OUTPUTS``.
    """

    layout: str = "nhwc"
    colour: str = "rgb"
    input_range: tuple[float, float] = (0.0, 255.0)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    output: str = "logits"

    def __post_init__(self) -> None:
        for name, value, known in (
            ("layout", self.layout, LAYOUTS),
            ("colour", self.colour, COLOURS),
            ("output", self.output, OUTPUTS),
        ):
            if value not in known:
                raise ValueError(f"{name} '{value}'; known: {', '.join(known)}")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (0, self.channels):
                raise ValueError(f"{len(values)} values of {name} for {self.channels} channels")
        if not self.input_range[0] < self.input_range[1]:
            raise ValueError(f"an input range from {self.input_range[0]} to {self.input_range[1]}")
        if any(value <= 0 for value in self.std):
            raise ValueError(f"a deviation of {min(self.std)}")

    @property
    def channels(self) -> int:
        """How many channels the model takes."""
        return 1 if self.colour == "grey" else 3

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Preprocessing:
        """Reads its fields from JSON. Raises ValueError, TypeError or KeyError if it cannot."""
        low, high = (float(value) for value in fields["input_range"])
        return cls(
            layout=str(fields["layout"]),
            colour=str(fields["colour"]),
            input_range=(low, high),
            mean=tuple(float(value) for value in fields["mean"]),
            std=tuple(float(value) for value in fields["std"]),
            output=str(fields["output"]),
        )
