"""What a benchmark measured, as a table for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tledge.cli.tables import plain_table
from tledge.core.sizes import size_text

if TYPE_CHECKING:
    from tledge.bench import Row
    from tledge.bench.profile.operator_profile import Profile

MASKED = "gradient_masking"
"""The flag that stands beside what attacks left, not beside latencies."""

BEST = "bold green"
DOUBTFUL = "yellow"
WIDE = 100
"""Columns from which intervals and the 99th percentile fit."""

WIDEST = 118
"""Columns from which memory and starts fit, too."""


SLOWEST = 8
"""Operators that a profile shows."""

NAME_WIDTH = 60


@dataclass(frozen=True)
class _Column:
    """A column of numbers.

    Attributes:
        heading: with its unit.
        value: of a row; None where it was not measured.
        text: of a value.
        best: ``min`` or ``max``, of which the best is marked; None marks nothing.
        least_width: columns of the terminal from which it is shown.
    """

    heading: str
    value: Callable[[Row], float | None]
    text: Callable[[float], str]
    best: Callable[[list[float]], float] | None = min
    least_width: int = 0


def _milliseconds(value: float) -> str:
    return f"{value:.3f}" if value < 1 else f"{value:.2f}"


COLUMNS = (
    _Column("size", lambda row: row.size, lambda value: size_text(int(value))),
    _Column("agrees", lambda row: row.agreement, lambda value: f"{value:.3f}", None),
    _Column("same class", lambda row: row.parity_class, lambda value: f"{value:.3f}", None),
    _Column("same bits", lambda row: row.parity_bits, lambda value: f"{value:.3f}", None),
    _Column("diff.", lambda row: row.parity_difference, lambda value: f"{value:.2g}", None),
    _Column("p50 ms", lambda row: row.p50, _milliseconds),
    _Column("p90 ms", lambda row: row.p90, _milliseconds),
    _Column("p99 ms", lambda row: row.p99, _milliseconds, least_width=WIDE),
    _Column("images/s", lambda row: row.throughput, lambda value: f"{value:,.0f}", max),
    _Column("memory", lambda row: row.peak_memory, lambda value: f"{value / 1e6:.0f} MB", least_width=WIDEST),
    _Column("mJ/image", lambda row: row.energy, lambda value: f"{value:.1f}"),
)


def bench_table(rows: Sequence[Row], width: int) -> Any:
    """What a benchmark measured: a Rich table with the best of each column marked.

    Args:
        rows: one for each cell.
        width: columns of the terminal; a narrow one gets neither intervals nor all columns.
    """
    flags = {row.artifact + row.target: _flags(row) for row in rows}
    width -= max(len(text) for text in flags.values())
    wide = width >= WIDE
    judged = any(row.top1 is not None for row in rows)
    shown = [
        column
        for column in COLUMNS
        if width >= column.least_width and any(column.value(row) is not None for row in rows)
    ]
    size, *others = shown
    table = plain_table(
        ("artifact", "left"),
        ("target", "left"),
        (size.heading, "right"),
        *((("test top-1 (95%)" if wide else "top-1", "left"),) if judged else ()),
        *((column.heading, "right") for column in others),
        *((("", "left"),) if any(len(text) for text in flags.values()) else ()),
    )
    best = {column.heading: _best(column, rows) for column in shown}
    for row in rows:
        cells = [_cell(column, row, best[column.heading]) for column in shown]
        if judged:
            top1 = "–" if row.top1 is None else f"{row.top1:.3f}"
            cells.insert(1, row.top1_text if wide else top1)
        table.add_row(row.artifact, row.target, *cells, flags[row.artifact + row.target])
    told = {
        "* the best of its column": True,
        "images/s: of the best batch size": any(row.throughput is not None for row in rows),
        "agrees: with the Keras model": any(row.agreement is not None for row in rows),
        "same class, bits: of the photos, as on this machine; diff.: the largest of a logit": any(
            row.parity_bits is not None for row in rows
        ),
    }
    table.caption = "; ".join(text for text, holds in told.items() if holds)
    table.caption_justify = "left"
    return table


def corruption_table(rows: Sequence[Row]) -> Any:
    """Accuracy on corrupted photos: a Rich table of the rows where that was measured; None where there is none."""
    measured = [row for row in rows if row.corrupted is not None]
    if not measured:
        return None
    table = plain_table(("on corrupted photos", "left"), ("top-1", "right"), ("mCE (95%)", "left"))
    for row in measured:
        low, high = row.corruption_error_interval or (0.0, 0.0)
        error = "–" if row.corruption_error is None else f"{row.corruption_error:.2f} ({low:.2f}–{high:.2f})"
        table.add_row(row.artifact, f"{row.corrupted:.3f}", error)
    table.caption = "top-1: over all corruptions and severities; mCE: errors as a multiple of the float32 artifact's"
    table.caption_justify = "left"
    return table


def attack_table(rows: Sequence[Row]) -> Any:
    """Robust accuracy over eps: a Rich table of the rows that were attacked; None where there is none."""
    from rich.text import Text

    measured = [row for row in rows if row.robust]
    if not measured:
        return None
    eps = sorted({point[0] for row in measured for point in row.robust})
    table = plain_table(
        ("under attack", "left"),
        *((f"eps {value:g}" if value else "clean", "right") for value in eps),
        *((("", "left"),) if any(MASKED in row.flags for row in measured) else ()),
    )
    for row in measured:
        of = {point[0]: point[1] for point in row.robust}
        cells = [f"{of[value]:.3f}" if value in of else "–" for value in eps]
        table.add_row(row.artifact, *cells, *([Text("⚠ gradient masking", DOUBTFUL)] if MASKED in row.flags else []))
    norm = "the length of the change" if measured[0].robust_norm == "l2" else "the largest change of a value"
    table.caption = f"right under the worst of all attacks, photo by photo; eps: {norm}, in 1/255"
    table.caption_justify = "left"
    return table


def profile_table(profile: Profile) -> Any:
    """The slowest operators of an artifact: a Rich table."""
    table = plain_table(
        (f"{profile.artifact} on {profile.target}", "left"), ("operator", "left"), ("ms", "right"), ("share", "right")
    )
    for item in profile.operators[:SLOWEST]:
        table.add_row(item.name[:NAME_WIDTH], item.kind, f"{item.milliseconds:.3f}", f"{item.share:.1%}")
    rest = profile.operators[SLOWEST:]
    if rest:
        share = sum(item.share for item in rest)
        table.caption = f"{len(rest)} more operators take {share:.0%}; all are in profile.json"
        table.caption_justify = "left"
    return table


def _best(column: _Column, rows: Sequence[Row]) -> float | None:
    values = [value for value in map(column.value, rows) if value is not None]
    return None if column.best is None or len(rows) == 1 else column.best(values)


def _cell(column: _Column, row: Row, best: float | None) -> Any:
    """A number; the best of its column stands between asterisks, and in colour where there is colour."""
    from rich.text import Text

    value = column.value(row)
    if value is None:
        return Text("– ")
    text = column.text(value)
    return Text(f"*{text}*", BEST) if value == best else Text(f"{text} ")


def _flags(row: Row) -> Any:
    from rich.text import Text

    from tledge.bench.results.flags import THROTTLED, THROTTLED_SINCE_BOOT

    left_out = {MASKED, THROTTLED_SINCE_BOOT if THROTTLED in row.flags else ""}  # the stronger one says it all
    flags = [flag for flag in row.flags if flag not in left_out]
    return Text(f"⚠ {', '.join(flag.replace('_', ' ') for flag in flags)}" if flags else "", DOUBTFUL)
