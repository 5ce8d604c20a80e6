"""The options of one training, checked and filled in."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run was told, by the names that the command line has.

    Attributes:
        data: the folder as given, or "digits" for the built-in data.
        built_in: ``data`` is the built-in data, not a folder of that name.
        backbone: its registered name.
        weights: "imagenet", "none" or a file.
        image_size: height and width in pixels.
        resize: the resize rule.
        epochs: the most that a phase may take.
        batch_size: images a step.
        learning_rate: the highest one.
        seed: of the splits, the initial weights and the shuffling.
        skip_broken: broken images are left out.
    """

    data: str
    built_in: bool
    backbone: str
    weights: str
    image_size: int
    resize: str
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    skip_broken: bool

    @property
    def input_size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.image_size, self.image_size

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that JSON can hold."""
        return asdict(self)
