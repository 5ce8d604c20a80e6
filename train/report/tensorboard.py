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
        for name in ("loss", "top1", "val_loss", "val_top1", "seconds"):
            group = "epoch" if name == "seconds" else name.removeprefix("val_")
            part = "validation" if name.startswith("val_") else "train"
            writer.add_scalar(f"{group}/{part}" if group != "epoch" else "epoch/seconds", getattr(row, name), row.epoch)
        if row.val_robust_loss is not None:
            writer.add_scalar("loss/validation under attack", row.val_robust_loss, row.epoch)
            writer.add_scalar("top1/validation under attack", row.val_robust_accuracy, row.epoch)
        writer.flush()

    def close(self) -> None:
        """Closes the files."""
        for writer in self._writers.values():
            writer.close()
