"""``history.csv``: the loss and accuracy of each epoch of a training; and how they are shown in a line of text."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from tledge.core import atomic
from tledge.core.field_bounds import AnyFloat, Count, Fraction, NotNegative

PROBE, FINE_TUNE, FULL = "linear probe", "fine-tune", "full training"
"""The phases of a training."""

_BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Epoch:
    """One row of ``history.csv``.

    Attributes:
        phase: ``PROBE``, ``FINE_TUNE`` or ``FULL``.
        epoch: from 1, within the phase. In the linear probe, one fit of the head with one penalty.
        loss, top1: mean cross-entropy without label smoothing, and the fraction classified correctly, on the training
            photos as the phase trains on them: augmented or attacked.
        val_loss, val_top1: the same on the validation split, unchanged. Both losses are weighted by class in the linear
            probe and unweighted in epochs. There, the validation loss is at the best temperature (see
            ``Evaluation.calibrated_loss``): epochs, and fine-tuning and the linear probe, are compared by it.
        seconds: wall time.
        val_robust_loss, val_robust_accuracy: the same on validation photos under attack; then epochs are compared by
            this loss. None outside of adversarial training.
    """

    phase: str
    epoch: Count
    loss: AnyFloat
    top1: Fraction
    val_loss: AnyFloat
    val_top1: Fraction
    seconds: NotNegative
    val_robust_loss: AnyFloat | None = None
    val_robust_accuracy: Fraction | None = None


def describe_validation(row: Epoch) -> str:
    """Returns the validation accuracy of an epoch as a text: "val top-1 0.950, under attack 0.630"."""
    attacked = "" if row.val_robust_accuracy is None else f", under attack {row.val_robust_accuracy:.3f}"
    return f"val top-1 {row.val_top1:.3f}{attacked}"


def sparkline(values: Sequence[float], most: int = 20) -> str:
    """Returns the last ``most`` values as bars, scaled between the smallest and the largest; "▄" if all are equal."""
    shown = list(values)[-most:]
    low, high = min(shown), max(shown)
    if high == low:
        return "▄" * len(shown)
    return "".join(_BARS[round((value - low) / (high - low) * (len(_BARS) - 1))] for value in shown)


def probe_top1(epochs: Sequence[Epoch]) -> Mapping[str, float]:
    """Returns the metric ``probe_validation_top1``, of the fit with the lowest loss; empty without a linear probe."""
    fits = [row for row in epochs if row.phase == PROBE]
    return {"probe_validation_top1": min(fits, key=lambda row: row.val_loss).val_top1} if fits else {}


def write_history(path: Path, epochs: Sequence[Epoch]) -> None:
    """Writes ``history.csv``: a header and a row for each epoch, without the columns that are empty in every row."""
    names = [field.name for field in fields(Epoch)]
    held = [name for name in names if any(getattr(epoch, name) is not None for epoch in epochs)]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([held, *(map(vars(epoch).get, held) for epoch in epochs)])
    atomic.write_text(path, text.getvalue())
