"""Positions of labels beside points, chosen so that no label or leader covers or crosses another."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from tledge.bench.report.plots.svg import Box

_CROSSED = 7.0  # px; a leader that passes a point this closely seems to end there
_CONFUSION_COST = 40.0  # px² of overlap that are as bad as one possible confusion
_CROSSING_COST = 200.0  # the same, for a leader that crosses a label or another leader
_DISTANCES = (11.0, 18.0, 28.0, 40.0, 54.0, 70.0, 90.0, 112.0, 136.0, 165.0, 200.0)
_GAP = 5.0  # px left free beside a label: "6" and "9" are not "69"
_ROUNDS = 3  # each label is positioned again when it knows where the others are

Position = tuple[float, float]
_DIRECTIONS = (0, 315, 45, 180, 225, 135, 270, 90, *range(15, 360, 15))  # degrees clockwise from the right


def position_labels(
    points: Sequence[Position], sizes: Sequence[tuple[float, float]], frame: Box, obstacles: Sequence[Box]
) -> list[Box]:
    """Returns each label's box: the nearest free position in the frame, beside its point (x, y).

    Args:
        points: one for each label.
        sizes: (width, height) of each label, px.
        frame: the area that labels stay in.
        obstacles: areas that labels should not cover.
    """
    chosen: dict[int, Box] = {}
    for index in _ROUNDS * sorted(range(len(points)), key=lambda number: points[number]):
        others = [point for point in points if point != points[index]]
        placed = [(points[other], box) for other, box in chosen.items() if other != index]
        taken = [Box(box.left - _GAP, box.top - 1, box.right + _GAP, box.bottom + 1) for _, box in placed]
        taken += obstacles
        lowest = math.inf
        for distance, direction in itertools.product(_DISTANCES, _DIRECTIONS):
            box = _beside(points[index], distance, direction, *sizes[index])
            cost = (
                _cost(box, taken, frame)
                + _confusion(box, points[index], others)
                + _CROSSING_COST * sum(_crosses(points[index], box, point, other) for point, other in placed)
            )
            if cost < lowest:
                lowest, chosen[index] = cost, box
            if cost == 0:  # the nearest free position
                break
    return [chosen[index] for index in range(len(points))]


def leader_end(point: Position, box: Box) -> Position:
    """Returns where the line from a point to its label ends: the nearest place of the box."""
    return min(max(point[0], box.left), box.right), min(max(point[1], box.top), box.bottom)


def _crosses(point: Position, box: Box, other_point: Position, other_box: Box) -> int:
    """Counts the crossings of two labelled points: leader with leader, and each leader with the other's label."""
    end, other_end = leader_end(point, box), leader_end(other_point, other_box)
    between = _turn(point, end, other_point) * _turn(point, end, other_end) < 0
    return (
        (between and _turn(other_point, other_end, point) * _turn(other_point, other_end, end) < 0)
        + _runs_through(point, end, other_box)
        + _runs_through(other_point, other_end, box)
    )


def _turn(a: Position, b: Position, c: Position) -> float:
    """Returns on which side of the line from a to b the point c is: above 0 or below."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _runs_through(start: Position, end: Position, box: Box) -> bool:
    count = max(int(math.dist(start, end) / 5), 1)
    steps = [
        (start[0] + (end[0] - start[0]) * step / count, start[1] + (end[1] - start[1]) * step / count)
        for step in range(count + 1)
    ]
    return any(box.distance(step) < 2 for step in steps)


def _beside(point: Position, distance: float, direction: float, width: float, height: float) -> Box:
    """Returns a box whose nearest edge or corner is at a distance from a point."""
    across, down = math.cos(math.radians(direction)), math.sin(math.radians(direction))
    x, y = point[0] + distance * across, point[1] + distance * down
    left = x - width * (0.5 if abs(across) < 0.2 else across < 0)
    top = y - height / 2 + (height / 2) * down
    return Box(left, top, left + width, top + height)


def _confusion(box: Box, own: Position, others: Sequence[Position]) -> float:
    """Returns the cost of confusion with other points: those as near as its own, or on the way to it."""
    x, y = leader_end(own, box)
    length = math.dist(own, (x, y))
    way = [(own[0] + (x - own[0]) * share, own[1] + (y - own[1]) * share) for share in (0.25, 0.5, 0.75, 1.0)]
    nearer = sum(box.distance(other) < length + 1 for other in others)
    crossed = sum(min(math.dist(step, other) for step in way) < _CROSSED for other in others)
    return _CONFUSION_COST * (nearer + crossed)


def _cost(box: Box, taken: Sequence[Box], frame: Box) -> float:
    outside = box.area - box.overlap(frame)
    return sum(box.overlap(other) for other in taken) + 4 * outside
