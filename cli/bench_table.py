"""What a benchmark measured, as tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tledge.cli.fitted_table import TableColumn, fitted_table
from tledge.core.number_text import ABSENT, counted, flag_text, interval_text, value_text

if TYPE_CHECKING:
    from tledge.bench import Row
    from tledge.bench.profile.operator_profile import Profile
    from tledge.bench.results.columns import Column

BEST = "bold green"
DOUBTFUL = "yellow"
RANKS = {
    "peak_memory": 11,
    "latency_p99": 10,
    "top1": 9,  # its interval
    "flags": 8,  # their names, which the sentences below the table repeat
    "parity_difference": 7,
    "agreement": 6,
    "latency_p90": 5,
    "energy": 4,
    "throughput": 3,
    "parity_bits": 2,
    "parity_class": 2,
    "file_size": 1,
}
"""The columns that a narrow terminal leaves out, the highest rank first."""

ELSEWHERE = "--json or the report"

SLOWEST = 8
"""Operators that a profile shows."""

LEGENDS = {
    "throughput": "images/s: at the best batch size",
    "agreement": "agrees: with the Keras model",
    "parity_class": "same class, same bits: fraction of photos with the same result on this machine",
    "parity_difference": "diff.: largest difference between logits",
}
"""The caption's text for a column."""


def bench_table(rows: Sequence[Row], width: int) -> Any:
    """Returns a Rich table of what a benchmark measured, with the best of each column marked.

    Args:
        rows: one for each cell.
        width: characters per line of the terminal; a narrow one gets fewer columns.
    """
    from tledge.bench.results.columns import BEST_NOTE

    columns = [
        TableColumn(heading="artifact", cells=[row.artifact for row in rows]),
        TableColumn(heading="target", cells=[row.target for row in rows]),
        *measured_columns(rows),
    ]
    return fitted_table(columns, width, caption=f"* {BEST_NOTE}", elsewhere=ELSEWHERE)


def measured_columns(rows: Sequence[Row]) -> list[TableColumn]:
    """Returns a column for each metric that was measured, and one for flags if there are any."""
    from tledge.bench.results.columns import TERMINAL_COLUMNS, shown_columns

    columns = [_metric_column(column, rows) for column in shown_columns(TERMINAL_COLUMNS, rows)]
    flags = [_flags(row) for row in rows]
    if any(flags):
        marks = TableColumn(heading="", cells=[text[:1] for text in flags])
        columns.append(TableColumn(heading="", cells=flags, rank=RANKS["flags"], short=marks))
    return columns


def corruption_table(rows: Sequence[Row], width: int) -> Any:
    """Returns a Rich table of accuracy on corrupted photos; None if it was not measured."""
    measured = [row for row in rows if "corrupted_accuracy" in row.measured]
    if not measured:
        return None
    errors = [_error_text(row.value("mean_corruption_error")) for row in measured]
    intervals = [interval_text(row.interval("mean_corruption_error") or (0.0, 0.0), 2) for row in measured]
    known = [error if error == ABSENT else f"{error} ({text})" for error, text in zip(errors, intervals, strict=True)]
    columns = [
        TableColumn(heading="on corrupted photos", cells=[row.artifact for row in measured]),
        TableColumn(
            heading="top-1", cells=[f"{row.value('corrupted_accuracy'):.3f}" for row in measured], justify="right"
        ),
        TableColumn(
            heading="mCE (95%)",
            cells=known,
            rank=1,
            short=TableColumn(heading="mCE", cells=errors),
            name="95% intervals",
        ),
    ]
    caption = "top-1: over all corruptions and severities; mCE: errors as a multiple of the float32 artifact's"
    return fitted_table(columns, width, caption=caption, elsewhere=ELSEWHERE)


def _error_text(error: float | None) -> str:
    return ABSENT if error is None else f"{error:.2f}"


def attack_table(rows: Sequence[Row], width: int) -> Any:
    """Returns a Rich table of robust accuracy over eps; None if nothing was attacked."""
    from rich.text import Text

    from tledge.attacks.gradient_masking import GRADIENT_MASKING

    measured = [row for row in rows if row.robust]
    if not measured:
        return None
    eps = sorted({point.eps for row in measured for point in row.robust})
    accuracies = [{point.eps: f"{point.accuracy:.3f}" for point in row.robust} for row in measured]
    columns = [TableColumn(heading="under attack", cells=[row.artifact for row in measured])]
    for place, value in enumerate(eps):
        columns.append(
            TableColumn(
                heading=f"eps {value:g}" if value else "clean",
                cells=[accuracy.get(value, ABSENT) for accuracy in accuracies],
                justify="right",
                rank=max(0, place - 1),
            )
        )
    marks = [Text("⚠ gradient masking" if GRADIENT_MASKING in row.flags else "", DOUBTFUL) for row in measured]
    if any(marks):
        short = TableColumn(heading="", cells=[text[:1] for text in marks])
        columns.append(TableColumn(heading="", cells=marks, rank=len(eps), short=short))
    norm = "the length of the change" if measured[0].robust_norm == "l2" else "the largest change of a value"
    caption = f"accuracy under the worst of all attacks, chosen for each photo; eps: {norm}, in 1/255"
    return fitted_table(columns, width, caption=caption, elsewhere=ELSEWHERE)


def profile_table(profile: Profile, width: int) -> Any:
    """Returns a Rich table of an artifact's slowest operators."""
    shown, rest = profile.operators[:SLOWEST], profile.operators[SLOWEST:]
    columns = [
        TableColumn(heading="slowest operators", cells=[item.name for item in shown]),
        TableColumn(heading="kind", cells=[item.kind for item in shown], rank=1),
        TableColumn(heading="ms", cells=[f"{item.milliseconds:.3f}" for item in shown], justify="right"),
        TableColumn(heading="share", cells=[f"{item.share:.1%}" for item in shown], justify="right"),
    ]
    share = sum(item.share for item in rest)
    caption = (
        f"{counted(len(rest), 'more operators')}: {share:.0%} of the time; all are in profile.json" if rest else ""
    )
    return fitted_table(columns, width, caption=caption, elsewhere="profile.json")


def _metric_column(column: Column, rows: Sequence[Row]) -> TableColumn:
    heading, legend, rank = column.metric.terminal, LEGENDS.get(column.name, ""), RANKS.get(column.name, 0)
    if column.name != "top1":
        cells = [_cell(column, row) for row in rows]
        return TableColumn(heading=heading, cells=cells, justify="right", rank=rank, legend=legend)
    from tledge.bench.results.columns import TOP1_HEADINGS, top1_heading
    from tledge.bench.results.photo_overlap import SEEN

    values = [column.value(row) for row in rows]
    short = [ABSENT if value is None else column.text(value) for value in values]
    cells = [
        text if text == ABSENT else f"{text} ({interval_text(row.interval('top1') or (0.0, 1.0))})"
        for text, row in zip(short, rows, strict=True)
    ]
    full = top1_heading(rows)
    brief = TableColumn(heading=full.lower() if full == TOP1_HEADINGS[SEEN] else heading, cells=short)
    return TableColumn(heading=f"{full.lower()} (95%)", cells=cells, rank=rank, short=brief, name="95% intervals")


def _cell(column: Column, row: Row) -> Any:
    """Returns a number; the best of a column are between asterisks, and coloured if the terminal has colours."""
    from rich.text import Text

    value = column.value(row)
    if value is None:
        return Text(f"{ABSENT} ")
    text = terminal_text(value, column.metric.unit)
    return Text(f"*{text}*", BEST) if column.name in row.best else Text(f"{text} ")


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
