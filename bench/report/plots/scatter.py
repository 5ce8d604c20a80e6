"""Accuracy against latency: points with their intervals, and the Pareto front."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tledge.bench.report.plots.axes import draw_axes
from tledge.bench.report.plots.labels import leader_end, position_labels
from tledge.bench.report.plots.markers import Marker
from tledge.bench.report.plots.scale import Linear, Log, padded, padded_log
from tledge.bench.report.plots.svg import Box, Drawing, element, line, note, shorten, text, text_width
from tledge.core.number_text import counted
from tledge.core.significance import Interval

Segment = tuple[float, float, float, float]
"""From (x1, y1) to (x2, y2), px."""

_RADIUS = 6.0
_LINE_HEIGHT = 15.0
_LEAST_FOR_NAMES, _MOST_NAMES = 600.0, 4
_WIDEST = 3.0
"""The axis ends at most at this multiple of the slowest latency, and likewise below: longer intervals are cut."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One cell.

    Attributes:
        label: written beside it.
        latency: ms, with its 95% interval if it has one.
        top1: a fraction, with its 95% interval.
        marker: of its target.
        explanation: shown when the mouse rests on it.
        on_front: no other cell beats it in latency and top-1.
    """

    label: str
    latency: float
    latency_interval: Interval | None
    top1: float
    top1_interval: Interval | None
    marker: Marker
    explanation: str
    on_front: bool


def rising_points(points: Sequence[Point]) -> list[Point]:
    """Returns the points of the front's line, fastest first: each is more accurate than all faster ones."""
    found: list[Point] = []
    for point in sorted((point for point in points if point.on_front), key=lambda item: (item.latency, -item.top1)):
        if not found or point.top1 > found[-1].top1:
            found.append(point)
    return found


def draw_scatter(points: Sequence[Point], *, name: str, width: float) -> Drawing:
    """Draws top-1 over latency of one or more points, on a logarithmic axis; long intervals end at the frame."""
    height = min(max(width * 0.5, 360.0), 460.0)
    frame = Box(left=70, top=14, right=width - 16, bottom=height - 46)
    fastest, slowest = (choose(point.latency for point in points) for choose in (min, max))
    ends = [end for point in points for end in point.latency_interval or (point.latency,)]
    lowest, highest = max(min(ends), fastest / _WIDEST), min(max(ends), slowest * _WIDEST)
    across = Log(*padded_log(lowest, highest, 0.09), frame.left, frame.right)
    top1s = [end for point in points for end in point.top1_interval or (point.top1,)]
    lowest, highest = padded(min(top1s), max(top1s), 0.06)
    up = Linear(max(lowest, -0.01), min(highest, 1.01), frame.bottom, frame.top)
    steps = _front(rising_points(points), across, up, frame)
    body = [
        draw_axes(frame, across, up, "latency p50 of one image, ms (logarithmic)", "top-1"),
        *([_draw_front(steps)] if steps else []),
        *(_draw_whiskers(point, across, up) for point in points),
        *_draw_points(points, steps, across, up, frame),
    ]
    front = [f"{point.label} ({point.explanation})" for point in points if point.on_front]
    best = f" On the Pareto front: {', '.join(front)}." if front else ""
    return Drawing(
        name=name,
        width=width,
        height=height,
        title="Top-1 against latency",
        description=f"{counted(len(points), 'points')}.{best}",
        body="".join(body),
    )


def _front(front: Sequence[Point], across: Log, up: Linear, frame: Box) -> list[Segment]:
    """Returns the steps of the front: the best top-1 within each latency."""
    if not front:
        return []
    x, y = across(front[0].latency), up(front[0].top1)
    steps = [(x, frame.bottom, x, y)]
    for point in front[1:]:
        right, top = across(point.latency), up(point.top1)
        steps += [(x, y, right, y), (right, y, right, top)]
        x, y = right, top
    return [*steps, (x, y, frame.right, y)]


def _draw_front(segments: Sequence[Segment]) -> str:
    (x, y, _, _), *_ = segments
    path = "".join(f"L{x2:.1f},{y2:.1f}" for _, _, x2, y2 in segments)
    return element("path", d=f"M{x:.1f},{y:.1f}{path}", class_="front")


def _whiskers(point: Point, across: Log, up: Linear) -> list[Segment]:
    x, y = across(point.latency), up(point.top1)
    segments = []
    if point.top1_interval:
        low, high = (up(end) for end in point.top1_interval)
        segments += [(x, low, x, high), (x - 3, low, x + 3, low), (x - 3, high, x + 3, high)]
    if point.latency_interval:
        low, high = (across(min(max(end, across.low), across.high)) for end in point.latency_interval)
        segments.append((low, y, high, y))
        segments += [(end, y - 3, end, y + 3) for end in (low, high) if across.start < end < across.end]
    return segments


def _draw_whiskers(point: Point, across: Log, up: Linear) -> str:
    lines = [line(*segment) for segment in _whiskers(point, across, up)]
    return element("g", *lines, class_=f"whisker {point.marker.colour}") if lines else ""


def _line_boxes(segments: Sequence[Segment]) -> list[Box]:
    """Returns the areas that lines cover."""
    return [Box(min(x1, x2) - 1, min(y1, y2) - 1, max(x1, x2) + 1, max(y1, y2) + 1) for x1, y1, x2, y2 in segments]


def _draw_points(points: Sequence[Point], steps: Sequence[Segment], across: Log, up: Linear, frame: Box) -> list[str]:
    positions = [(across(point.latency), up(point.top1)) for point in points]
    labels = _labels(points, positions, frame)
    inside = Box(frame.left + 2, frame.top + 2, frame.right, frame.bottom - 2)
    obstacles = [Box(x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS) for x, y in positions]
    obstacles += [box for point in points for box in _line_boxes(_whiskers(point, across, up))]
    obstacles += _line_boxes(steps)
    sizes = [(max(map(text_width, lines)), _LINE_HEIGHT * len(lines)) for lines in labels.values()]
    boxes = position_labels([positions[index] for index in labels], sizes, inside, obstacles)
    leaders, texts = [], []
    for (index, lines), box in zip(labels.items(), boxes, strict=True):
        x, y = positions[index]
        near = leader_end((x, y), box)
        if math.dist(near, (x, y)) > 14:
            leaders.append(line(x, y, *near, class_="leader"))
        anchor, at = ("end", box.right) if box.right < x else ("start", box.left)
        if box.left < x < box.right:
            anchor, at = "middle", (box.left + box.right) / 2
        texts += [
            text(at, box.top + _LINE_HEIGHT * number - 4, content, class_="label", text_anchor=anchor)
            for number, content in enumerate(lines, 1)
        ]
    signs = [
        point.marker.draw(x, y, _RADIUS, note(f"{point.label}: {point.explanation}"), hollow=not point.on_front)
        for point, (x, y) in zip(points, positions, strict=True)
    ]
    return [*leaders, *signs, *texts]


def _labels(points: Sequence[Point], positions: Sequence[tuple[float, float]], frame: Box) -> dict[int, list[str]]:
    """Returns the lines beside points: names, or numbers where there is no room for them.

    Points of one target that cover one another share the label of the first.
    """
    width = frame.right - frame.left
    if numbered(points, width):
        return {index: [str(index + 1)] for index in range(len(points))}
    labels: dict[int, list[str]] = {}
    for index, point in enumerate(points):
        for first, lines in labels.items():
            if points[first].marker == point.marker and math.dist(positions[first], positions[index]) < _RADIUS:
                lines.append(shorten(point.label, width / 2))
                break
        else:
            labels[index] = [shorten(point.label, width / 2)]
    return labels


def numbered(points: Sequence[Point], width: float) -> bool:
    """Returns whether a plot of ``width`` px has numbers, from 1, beside its points, because names do not fit."""
    return width < _LEAST_FOR_NAMES and len(points) > _MOST_NAMES
