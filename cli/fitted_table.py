"""Tables that fit the terminal: columns are left out, and named, before a number or a name is cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tledge.core.terminal_text import printable_text

GAP = 2
"""Spaces between two columns."""


@dataclass(frozen=True, kw_only=True)
class TableColumn:
    """A column of a table.

    Attributes:
        heading: its first line; may be empty.
        cells: a text, or a Rich ``Text``, for each row.
        justify: the side on which the cells are aligned.
        rank: 0 for a column that is always shown; of the others, those with higher ranks are left out first.
        short: shown instead where this column does not fit.
        name: what is missing where this column is not shown; the heading by default, empty if it need not be mentioned.
        legend: explains the column below the table.
    """

    heading: str
    cells: Sequence[Any]
    justify: Literal["left", "right"] = "left"
    rank: int = 0
    short: TableColumn | None = None
    name: str | None = None
    legend: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "cells", tuple(map(_printable, self.cells)))

    @property
    def width(self) -> int:
        """Characters of the widest line."""
        from rich.cells import cell_len

        return max(cell_len(str(text)) for text in (self.heading, *self.cells))

    @property
    def left_out(self) -> str:
        """What to call the column if it is left out."""
        return self.heading if self.name is None else self.name


def fitted_table(columns: Iterable[TableColumn], width: int, *, caption: str = "", elsewhere: str = "--json") -> Any:
    """Returns a Rich table without lines, and below it the caption and the names of the columns that are left out.

    Columns that are always shown wrap, if even they do not fit; no cell is cut.

    Args:
        columns: in order.
        width: characters per line of the terminal.
        caption: explains the table.
        elsewhere: where the columns that are left out can be seen, besides a wider terminal.
    """
    from rich.console import Group
    from rich.text import Text

    shown, left_out = _fit(list(columns), width)
    legends = "; ".join(filter(None, [caption, *(column.legend for column in shown)]))
    lines = [legends] if legends else []
    if left_out:
        see = f"use a wider terminal{',' if ' or ' in elsewhere else ' or'} {elsewhere}"
        lines.append(f"not shown in {width} columns: {', '.join(left_out)}; {see}")
    table = _table(shown, wraps=_total_width(shown) > width)
    return Group(table, *(Text(line, "dim italic") for line in lines)) if lines else table


def _printable(cell: Any) -> Any:
    """Returns a cell whose text is printable, on one line."""
    if isinstance(cell, str):
        return printable_text(cell)
    cell.plain = printable_text(cell.plain)
    return cell


def _fit(columns: list[TableColumn], width: int) -> tuple[list[TableColumn], list[str]]:
    """Returns the columns that fit, and the names of those that are left out."""
    left_out: list[tuple[int, TableColumn]] = []
    shown = dict(enumerate(columns))
    while _total_width(shown.values()) > width:
        place, column = max(shown.items(), key=lambda item: item[1].rank)
        if not column.rank:
            break
        left_out.append((place, column))
        shown.pop(place) if column.short is None else shown.update({place: column.short})
    for place, column in reversed(left_out):  # a narrow one may fit in the place of a wide one
        if _total_width({**shown, place: column}.values()) <= width:
            shown[place] = column
    names = [column.left_out for place, column in enumerate(columns) if shown.get(place) is not column]
    return [shown[place] for place in sorted(shown)], list(filter(None, names))


def _total_width(columns: Iterable[TableColumn]) -> int:
    widths = [column.width for column in columns]
    return sum(widths) + GAP * (len(widths) - 1)


def _table(columns: Sequence[TableColumn], *, wraps: bool) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for column in columns:
        # Numbers never wrap: texts share the columns that they leave.
        wrapping = wraps and column.justify == "left"
        table.add_column(column.heading, justify=column.justify, no_wrap=not wrapping, overflow="fold")
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*row)
    return table
