"""The checkpoint of a training: one file, replaced after each epoch."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tledge.core import atomic
from tledge.core.errors import RunError
from tledge.core.records import Record
from tledge.train.best_weights import BestWeights
from tledge.train.history import Epoch

Arrays = Sequence[npt.NDArray[np.generic]]


@dataclass(frozen=True, kw_only=True)
class CheckpointMetadata(Record, version=1, error=RunError, remedy="remove its run and train again"):
    """What a checkpoint holds besides arrays; see :class:`Checkpoint` and ``BestWeights`` for the fields."""

    history: tuple[Epoch, ...]
    best_epoch: int
    best_loss: float
    start_loss: float


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The state of a training at the end of an epoch.

    Attributes:
        history: all epochs so far, those of earlier phases included.
        weights: the weights of the model that is trained.
        optimizer: the variables of its optimizer.
        best: the best weights so far.
    """

    history: tuple[Epoch, ...]
    weights: Arrays
    optimizer: Arrays
    best: BestWeights

    def save(self, path: Path) -> None:
        """Writes the checkpoint, whole or not at all."""
        best = self.best
        metadata = CheckpointMetadata(
            history=self.history, best_epoch=best.epoch, best_loss=best.loss, start_loss=best.start_loss
        )
        groups = {"weights": self.weights, "optimizer": self.optimizer, "start": best.start, "best": best.weights}
        arrays: dict[str, Any] = {
            f"{name}/{index:05d}": array for name, group in groups.items() for index, array in enumerate(group)
        }
        with atomic.replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, metadata=np.frombuffer(metadata.to_json(), np.uint8), **arrays)

    @classmethod
    def load(cls, path: Path) -> Checkpoint | None:
        """Reads a checkpoint; returns None if there is none yet.

        Raises:
            RunError: it cannot be read, or another version of tledge wrote it.
        """
        if not path.exists():
            return None
        try:
            with np.load(path) as stored:
                name = "metadata" if "metadata" in stored.files else "told"  # its name in earlier versions
                metadata = CheckpointMetadata.from_json(stored[name].tobytes(), path)
                weights, optimizer, start, best = (
                    [stored[key] for key in sorted(stored.files) if key.startswith(f"{name}/")]
                    for name in ("weights", "optimizer", "start", "best")
                )
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise RunError(f"cannot read '{path}': {error}; remove its run and train again") from error
        return cls(
            history=metadata.history,
            weights=weights,
            optimizer=optimizer,
            best=BestWeights(
                start=start,
                start_loss=metadata.start_loss,
                weights=best,
                epoch=metadata.best_epoch,
                loss=metadata.best_loss,
            ),
        )
