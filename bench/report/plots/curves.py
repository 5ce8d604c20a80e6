"""Curves of several series over one axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tledge.bench.report.plots.axes import draw_axes
from tledge.bench.report.plots.markers import Marker
from tledge.bench.report.plots.scale import Linear
from tledge.bench.report.plots.svg import Box, Drawing, element, note

Points = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Curve:
    """One series of points (x, y) in order of x; y is a fraction."""

    label: str
    points: Points
    marker: Marker


_DASHES = (None, "7 4", "2 3", "10 3 2 3")


_APART = 0.004
"""Curves closer than this everywhere, about one pixel, are drawn as one."""


def coincident(curves: Sequence[Curve]) -> list[list[Curve]]:
    """Groups curves that cannot be told apart in a plot, in order; each is close to the first of its group."""
    groups: list[list[Curve]] = []
    for curve in curves:
        group = next((group for group in groups if _close(group[0].points, curve.points)), None)
        if group is None:
            groups.append([curve])
        else:
            group.append(curve)
    return groups


def _close(one: Points, other: Points) -> bool:
    return len(one) == len(other) and all(
        x == other_x and abs(y - other_y) < _APART for (x, y), (other_x, other_y) in zip(one, other, strict=True)
    )


def draw_curves(
    curves: Sequence[Curve], *, name: str, title: str, across_title: str, up_title: str, width: float
) -> Drawing:
    """Draws fractions over a linear axis that begins at 0; the curves have one point or more in all.

    Coincident curves are one line; others that come close to one another differ in the dashes of their lines.
    """
    frame = Box(left=70, top=10, right=width - 12, bottom=width * 0.72 - 46)
    across = Linear(0.0, max(x for curve in curves for x, _ in curve.points) * 1.03 or 1.0, frame.left, frame.right)
    up = Linear(0.0, 1.02, frame.bottom, frame.top)
    drawn = []
    for number, group in enumerate(coincident(curves)):
        curve, label = group[0], " = ".join(own.label for own in group)
        path = "L".join(f"{across(x):.1f},{up(y):.1f}" for x, y in curve.points)
        signs = [curve.marker.draw(across(x), up(y), 4.5, note(f"{label}: {y:.3f} at {x:g}")) for x, y in curve.points]
        line = element("path", d=f"M{path}", stroke_dasharray=_DASHES[number % len(_DASHES)])
        drawn.append(element("g", line, *signs, class_=f"curve {curve.marker.colour}"))
    values = "; ".join(f"{curve.label}: " + ", ".join(f"{y:.3f} at {x:g}" for x, y in curve.points) for curve in curves)
    return Drawing(
        name=name,
        width=width,
        height=width * 0.72,
        title=title,
        description=f"{values}.",
        body=draw_axes(frame, across, up, across_title, up_title) + "".join(drawn),
    )
