"""Diagrams, drawn by matplotlib on white paper. Imports it inside its functions."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tledge.core.extras import require

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b0559a", "#16191d", "#a66f00", "#56b4e9", "#7f7f7f", "#8c564b", "#a3a500")
"""Told apart by people of any colour vision, as far as so many can be; markers help with the rest."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*")
MOST_KEYS = 24
"""Classes that a key lists."""

WRONG = "#c1121f"


def _figure(width: float, height: float) -> tuple[Any, Any]:
    require("matplotlib", extra="train", purpose="drawing diagrams")
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
    """A name as it is: matplotlib takes what stands between dollars for a formula, and hides what begins with "_"."""
    escaped = text.replace("$", r"\$")
    return f"\u200b{escaped}" if escaped.startswith("_") else escaped


def score_curves(curves: Sequence[tuple[str, Sequence[float]]], target: str) -> bytes:
    """How the score of a class rises step by step, a line for each photo: PNG.

    Args:
        curves: label, and the scores after 0, 1, 2, … steps, 0 to 1.
        target: the class.
    """
    figure, axes = _figure(6.4, 3.4)
    for place, (label, scores) in enumerate(curves):
        axes.plot(
            range(len(scores)),
            scores,
            color=COLOURS[place % len(COLOURS)],
            marker=".",
            linewidth=1.3,
            label=_plain(label),
        )
    axes.set(xlabel="steps of the attack", ylabel=f"score of {_plain(target)}", ylim=(-0.03, 1.03))
    axes.axhline(0.5, color="#b6bcc4", linewidth=0.8, zorder=0)
    if len(curves) <= len(COLOURS):
        axes.legend(frameon=False, fontsize=8, loc="lower right")
    return _png(figure)


@dataclass(frozen=True, kw_only=True)
class Map:
    """Photos as points of a plane.

    Attributes:
        places: float (N, 2).
        labels: (N,), their classes.
        answers: (N,), what the model takes them for.
        class_names: by index.
        axes: what the two directions are called.
    """

    places: npt.NDArray[np.floating[Any]]
    labels: npt.NDArray[np.intp]
    answers: npt.NDArray[np.intp]
    class_names: Sequence[str]
    axes: tuple[str, str]


def scatter(told: Map) -> bytes:
    """Points in the colour and shape of their class; those that the model gets wrong are ringed in red: PNG."""
    figure, axes = _figure(7.6, 5.6)
    for index, name in enumerate(told.class_names):
        own = told.places[told.labels == index]
        axes.scatter(
            *own.T,
            s=20,
            color=COLOURS[index % len(COLOURS)],
            marker=MARKERS[index % len(MARKERS)],
            alpha=0.65,
            linewidths=0,
            label=_plain(name) if index < MOST_KEYS else None,
        )
    wrong = told.places[told.labels != told.answers]
    if len(wrong):
        axes.scatter(*wrong.T, s=110, facecolors="none", edgecolors=WRONG, linewidths=1.6, label="answered wrongly")
    axes.set(xlabel=told.axes[0], ylabel=told.axes[1])
    axes.tick_params(labelsize=8)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return _png(figure)
