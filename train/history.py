"""``history.csv``: what each epoch of a training reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from tledge.core import atomic

PROBE, FINE_TUNE, FULL = "linear probe", "fine-tune", "full training"
"""The phases of a training."""


@dataclass(frozen=True)
class Epoch:
    """One row of ``history.csv``.

    Attributes:
        phase: ``PROBE``, ``FINE_TUNE`` or ``FULL``.
        epoch: from 1, within the phase; of the linear probe, one fit of the head with one penalty.
        loss, top1: mean weighted cross-entropy and the fraction that is right, on the training split as it was learned
            from: augmented and with smoothed labels where the phase has that.
        val_loss, val_top1: on the validation split as it is: neither augmented nor smoothed. In epochs over the
            photos the loss is unweighted and that at the best temperature (see ``Evaluation.calibrated_loss``), by
            which epochs, and fine-tuning and the linear probe, are compared.
        seconds: wall time.
        val_robust_loss, val_robust_accuracy: the same on validation photos under attack, by whose loss epochs are
            compared then; None where nobody attacks. An adversarial training's own ``loss`` and ``top1`` are those of
            attacked photos.
    """

    phase: str
    epoch: int
    loss: float
    top1: float
    val_loss: float
    val_top1: float
    seconds: float
    val_robust_loss: float | None = None
    val_robust_accuracy: float | None = None


def describe_validation(row: Epoch) -> str:
    """What an epoch reached on the validation split, for a person ("val top-1 0.950, under attack 0.630")."""
    attacked = "" if row.val_robust_accuracy is None else f", under attack {row.val_robust_accuracy:.3f}"
    return f"val top-1 {row.val_top1:.3f}{attacked}"


def write_history(path: Path, epochs: Sequence[Epoch]) -> None:
    """Writes ``history.csv``: a header and one row an epoch; without the columns that no epoch has a value for."""
    names = [field.name for field in fields(Epoch)]
    held = [name for name in names if any(getattr(epoch, name) is not None for epoch in epochs)]
    rows = [held, *([_cell(getattr(epoch, name)) for name in held] for epoch in epochs)]
    atomic.write_text(path, "".join(f"{','.join(row)}\n" for row in rows))


def _cell(value: object) -> str:
    return "" if value is None else str(value)
