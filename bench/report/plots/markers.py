"""The marker of a series: a colour and a shape."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tledge.bench.report.plots.svg import element

COLOURS = 6
"""``--series-0`` to ``--series-5`` of the page: the palette of M. Okabe and K. Ito, Color Universal Design, 2008."""


def _regular(corners: int, turn: float, inner: float = 1.0) -> tuple[tuple[float, float], ...]:
    """Returns corners on a circle of radius 1; every second one on a circle of radius ``inner``."""
    return tuple(
        (
            (inner if index % 2 else 1.0) * math.sin(2 * math.pi * index / corners + turn),
            -(inner if index % 2 else 1.0) * math.cos(2 * math.pi * index / corners + turn),
        )
        for index in range(corners)
    )


_SHAPES = (
    _regular(24, 0.0),  # a circle
    _regular(4, math.pi / 4),
    _regular(3, 0.0),
    _regular(4, 0.0),
    _regular(3, math.pi),
    _regular(10, 0.0, inner=0.45),
    _regular(6, 0.0),
)


@dataclass(frozen=True)
class Marker:
    """The marker of the series with a number, from 0; 42 of them differ in colour or shape."""

    number: int

    @property
    def colour(self) -> str:
        """The CSS class that sets ``--series`` to its colour."""
        return f"series-{self.number % COLOURS}"

    def draw(self, x: float, y: float, radius: float, *children: str, hollow: bool = False) -> str:
        """Draws the marker around (x, y); ``children`` are further content of its element."""
        points = " ".join(
            f"{x + radius * across:.1f},{y + radius * down:.1f}" for across, down in _SHAPES[self.number % len(_SHAPES)]
        )
        class_ = f"marker {self.colour}{' hollow' * hollow}"
        return element("polygon", *children, points=points, class_=class_)

    def key(self, *, hollow: bool = False) -> str:
        """Draws the marker alone, for a legend."""
        return element(
            "svg", self.draw(7, 7, 5.5, hollow=hollow), class_="key", viewBox="0 0 14 14", aria_hidden="true"
        )
