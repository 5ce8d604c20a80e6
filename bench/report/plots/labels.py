"""Places for labels beside points, so that none covers another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A rectangle, px; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: Box) -> float:
        """The area that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(width, 0.0) * max(height, 0.0)

    @property
    def area(self) -> float:
        """Width times height."""
        return (self.right - self.left) * (self.bottom - self.top)


_DISTANCES = (11.0, 18.0, 28.0, 40.0, 54.0, 70.0, 90.0, 112.0)
_DIRECTIONS = (0, 315, 45, 180, 225, 135, 270, 90, 292, 68, 248, 112)  # degrees clockwise from the right


def place(
    points: Sequence[tuple[float, float]], widths: Sequence[float], height: float, frame: Box, obstacles: Sequence[Box]
) -> list[Box]:
    """Finds each label's box: the nearest place in the frame that is free of obstacles and other labels.

    Args:
        points: (x, y) of each point.
        widths: of each label.
        height: of all labels.
        frame: what no label leaves.
        obstacles: what labels should not cover.
    """
    taken = list(obstacles)
    placed: dict[int, Box] = {}
    for index in sorted(range(len(points)), key=lambda number: points[number]):
        candidates = [
            _beside(points[index], distance, direction, widths[index], height)
            for distance in _DISTANCES
            for direction in _DIRECTIONS
        ]
        costs = [_cost(box, taken, frame) for box in candidates]
        placed[index] = candidates[costs.index(min(costs))]
        taken.append(placed[index])
    return [placed[index] for index in range(len(points))]


def _beside(point: tuple[float, float], distance: float, direction: float, width: float, height: float) -> Box:
    """A box whose nearest edge or corner is at a distance from a point."""
    across, down = math.cos(math.radians(direction)), math.sin(math.radians(direction))
    x, y = point[0] + distance * across, point[1] + distance * down
    left = x - width * (0.5 if abs(across) < 0.2 else across < 0)
    top = y - height / 2 + (height / 2) * down
    return Box(left, top, left + width, top + height)


def _cost(box: Box, taken: Sequence[Box], frame: Box) -> float:
    outside = box.area - box.overlap(frame)
    return sum(box.overlap(other) for other in taken) + 4 * outside
