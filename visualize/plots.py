"""Diagrams drawn by matplotlib on a white background. Functions import matplotlib when they run."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tledge.core.extras import require

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b0559a", "#16191d", "#a66f00", "#56b4e9", "#7f7f7f", "#8c564b", "#a3a500")
"""Distinguishable with most kinds of colour vision; markers tell apart the rest."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*")
MOST_LEGEND_ENTRIES = 24
"""Classes listed in the legend."""

WRONG = "#c1121f"


def _figure(width: float, height: float) -> tuple[Any, Any]:
    require("matplotlib", extra="train", purpose="diagrams")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, layout="constrained", facecolor="white")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _plain(text: str) -> str:
    """Escapes a name: matplotlib treats text between dollar signs as a formula and hides labels that start with "_"."""
    escaped = text.replace("$", r"\$")
    return f"\u200b{escaped}" if escaped.startswith("_") else escaped


def score_curves(curves: Sequence[tuple[str, Sequence[float]]], target: str) -> bytes:
    """Plots the score of a class after each step, one line per photo, and returns a PNG.

    Args:
        curves: a label and the scores, 0 to 1, after 0, 1, 2, … steps.
        target: name of the class.
    """
    figure, axes = _figure(6.4, 3.4)
    for index, (label, scores) in enumerate(curves):
        colour = COLOURS[index % len(COLOURS)]
        axes.plot(range(len(scores)), scores, color=colour, marker=".", linewidth=1.3, label=_plain(label))
    axes.set(xlabel="steps of the attack", ylabel=f"score of {_plain(target)}", ylim=(-0.03, 1.03))
    axes.axhline(0.5, color="#b6bcc4", linewidth=0.8, zorder=0)
    if len(curves) <= len(COLOURS):
        axes.legend(frameon=False, fontsize=8, loc="lower right")
    return _png(figure)


@dataclass(frozen=True, kw_only=True)
class PhotoMap:
    """Photos as points of a plane.

    Attributes:
        points: float (N, 2), coordinates.
        labels, predictions: (N,), class indices.
        axes: names of the two axes.
    """

    points: npt.NDArray[np.floating[Any]]
    labels: npt.NDArray[np.intp]
    predictions: npt.NDArray[np.intp]
    class_names: Sequence[str]
    axes: tuple[str, str]


def scatter(photo_map: PhotoMap) -> bytes:
    """Plots photos in the colour and marker of their class, wrong predictions ringed in red, and returns a PNG."""
    figure, axes = _figure(7.6, 5.6)
    for index, name in enumerate(photo_map.class_names):
        own = photo_map.points[photo_map.labels == index]
        axes.scatter(
            *own.T,
            s=20,
            color=COLOURS[index % len(COLOURS)],
            marker=MARKERS[index % len(MARKERS)],
            alpha=0.65,
            linewidths=0,
            label=_plain(name) if index < MOST_LEGEND_ENTRIES else None,
        )
    wrong = photo_map.points[photo_map.labels != photo_map.predictions]
    if len(wrong):
        axes.scatter(*wrong.T, s=110, facecolors="none", edgecolors=WRONG, linewidths=1.6, label="misclassified")
    axes.set(xlabel=photo_map.axes[0], ylabel=photo_map.axes[1])
    axes.tick_params(labelsize=8)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return _png(figure)
