"""The goal of an attack: any wrong class, or one target class for each photo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tledge.attacks.losses import margin, one_hot
from tledge.core.errors import OptionError
from tledge.edge_runtime.tensor import Logits

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Goal:
    """The classes that N photos have, and those that an attack aims at.

    Attributes:
        labels: (N,), the photos' own classes.
        target_classes: (N,), the class that each photo should be classified as; None for any class but its own.

    Raises:
        OptionError: labels or target classes are not class indices, or a target class is the photo's own class.
    """

    labels: Indices
    target_classes: Indices | None = None

    def __post_init__(self) -> None:
        for name, values in (("labels", self.labels), ("target_classes", self.target_classes)):
            if values is None:
                continue
            indices = np.asarray(values)
            if indices.ndim != 1 or indices.dtype.kind not in "iu" or (indices < 0).any():
                raise OptionError(f"{name} must be class indices, whole numbers of shape (N,); received {indices!r}")
            object.__setattr__(self, name, indices.astype(np.intp))
        if self.target_classes is not None:
            if len(self.target_classes) != len(self.labels):
                raise OptionError(
                    f"received {len(self.target_classes)} target classes for {len(self.labels)} photos; give one each"
                )
            own = np.flatnonzero(self.target_classes == self.labels)
            if len(own):
                raise OptionError(
                    f"the target class of {len(own)} photos is their own class (photo {own[0]}, class"
                    f" {self.labels[own[0]]}); choose another class"
                )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def targeted(self) -> bool:
        """Whether the attack aims at a certain class."""
        return self.target_classes is not None

    def select(self, indices: npt.NDArray[Any]) -> Goal:
        """Returns the goal of some of the photos."""
        return Goal(self.labels[indices], None if self.target_classes is None else self.target_classes[indices])

    def check_classes(self, classes: int) -> None:
        """Raises OptionError if a label or target class is not one of a model's classes."""
        for name, values in (("label", self.labels), ("target class", self.target_classes)):
            if values is not None and len(values) and values.max() >= classes:
                raise OptionError(f"{name} {values.max()} is not one of this model's {classes} classes, counted from 0")

    def reached(self, logits: Logits) -> npt.NDArray[np.bool_]:
        """Returns whether logits (N, classes) reach the goal: bool (N,)."""
        predicted = logits.argmax(axis=1)
        reached: npt.NDArray[np.bool_] = (
            predicted != self.labels if self.target_classes is None else predicted == self.target_classes
        )
        return reached

    def margins(self, logits: Logits) -> Logits:
        """Returns how far logits (N, classes) are from the goal: float32 (N,), in logits, negative beyond it."""
        wanted = self.labels if self.target_classes is None else self.target_classes
        margins: Logits = margin(np, logits, one_hot(wanted, logits.shape[1])).astype(np.float32)
        return margins if self.target_classes is None else -margins
