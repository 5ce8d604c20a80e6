"""Elements of SVG, rectangles, and a drawing with a title and a description for screen readers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tledge.core.html_text import html_text

_CHARACTER = 0.58 * 12.0  # px: the mean width of a character of a wide sans serif font, of a plot's 12 px


def element(name: str, *children: str, **attributes: str | float | None) -> str:
    """Returns one element.

    Args:
        name: the element's name.
        children: its content, as markup.
        attributes: by name, with ``_`` for ``-`` and ``class_`` for ``class``; those that are None are left out.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{written}>{''.join(children)}</{name}>" if children else f"<{name}{written}/>"


def text(x: float, y: float, content: str, **attributes: str | float | None) -> str:
    """Returns text whose baseline begins at (x, y)."""
    return element("text", html_text(content), x=x, y=y, **attributes)


def line(x1: float, y1: float, x2: float, y2: float, **attributes: str | float | None) -> str:
    """Returns a straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, **attributes)


def note(content: str) -> str:
    """Returns a tooltip for the element that holds it."""
    return element("title", html_text(content))


def text_width(content: str) -> float:
    """Estimates the width of text, px; rather too wide than too narrow."""
    return len(content) * _CHARACTER


def shorten(content: str, width: float) -> str:
    """Shortens text to ``width`` px by leaving out its middle."""
    room = max(int(width / _CHARACTER), 3)
    if len(content) <= room:
        return content
    head = (room - 1) // 2
    return f"{content[:head]}…{content[len(content) - (room - 1 - head) :]}"


def _value(value: str | float) -> str:
    return html_text(value) if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")


@dataclass(frozen=True)
class Box:
    """A rectangle, px; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: Box) -> float:
        """Returns the area that both cover, px²."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(width, 0.0) * max(height, 0.0)

    def distance(self, point: tuple[float, float]) -> float:
        """Returns the distance from its edge to a point, px; 0 inside."""
        x, y = min(max(point[0], self.left), self.right), min(max(point[1], self.top), self.bottom)
        return math.dist(point, (x, y))

    @property
    def area(self) -> float:
        """Width times height."""
        return (self.right - self.left) * (self.bottom - self.top)


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A plot.

    Attributes:
        name: its id, unique in the page; prefix of the ids of its parts.
        width, height: px.
        description: what it shows, in words, for screen readers.
        body: markup.
    """

    name: str
    width: float
    height: float
    title: str
    description: str
    body: str

    def __str__(self) -> str:
        """The ``<svg>`` element, which scales with the page."""
        return element(
            "svg",
            element("title", html_text(self.title), id=f"{self.name}-title"),
            element("desc", html_text(self.description), id=f"{self.name}-description"),
            self.body,
            xmlns="http://www.w3.org/2000/svg",
            id=self.name,
            viewBox=f"0 0 {self.width:g} {self.height:g}",
            role="img",
            aria_labelledby=f"{self.name}-title",
            aria_describedby=f"{self.name}-description",
        )
