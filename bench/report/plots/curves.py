"""Curves of several series over one axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tledge.bench.report.plots.axes import draw_axes
from tledge.bench.report.plots.markers import Marker
from tledge.bench.report.plots.scale import Linear
from tledge.bench.report.plots.svg import Box, Drawing, element, note


@dataclass(frozen=True)
class Curve:
    """One series of points (x, y) in order of x; y is a fraction."""

    label: str
    points: tuple[tuple[float, float], ...]
    marker: Marker


def draw_curves(
    curves: Sequence[Curve], *, name: str, title: str, across_title: str, up_title: str, width: float
) -> Drawing:
    """Draws fractions over a linear axis that begins at 0; the curves have one point or more in all."""
    frame = Box(left=70, top=10, right=width - 12, bottom=width * 0.72 - 46)
    across = Linear(0.0, max(x for curve in curves for x, _ in curve.points) * 1.03 or 1.0, frame.left, frame.right)
    up = Linear(0.0, 1.02, frame.bottom, frame.top)
    drawn = []
    for curve in curves:
        path = "L".join(f"{across(x):.1f},{up(y):.1f}" for x, y in curve.points)
        signs = [
            curve.marker.draw(across(x), up(y), 4.5, note(f"{curve.label}: {y:.3f} at {x:g}")) for x, y in curve.points
        ]
        drawn.append(element("g", element("path", d=f"M{path}"), *signs, class_=f"curve {curve.marker.colour}"))
    values = "; ".join(f"{curve.label}: " + ", ".join(f"{y:.3f} at {x:g}" for x, y in curve.points) for curve in curves)
    return Drawing(
        name=name,
        width=width,
        height=width * 0.72,
        title=title,
        description=f"{values}.",
        body=draw_axes(frame, across, up, across_title, up_title) + "".join(drawn),
    )
