"""A short table of a benchmark as HTML, for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tledge.bench.results.columns import TERMINAL_COLUMNS, Column, shown_columns
from tledge.bench.results.rows import Row
from tledge.core.number_text import flag_text


def html_table(rows: Sequence[Row]) -> str:
    """Returns the columns that the terminal shows as an HTML table; the best of each column is bold."""
    columns = shown_columns(TERMINAL_COLUMNS, rows)
    names = ["artifact", "target", *(column.metric.terminal for column in columns)]
    headings = "".join(f"<th>{escape(name)}</th>" for name in names)
    lines = [f"<tr>{_names(row)}{''.join(_cell(column, row, rows) for column in columns)}</tr>" for row in rows]
    return f"<table><thead><tr>{headings}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _names(row: Row) -> str:
    flags = "".join(f" ⚠ {flag_text(flag)}" for flag in row.flags)
    return f"<th>{escape(row.artifact + flags)}</th><td>{escape(row.target)}</td>"


def _cell(column: Column, row: Row, rows: Sequence[Row]) -> str:
    _, text, _, best = column.cell(row, rows)
    return f"<td>{f'<b>{escape(text)}</b>' if best else escape(text)}</td>"
