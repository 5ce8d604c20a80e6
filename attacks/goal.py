"""What an attack is to reach: another answer, or a certain one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tledge.attacks.losses import margin, one_hot
from tledge.core.errors import OptionError

Indices = npt.NDArray[np.intp]
Logits = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Goal:
    """What shall become of each photo.

    Attributes:
        labels: (N,), the photos' classes.
        targets: (N,), the classes that they are to be taken for; None for any but their own.

    Raises:
        OptionError: labels or targets are no class indices, or a target is the photo's own class.
    """

    labels: Indices
    targets: Indices | None = None

    def __post_init__(self) -> None:
        for name, values in (("labels", self.labels), ("targets", self.targets)):
            if values is None:
                continue
            found = np.asarray(values)
            if found.ndim != 1 or found.dtype.kind not in "iu" or (found < 0).any():
                raise OptionError(f"{name} must be class indices, whole numbers of shape (N,); received {found!r}")
            object.__setattr__(self, name, found.astype(np.intp))
        if self.targets is not None:
            if len(self.targets) != len(self.labels):
                raise OptionError(f"received {len(self.targets)} targets for {len(self.labels)} photos; give one each")
            own = np.flatnonzero(self.targets == self.labels)
            if len(own):
                raise OptionError(
                    f"the target of {len(own)} photos is their own class (photo {own[0]}, class"
                    f" {self.labels[own[0]]}); a target must be another one"
                )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def targeted(self) -> bool:
        """Whether it is a certain class that is to be reached."""
        return self.targets is not None

    def select(self, places: npt.NDArray[Any]) -> Goal:
        """That of some of the photos."""
        return Goal(self.labels[places], None if self.targets is None else self.targets[places])

    def check_classes(self, classes: int) -> None:
        """Raises OptionError where a label or target is none of a model's classes."""
        for name, values in (("label", self.labels), ("target", self.targets)):
            if values is not None and len(values) and values.max() >= classes:
                raise OptionError(f"{name} {values.max()} is none of this model's {classes} classes, counted from 0")

    def reached(self, logits: Logits) -> npt.NDArray[np.bool_]:
        """Whether the answer is what was wanted: (N,)."""
        answers = logits.argmax(axis=1)
        found: npt.NDArray[np.bool_] = answers != self.labels if self.targets is None else answers == self.targets
        return found

    def margins(self, logits: Logits) -> npt.NDArray[np.float32]:
        """How far the logits are from the goal: (N,), in logits, negative beyond it."""
        count = logits.shape[1]
        away = self.labels if self.targets is None else self.targets
        found: npt.NDArray[np.float32] = margin(np, logits, one_hot(away, count)).astype(np.float32)
        return found if self.targets is None else -found
