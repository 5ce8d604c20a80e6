"""``history.csv``: what each epoch of a training reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
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
    """

    phase: str
    epoch: int
    loss: float
    top1: float
    val_loss: float
    val_top1: float
    seconds: float


def write_history(path: Path, epochs: Sequence[Epoch]) -> None:
    """Writes ``history.csv``: a header and one row an epoch."""
    rows = [[field.name for field in fields(Epoch)], *(map(str, astuple(epoch)) for epoch in epochs)]
    atomic.write_text(path, "".join(f"{','.join(row)}\n" for row in rows))
