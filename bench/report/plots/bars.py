"""Horizontal bars from zero, with their labels and values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tledge.bench.report.plots.scale import Linear
from tledge.bench.report.plots.svg import Drawing, element, note, shorten, text, text_width

_LABEL, _BAR, _GAP, _BETWEEN = 17.0, 14.0, 3.0, 10.0  # px
_WIDE, _ASIDE = 600.0, 250.0
_OUTLYING = 4.0
"""Bars at the end of the order that are this many times as long as the next one can be cut."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One number.

    Attributes:
        value: its length, 0 or more.
        text: the value with its unit, written at the end of the bar.
        name: its label within the group; empty for a single bar.
        best: whether no other bar of the plot is better.
    """

    value: float
    text: str
    name: str = ""
    best: bool = False


@dataclass(frozen=True)
class Group:
    """Bars under one label."""

    label: str
    bars: tuple[Bar, ...]


def draw_bars(groups: Sequence[Group], *, name: str, title: str, width: float, cut: bool = False) -> Drawing:
    """Draws one or more horizontal bars on one scale; labels stand beside the bars in a wide plot, else above them.

    Args:
        cut: draws the few bars that are far longer than all others shorter, with a gap, so that the others can be read.
    """
    bars = [bar for group in groups for bar in group.bars]
    wide = width >= _WIDE
    aside = _ASIDE if wide else 0.0
    names = max(text_width(bar.name) for bar in bars)
    start = aside + (names + 8 if names else 0.0)
    room = max(text_width(_written(bar)) for bar in bars) + 10
    longest = _longest([bar.value for bar in bars]) if cut else max(bar.value for bar in bars)
    across = Linear(0.0, longest or 1.0, start, width - room)
    y, marks = 0.0, []
    for group in groups:
        marks.append(text(0, y + 12, shorten(group.label, aside - 12 if wide else width), class_="label"))
        y += 0.0 if wide else _LABEL
        for bar in group.bars:
            marks.append(_draw_bar(bar, group.label, across, y, aside))
            y += _BAR + _GAP
        y += _BETWEEN
    if any(bar.value > longest for bar in bars):
        marks.append(text(0, y + 10, "Bars with a gap are longer than drawn.", class_="label muted"))
        y += _LABEL + _BETWEEN
    description = "; ".join(
        f"{group.label}: " + ", ".join(f"{bar.name} {_written(bar)}".strip() for bar in group.bars) for group in groups
    )
    return Drawing(
        name=name, width=width, height=y - _BETWEEN + 2, title=title, description=f"{description}.", body="".join(marks)
    )


def _longest(values: Sequence[float]) -> float:
    """Returns the length that the scale must hold: 1.2 times the longest bar that is no outlier, or the longest bar.

    At most a quarter of the bars, or one, are outliers.
    """
    ordered = sorted(values, reverse=True)
    for above, below in list(pairwise(ordered))[: max(len(ordered) // 4, 1)]:
        if above > _OUTLYING * below > 0:
            return 1.2 * below
    return ordered[0]


def _written(bar: Bar) -> str:
    return f"{bar.text} · best" if bar.best else bar.text


def _draw_bar(bar: Bar, label: str, across: Linear, y: float, names: float) -> str:
    end, tooltip = min(across(bar.value), across.end), note(f"{label}: {bar.name} {_written(bar)}")
    gap = f"M{end - 17:.1f},{y + _BAR + 1}l6,{-_BAR - 2}" if bar.value > across.high else ""
    return element(
        "g",
        text(names, y + 11, bar.name, class_="label muted") if bar.name else "",
        element("rect", tooltip, x=across.start, y=y, width=max(end - across.start, 1.0), height=_BAR, rx=2),
        element("path", d=gap, class_="gap") if gap else "",
        text(max(end, across.start + 1) + 6, y + 11, _written(bar), class_="label value"),
        class_="bar best" if bar.best else "bar",
    )
