"""Positions of labels beside points, chosen so that no label covers another."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tledge.bench.report.plots.svg import Box

_CROSSED = 7.0  # px; a leader that passes a point this closely seems to end there
_CONFUSION_COST = 40.0  # px² of overlap that are as bad as one possible confusion
_DISTANCES = (11.0, 18.0, 28.0, 40.0, 54.0, 70.0, 90.0, 112.0, 136.0)
_DIRECTIONS = (0, 315, 45, 180, 225, 135, 270, 90, *range(15, 360, 15))  # degrees clockwise from the right


def position_labels(
    points: Sequence[tuple[float, float]], widths: Sequence[float], height: float, frame: Box, obstacles: Sequence[Box]
) -> list[Box]:
    """Returns each label's box: the nearest free position in the frame, beside its point (x, y).

    Args:
        points: one for each label.
        widths: of each label, px.
        height: of all labels, px.
        frame: the area that labels stay in.
        obstacles: areas that labels should not cover.
    """
    taken = list(obstacles)
    chosen: dict[int, Box] = {}
    for index in sorted(range(len(points)), key=lambda number: points[number]):
        candidates = [
            _beside(points[index], distance, direction, widths[index], height)
            for distance in _DISTANCES
            for direction in _DIRECTIONS
        ]
        others = [point for point in points if point != points[index]]
        costs = [_cost(box, taken, frame) + _confusion(box, points[index], others) for box in candidates]
        chosen[index] = candidates[costs.index(min(costs))]
        taken.append(chosen[index])
    return [chosen[index] for index in range(len(points))]


def _beside(point: tuple[float, float], distance: float, direction: float, width: float, height: float) -> Box:
    """Returns a box whose nearest edge or corner is at a distance from a point."""
    across, down = math.cos(math.radians(direction)), math.sin(math.radians(direction))
    x, y = point[0] + distance * across, point[1] + distance * down
    left = x - width * (0.5 if abs(across) < 0.2 else across < 0)
    top = y - height / 2 + (height / 2) * down
    return Box(left, top, left + width, top + height)


def _confusion(box: Box, own: tuple[float, float], others: Sequence[tuple[float, float]]) -> float:
    """Returns the cost of confusion with other points: those as near as its own, or on the way to it."""
    x, y = min(max(own[0], box.left), box.right), min(max(own[1], box.top), box.bottom)
    length = math.dist(own, (x, y))
    way = [(own[0] + (x - own[0]) * share, own[1] + (y - own[1]) * share) for share in (0.25, 0.5, 0.75, 1.0)]
    nearer = sum(box.distance(other) < length + 1 for other in others)
    crossed = sum(min(math.dist(step, other) for step in way) < _CROSSED for other in others)
    return _CONFUSION_COST * (nearer + crossed)


def _cost(box: Box, taken: Sequence[Box], frame: Box) -> float:
    outside = box.area - box.overlap(frame)
    return sum(box.overlap(other) for other in taken) + 4 * outside
