"""Figures of a training: its curves and its confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tledge.core import atomic
from tledge.core.figure_text import figure_text
from tledge.train.history import PROBE, Epoch

COLOURS = {"train": "#0072b2", "validation": "#d55e00", "validation, attacked": "#009e73"}
"""From the Okabe-Ito palette, which is safe for colour-blind readers; the lines also differ in style."""

MOST_NUMBERED = 30
"""The most classes for which the matrix shows numbers and names."""


def draw_training_curves(
    path: Path, epochs: Sequence[Epoch], *, best_epoch: int, share: float = 1.0, augmented: bool = False
) -> None:
    """Draws the loss and top-1 of each epoch as a PNG, with a column for each phase, and marks the weights kept.

    Args:
        best_epoch: the epoch of the last phase whose weights are kept; 0 for the linear probe.
        share: the share of that epoch's weights; the rest is the linear probe's.
        augmented: training photos were augmented, which the legend says, since validation photos are not.
    """
    from matplotlib.figure import Figure

    phases = {
        phase: [row for row in epochs if row.phase == phase] for phase in dict.fromkeys(row.phase for row in epochs)
    }
    figure = Figure(figsize=(4.6 * len(phases) + 0.6, 6.4), dpi=110, layout="constrained")
    axes = figure.subplots(2, len(phases), squeeze=False, sharex="col")
    for column, (phase, rows) in enumerate(phases.items()):
        marks = kept_epochs(phase, rows, best_epoch=best_epoch, share=share)
        numbers = [row.epoch for row in rows]
        for axis, names, label in (
            (axes[0, column], ("loss", "val_loss", "val_robust_loss"), "cross-entropy, no label smoothing"),
            (axes[1, column], ("top1", "val_top1", "val_robust_accuracy"), "top-1"),
        ):
            for name, split, style in zip(names, COLOURS, ("--", "-", ":"), strict=True):
                values = [getattr(row, name) for row in rows]
                if None in values:
                    continue
                legend = split
                if split == "train" and phase != PROBE:
                    changes = ["augmented"] * augmented + ["attacked"] * (rows[0].val_robust_loss is not None)
                    legend += f" ({', '.join(changes)})" if changes else ""
                axis.plot(numbers, values, style, marker="o", markersize=4, color=COLOURS[split], label=legend)
            for number, text in marks.items():
                axis.axvline(number, color="#555555", linewidth=1, label=text, zorder=0)
            axis.set_ylabel(label)
            axis.grid(alpha=0.3)
        axes[0, column].set_title(phase)
        axes[1, column].set_xlabel("penalty, strong to weak" if phase == PROBE else "epoch")
        axes[1, column].legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, fontsize="small", frameon=False)
        axes[1, column].xaxis.get_major_locator().set_params(integer=True)
    _save(figure, path)


def kept_epochs(phase: str, rows: Sequence[Epoch], *, best_epoch: int, share: float) -> Mapping[int, str]:
    """Returns the number of the epoch of a phase whose weights are kept, with a text for the legend; empty if none."""
    if phase == PROBE:
        best = min(rows, key=lambda row: row.val_loss).epoch
        return {best: "kept" if best_epoch == 0 else "best"}
    mixed = f" ({share:.0%}) + linear probe ({1 - share:.0%})" if share < 1 else ""
    return {best_epoch: f"kept: epoch {best_epoch}{mixed}"} if best_epoch else {}


def draw_confusion(path: Path, confusion: npt.NDArray[np.intp], class_names: Sequence[str]) -> None:
    """Draws a confusion matrix as a PNG: rows are true classes, columns are predictions, shades are shares of a row."""
    from matplotlib.figure import Figure

    count = len(class_names)
    side = min(max(3.6, 0.55 * count + 2.0), 12.0)
    figure = Figure(figsize=(side + 0.8, side), dpi=110, layout="constrained")
    axis = figure.subplots()
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    shown = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axis.set_xlabel("prediction")
    axis.set_ylabel("true class")
    if count <= MOST_NUMBERED:
        names = [figure_text(name if len(name) <= 24 else f"{name[:23]}…") for name in class_names]
        axis.set_xticks(range(count), names, rotation=45, ha="right")
        axis.set_yticks(range(count), names)
        for row in range(count):
            for column in range(count):
                colour = "white" if shares[row, column] > 0.5 else "black"
                axis.text(column, row, f"{confusion[row, column]}", ha="center", va="center", color=colour, fontsize=9)
    figure.colorbar(shown, ax=axis, label="fraction of the true class", shrink=0.8)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    with atomic.replacing(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})
