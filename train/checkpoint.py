"""What a killed training needs to go on: one file, replaced whole after each epoch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tledge.core import atomic
from tledge.core.errors import RunError
from tledge.train.history import Epoch

SCHEMA_VERSION = 1

ARRAYS = ("weights", "optimizer", "start", "best")

Arrays = Sequence[npt.NDArray[np.generic]]


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The state of a training at the end of an epoch.

    Attributes:
        history: all epochs so far, those of earlier phases included.
        weights: of the model.
        optimizer: the variables of the optimizer.
        start: the model's weights that the phase began with.
        start_loss: their validation loss.
        best: the model's weights of the epoch with the best validation result so far.
        best_epoch: which epoch that is; 0 where there is none.
        best_loss: its validation loss.
    """

    history: tuple[Epoch, ...]
    weights: Arrays
    optimizer: Arrays
    start: Arrays
    start_loss: float
    best: Arrays
    best_epoch: int
    best_loss: float

    def save(self, path: Path) -> None:
        """Writes the checkpoint, whole or not at all."""
        told = {
            "schema_version": SCHEMA_VERSION,
            "history": [asdict(epoch) for epoch in self.history],
            "best_epoch": self.best_epoch,
            "best_loss": self.best_loss,
            "start_loss": self.start_loss,
        }
        arrays = {f"{name}/{place:05d}": array for name in ARRAYS for place, array in enumerate(getattr(self, name))}
        with atomic.replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, told=np.frombuffer(json.dumps(told).encode(), np.uint8), **arrays)

    @classmethod
    def load(cls, path: Path) -> Checkpoint | None:
        """Reads a checkpoint; None where there is none yet.

        Raises:
            RunError: it cannot be read, or is of another version.
        """
        if not path.exists():
            return None
        try:
            with np.load(path) as stored:
                told = json.loads(stored["told"].tobytes())
                if told["schema_version"] != SCHEMA_VERSION:
                    raise ValueError(f"schema version {told['schema_version']}, this tledge reads {SCHEMA_VERSION}")
                arrays = {
                    name: [stored[key] for key in sorted(stored.files) if key.startswith(f"{name}/")] for name in ARRAYS
                }
            return cls(
                history=tuple(Epoch(**epoch) for epoch in told["history"]),
                best_epoch=told["best_epoch"],
                best_loss=float(told["best_loss"]),
                start_loss=float(told["start_loss"]),
                **arrays,
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"cannot read checkpoint '{path}': {error}; remove its run and train again") from error
