"""Diagrams drawn by matplotlib for white and for dark pages. Functions import matplotlib when they run."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tledge.core.extras import require
from tledge.core.figure_text import figure_text


@dataclass(frozen=True)
class Theme:
    """Colours of a page: background, text and lines, series, and rings around misclassified photos.

    Series are distinguishable with most kinds of colour vision; markers tell apart the rest.
    """

    paper: str
    ink: str
    faint: str
    wrong: str
    series: Sequence[str]

    def of(self, index: int) -> str:
        """Returns the colour of a series, from 0."""
        return self.series[index % len(self.series)]


LIGHT = Theme(
    paper="#ffffff",
    ink="#16191d",
    faint="#b6bcc4",
    wrong="#c1121f",
    series=[
        "#0072b2",
        "#d55e00",
        "#009e73",
        "#b0559a",
        "#16191d",
        "#a66f00",
        "#56b4e9",
        "#7f7f7f",
        "#8c564b",
        "#a3a500",
    ],
)
DARK = Theme(
    paper="#14171b",
    ink="#eceff2",
    faint="#545c66",
    wrong="#ff6b6b",
    series=[
        "#56b4e9",
        "#f08040",
        "#2fbf94",
        "#d994bd",
        "#f0e442",
        "#e69f00",
        "#9ad0f5",
        "#b0b0b0",
        "#c89a8f",
        "#c3c84f",
    ],
)


@dataclass(frozen=True)
class Chart:
    """One diagram as two PNG files: for a white page and for a dark one."""

    light: bytes
    dark: bytes


MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*")
MOST_LEGEND_ENTRIES = 24
"""Classes listed in the legend."""


def _draw(draw: Callable[[Any, Theme], None], width: float, height: float) -> Chart:
    """Draws a diagram of (width, height) inches in both themes; ``draw`` gets its axes."""
    require("matplotlib", extra="train", purpose="diagrams")
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    pngs = []
    for theme in (LIGHT, DARK):
        inks = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
        with rc_context(dict.fromkeys(inks, theme.ink) | {"axes.facecolor": theme.paper}):
            figure = Figure(figsize=(width, height), dpi=100, layout="constrained", facecolor=theme.paper)
            axes = figure.subplots()
            axes.spines[["top", "right"]].set_visible(False)
            draw(axes, theme)
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png")
        pngs.append(buffer.getvalue())
    return Chart(*pngs)


def score_curves(curves: Sequence[tuple[str, Sequence[float]]], target: str) -> Chart:
    """Plots the score of a class after each step, one line per photo.

    Args:
        curves: a label and the scores, 0 to 1, after 0, 1, 2, … steps.
        target: name of the class.
    """

    def draw(axes: Any, theme: Theme) -> None:
        for index, (label, scores) in enumerate(curves):
            marker = MARKERS[index % len(MARKERS)]
            line = {"color": theme.of(index), "marker": marker, "markersize": 4, "linewidth": 1.3}
            axes.plot(range(len(scores)), scores, label=figure_text(label), **line)
        axes.set(xlabel="steps of the attack", ylabel=f"score of {figure_text(target)}", ylim=(-0.03, 1.03))
        axes.axhline(0.5, color=theme.faint, linewidth=0.8, zorder=0)
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))

    return _draw(draw, 7.6, 3.4)


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


def scatter(photo_map: PhotoMap) -> Chart:
    """Plots photos in the colour and marker of their class, with red rings around wrong predictions."""

    def draw(axes: Any, theme: Theme) -> None:
        for index, name in enumerate(photo_map.class_names):
            own = photo_map.points[photo_map.labels == index]
            axes.scatter(
                *own.T,
                s=20,
                color=theme.of(index),
                marker=MARKERS[index % len(MARKERS)],
                alpha=0.65,
                linewidths=0,
                label=figure_text(name) if index < MOST_LEGEND_ENTRIES else None,
            )
        wrong = photo_map.points[photo_map.labels != photo_map.predictions]
        if len(wrong):
            ring = {"facecolors": "none", "edgecolors": theme.wrong, "linewidths": 1.6}
            axes.scatter(*wrong.T, s=110, label="misclassified", **ring)
        axes.set(xlabel=photo_map.axes[0], ylabel=photo_map.axes[1])
        axes.tick_params(labelsize=8)
        axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))

    return _draw(draw, 7.6, 5.6)
