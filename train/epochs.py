"""What happens after each epoch: progress, history and a stop where the loss is no number. Imports Keras."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import keras

from tledge.core import atomic
from tledge.core.errors import TrainingError
from tledge.core.progress import Step


@dataclass(frozen=True)
class Epoch:
    """One row of ``history.csv``.

    Attributes:
        phase: "linear probe" or "full training".
        epoch: from 1, within the phase.
        loss, val_loss: what is minimized, on the train and validation split: cross-entropy, and in the linear probe
            the squared length of its weights.
        top1, val_top1: fractions of them that are right.
        seconds: wall time.
    """

    phase: str
    epoch: int
    loss: float
    top1: float
    val_loss: float
    val_top1: float
    seconds: float


class Recorder(keras.callbacks.Callback):  # type: ignore[misc]
    """Collects the epochs of one phase and tells a person of each."""

    def __init__(self, phase: str, step: Step) -> None:
        super().__init__()
        self.phase = phase
        self.epochs: list[Epoch] = []
        self._step = step
        self._began = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        values = {name: float(value) for name, value in (logs or {}).items()}
        row = Epoch(
            self.phase,
            epoch + 1,
            values["loss"],
            values["top1"],
            values["val_loss"],
            values["val_top1"],
            round(time.perf_counter() - self._began, 3),
        )
        if not math.isfinite(row.loss):
            raise TrainingError(
                f"the loss became {row.loss} in epoch {epoch + 1} of the {self.phase}; train again with a smaller"
                " --learning-rate"
            )
        self.epochs.append(row)
        self._step.advance(1, f"loss {row.loss:.3f}  val top-1 {row.val_top1:.3f}")


def write_history(path: Path, epochs: list[Epoch]) -> None:
    """Writes ``history.csv``: a header and one row an epoch."""
    names = [field.name for field in fields(Epoch)]
    lines = [",".join(names), *(",".join(str(getattr(epoch, name)) for name in names) for epoch in epochs)]
    atomic.write_text(path, "\n".join(lines) + "\n")
