"""Confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tledge.bench.report.plots.svg import Drawing, element, note, shorten, text, text_width

Counts = npt.NDArray[np.int64]
MOST_NAMED = 20
"""Up to this many classes, the names and the number of each field are written."""

_LARGEST_FIELD = 56.0


def draw_matrix(counts: Counts, class_names: Sequence[str], *, name: str, title: str, width: float) -> Drawing:
    """Draws how often photos of each class were predicted as each class; a deeper colour is a larger share of its row.

    Args:
        counts: (classes, classes), true classes in rows, predicted classes in columns.
        class_names: of rows and columns.
        name, title: of the drawing.
        width: maximum width, px.
    """
    classes = len(class_names)
    named = classes <= MOST_NAMED
    longest = max(map(text_width, class_names)) if named else 0.0
    left = min(longest, width * 0.3) + 28 if named else 24.0
    side = min((width - left) / classes, _LARGEST_FIELD)
    turned = named and longest > side - 4
    top = (min(longest, 90.0) + 32 if turned else 42.0) if named else 24.0
    right, bottom = left + side * classes, top + side * classes
    middle = (top + bottom) / 2
    turn = f"rotate(-90 12 {middle:g})"
    marks = [
        text((left + right) / 2, 12, "prediction", class_="axis-title", text_anchor="middle"),
        text(12, middle, "true class", class_="axis-title", text_anchor="middle", transform=turn),
    ]
    if named:
        marks += _draw_names(class_names, left, top, side, turned)
    rows = counts.sum(axis=1)
    for true, given in np.argwhere(counts > 0) if not named else np.argwhere(counts >= 0):
        count = int(counts[true, given])
        share = count / rows[true] if rows[true] else 0.0
        said = f"{class_names[true]} classified as {class_names[given]}: {count} of {rows[true]}"
        x, y = left + side * given, top + side * true
        style, class_ = f"--share:{share:.3f}", "right" if true == given else "wrong"
        field = element("rect", note(said), x=x, y=y, width=side, height=side, style=style, class_=class_)
        size = min(13.0, side * 0.42)
        number = (
            text(x + side / 2, y + side / 2 + size * 0.36, str(count), text_anchor="middle", font_size=size)
            if named and (count or classes <= 4)
            else ""
        )
        marks.append(element("g", field, number, class_="field" if count else "field empty"))
    marks.append(element("rect", x=left, y=top, width=right - left, height=bottom - top, class_="outline"))
    right_ones, wrong = int(np.trace(counts)), int(counts.sum() - np.trace(counts))
    return Drawing(
        name=name,
        width=right + 2,
        height=bottom + 4,
        title=title,
        description=f"{right_ones} of {right_ones + wrong} right. {_describe(counts, class_names)}",
        body=element("g", *marks, class_="matrix"),
    )


def _draw_names(class_names: Sequence[str], left: float, top: float, side: float, turned: bool) -> list[str]:
    names = []
    for number, name in enumerate(class_names):
        middle = (number + 0.5) * side
        names.append(text(left - 6, top + middle + 4, shorten(name, left - 28), class_="tick", text_anchor="end"))
        if turned:
            x, y = left + middle + 4, top - 6
            names.append(text(x, y, shorten(name, top - 32), class_="tick", transform=f"rotate(-90 {x:.1f} {y:.1f})"))
        else:
            names.append(text(left + middle, top - 7, name, class_="tick", text_anchor="middle"))
    return names


def largest_confusions(counts: Counts, most: int) -> list[tuple[int, int, int]]:
    """Returns (true class, predicted class, count) of the most frequent confusions that occurred."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    found = [(int(index // len(wrong)), int(index % len(wrong))) for index in order]
    return [(true, given, int(wrong[true, given])) for true, given in found if wrong[true, given]]


def _describe(counts: Counts, class_names: Sequence[str]) -> str:
    found = largest_confusions(counts, 5)
    if not found:
        return "There are no confusions."
    largest = ", ".join(f"{class_names[true]} as {class_names[given]} {count}" for true, given, count in found)
    return f"Most frequent confusions: {largest}."
