"""How photos become the input of a model made elsewhere, and what its output means.

Models that tledge exports need none of this: they take pixel values, preprocess them in the graph and return logits.
"""

from __future__ import annotations

from dataclasses import dataclass

from tledge.core.field_bounds import shown

LAYOUTS = ("nhwc", "nchw")
COLOURS = ("rgb", "bgr", "grey")
OUTPUTS = ("logits", "probabilities", "sigmoid", "logit")
"""``sigmoid``: the probability of the second of two classes; ``logit``: the same before the sigmoid."""


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """The steps from a photo to the model's input, and from its output to logits.

    A pixel value v from 0 to 255 becomes ``(low + (high - low) * v / 255 - mean) / std``, which is then quantized with
    the scale and zero point of an integer input.

    Attributes:
        layout: the order of the axes: one of ``LAYOUTS``.
        colour: the channels and their order: one of ``COLOURS``.
        input_range: (low, high): what pixel values 0 and 255 become before ``mean`` and ``std``.
        mean, std: one value per channel; empty to skip the step.
        output: what the model returns: one of ``OUTPUTS``.

    Raises:
        ValueError: an unknown name, the wrong number of values, an empty input range or a std of 0 or less.
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
                raise ValueError(f"{name} {shown(value)} is unknown (known: {', '.join(known)})")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (0, self.channels):
                raise ValueError(f"{name} has {len(values)} values for {self.channels} channels")
        if not self.input_range[0] < self.input_range[1]:
            raise ValueError(f"input_range from {self.input_range[0]} to {self.input_range[1]} is empty")
        if any(value <= 0 for value in self.std):
            raise ValueError(f"std must be above 0; received {min(self.std)}")

    @property
    def channels(self) -> int:
        """The number of channels of the model's input."""
        return 1 if self.colour == "grey" else 3
