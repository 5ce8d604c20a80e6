"""What a benchmark measured, as tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tledge.cli.tables import plain_table
from tledge.core.number_text import ABSENT, flag_text, interval_text, value_text

if TYPE_CHECKING:
    from tledge.bench import Row
    from tledge.bench.profile.operator_profile import Profile
    from tledge.bench.results.columns import Column

BEST = "bold green"
DOUBTFUL = "yellow"
WIDE = 100
"""Characters per line from which the interval of top-1 fits."""

SLOWEST = 8
"""Operators that a profile shows."""

NAME_WIDTH = 60

LEGENDS = {
    "throughput": "images/s: at the best batch size",
    "agreement": "agrees: with the Keras model",
    "parity_bits": "same class, bits: fraction of the photos as on this machine; diff.: largest difference of a logit",
}
"""What the caption says of a metric that was measured."""


def bench_table(rows: Sequence[Row], width: int) -> Any:
    """Returns a Rich table of what a benchmark measured, with the best of each column marked.

    Args:
        rows: one for each cell.
        width: characters per line of the terminal; a narrow one gets neither intervals nor all columns.
    """
    from tledge.bench.results.columns import TERMINAL_COLUMNS, shown_columns

    flags = {row.name: _flags(row) for row in rows}
    width -= max(len(text) for text in flags.values())
    columns = [column for column in shown_columns(TERMINAL_COLUMNS, rows) if width >= column.metric.least_width]
    flagged = any(len(text) for text in flags.values())
    headings = (_heading(column, wide=width >= WIDE) for column in columns)
    table = plain_table("artifact", "target", *headings, *(("",) if flagged else ()))
    for row in rows:
        cells = [_cell(column, row, rows, wide=width >= WIDE) for column in columns]
        table.add_row(row.artifact, row.target, *cells, *([flags[row.name]] if flagged else []))
    measured = {metric for row in rows for metric in row.measured}
    table.caption = "; ".join(["* best of its column", *(LEGENDS[name] for name in LEGENDS if name in measured)])
    return table


def corruption_table(rows: Sequence[Row]) -> Any:
    """Returns a Rich table of accuracy on corrupted photos; None if it was not measured."""
    measured = [row for row in rows if "corrupted_accuracy" in row.measured]
    if not measured:
        return None
    table = plain_table("on corrupted photos", ("top-1", "right"), "mCE (95%)")
    for row in measured:
        error, interval = row.value("mean_corruption_error"), row.interval("mean_corruption_error") or (0.0, 0.0)
        text = ABSENT if error is None else f"{error:.2f} ({interval_text(interval, 2)})"
        table.add_row(row.artifact, f"{row.value('corrupted_accuracy'):.3f}", text)
    table.caption = "top-1: over all corruptions and severities; mCE: errors as a multiple of the float32 artifact's"
    return table


def attack_table(rows: Sequence[Row]) -> Any:
    """Returns a Rich table of robust accuracy over eps; None if nothing was attacked."""
    from rich.text import Text

    from tledge.attacks.gradient_masking import GRADIENT_MASKING

    measured = [row for row in rows if row.robust]
    if not measured:
        return None
    eps = sorted({point.eps for row in measured for point in row.robust})
    masked = any(GRADIENT_MASKING in row.flags for row in measured)
    shown = ((f"eps {value:g}" if value else "clean", "right") for value in eps)
    table = plain_table("under attack", *shown, *(("",) if masked else ()))
    for row in measured:
        accuracy = {point.eps: f"{point.accuracy:.3f}" for point in row.robust}
        mark = [Text("⚠ gradient masking", DOUBTFUL)] if GRADIENT_MASKING in row.flags else []
        table.add_row(row.artifact, *(accuracy.get(value, ABSENT) for value in eps), *mark)
    norm = "the length of the change" if measured[0].robust_norm == "l2" else "the largest change of a value"
    table.caption = f"accuracy under the worst of all attacks, chosen for each photo; eps: {norm}, in 1/255"
    return table


def profile_table(profile: Profile) -> Any:
    """Returns a Rich table of an artifact's slowest operators."""
    table = plain_table(f"{profile.artifact} on {profile.target}", "operator", ("ms", "right"), ("share", "right"))
    for item in profile.operators[:SLOWEST]:
        table.add_row(item.name[:NAME_WIDTH], item.kind, f"{item.milliseconds:.3f}", f"{item.share:.1%}")
    rest = profile.operators[SLOWEST:]
    if rest:
        share = sum(item.share for item in rest)
        table.caption = f"{len(rest)} more operators take {share:.0%}; all are in profile.json"
    return table


def _heading(column: Column, *, wide: bool) -> str | tuple[str, Any]:
    if column.name == "top1":
        return "test top-1 (95%)" if wide else "top-1"
    return column.metric.terminal, "right"


def _cell(column: Column, row: Row, rows: Sequence[Row], *, wide: bool) -> Any:
    """Returns a number; the best of its column stands between asterisks, and in colour if the terminal has colours."""
    from rich.text import Text

    value = column.value(row)
    if column.name == "top1":
        interval = f" ({interval_text(row.interval('top1') or (0.0, 1.0))})" if wide else ""
        return ABSENT if value is None else f"{column.text(value)}{interval}"
    if value is None:
        return Text(f"{ABSENT} ")
    text = terminal_text(value, column.metric.unit)
    return Text(f"*{text}*", BEST) if column.is_best(row, rows) else Text(f"{text} ")


def terminal_text(value: float, unit: str) -> str:
    """Returns a number as the terminal writes numbers of its unit: those of a column line up at the point."""
    if unit == "ms":
        return f"{value:.3f}" if value < 1 else f"{value:.2f}"
    return f"{value:,.0f}" if unit == "images/s" else value_text(value, unit)


def _flags(row: Row) -> Any:
    """Returns a row's flags; of two that say the same, the stronger."""
    from rich.text import Text

    from tledge.attacks.gradient_masking import GRADIENT_MASKING
    from tledge.bench.results.flags import THROTTLED, THROTTLED_SINCE_BOOT

    left_out = {GRADIENT_MASKING, THROTTLED_SINCE_BOOT if THROTTLED in row.flags else ""}
    flags = [flag_text(flag) for flag in row.flags if flag not in left_out]
    return Text(f"⚠ {', '.join(flags)}" if flags else "", DOUBTFUL)
