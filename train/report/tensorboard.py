"""Event files for TensorBoard, with either backend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tledge.train.history import Epoch


class EventLog:
    """Writes the epochs of a training as scalars; each phase is a TensorBoard run.

    Args:
        folder: the folder for the event files; None to write nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._writers: dict[str, Any] = {}

    def write(self, row: Epoch) -> None:
        """Adds one epoch."""
        if self._folder is None:
            return
        from tensorboardX import SummaryWriter

        if row.phase not in self._writers:
            self._writers[row.phase] = SummaryWriter(str(self._folder / row.phase.replace(" ", "-")))
        writer = self._writers[row.phase]
        scalars = {
            "loss/train": row.loss,
            "top1/train": row.top1,
            "loss/validation": row.val_loss,
            "top1/validation": row.val_top1,
            "epoch/seconds": row.seconds,
            "loss/validation under attack": row.val_robust_loss,
            "top1/validation under attack": row.val_robust_accuracy,
        }
        for name, value in scalars.items():
            if value is not None:
                writer.add_scalar(name, value, row.epoch)
        writer.flush()

    def close(self) -> None:
        """Closes the files."""
        for writer in self._writers.values():
            writer.close()
