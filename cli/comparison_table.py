"""A benchmark against an earlier one, as a table for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tledge.cli.tables import plain_table
from tledge.core.sizes import size_text

if TYPE_CHECKING:
    from tledge.bench.compare.comparison import ComparedRow, Comparison
    from tledge.bench.compare.metric_change import MetricChange

STYLES = {"faster": "bold green", "better": "bold green", "slower": "bold yellow", "worse": "bold yellow"}
WIDE = 96
"""Columns from which the ratio's interval fits."""

WIDEST = 118
"""Columns from which the 90th percentile fits, too."""

RESIZED = 0.01
"""The share by which a file must have grown or shrunk to be spoken of."""


@dataclass(frozen=True)
class _Column:
    """A metric, before and now.

    Attributes:
        heading: with its unit.
        metric: its name in ``core.measurement.UNITS``.
        text: of a value.
        least_width: columns of the terminal from which it is shown.
    """

    heading: str
    metric: str
    text: Callable[[float], str]
    least_width: int


COLUMNS = (
    _Column("p90 ms", "latency_p90", lambda value: f"{value:.2f}", WIDEST),
    _Column("top-1", "top1", lambda value: f"{value:.3f}", 92),
    _Column("agrees", "agreement", lambda value: f"{value:.3f}", 134),
    _Column("images/s", "throughput", lambda value: f"{value:,.0f}", 148),
    _Column("memory", "peak_memory", lambda value: size_text(int(value)), 170),
)


def comparison_table(comparison: Comparison, width: int) -> Any:
    """A Rich table of the rows that both have, and below it what must be known to read it.

    Args:
        comparison: of two benchmarks.
        width: columns of the terminal.
    """
    from rich.console import Group
    from rich.text import Text

    shown = [column for column in COLUMNS if width >= column.least_width and _is_measured(column, comparison.rows)]
    table = plain_table(
        ("artifact", "left"),
        ("target", "left"),
        ("", "left"),
        ("p50 ms", "right"),
        ("ratio (95%)" if width >= WIDE else "ratio", "left"),
        *((column.heading, "right") for column in shown),
    )
    for row in comparison.rows:
        p50 = row.changes.get("latency_p50")
        table.add_row(
            row.artifact,
            row.target,
            _verdicts(row),
            _arrow(p50, lambda value: f"{value:.2f}"),
            _ratio(p50, with_interval=width >= WIDE),
            *(_arrow(row.changes.get(column.metric), column.text) for column in shown),
        )
    title = Text(f"\nAgainst {comparison.old}", "bold")
    return Group(title, table, *(Text(line) for line in notes(comparison)))


def notes(comparison: Comparison) -> list[str]:
    """What a table of a comparison does not show, a sentence each, the answer first."""
    return [
        _answer(comparison.rows),
        *(f"{text[0].upper()}{text[1:]}" for text in comparison.environments),
        *_measured_again(comparison.rows),
        *_matched_loosely(comparison.rows),
        *_no_verdicts(comparison.rows),
        *_other_photos(comparison.rows),
        *_sizes(comparison.rows),
        *_one_sided("Not measured now", comparison.only_old),
        *_one_sided("Not measured before", comparison.only_new),
    ]


def _is_measured(column: _Column, rows: Iterable[ComparedRow]) -> bool:
    return any(column.metric in row.changes for row in rows)


def _verdicts(row: ComparedRow) -> Any:
    from rich.text import Text

    return Text(", ").join(Text(word, STYLES[word]) for word in row.verdicts)


def _arrow(change: MetricChange | None, text: Callable[[float], str]) -> str:
    """Both values, as in 4.60 → 5.31, or one where they read alike."""
    if change is None:
        return "–"
    before, after = ("–" if value is None else text(value) for value in (change.old, change.new))
    return before if before == after else f"{before} → {after}"


def _ratio(change: MetricChange | None, *, with_interval: bool) -> str:
    if change is None or change.ratio is None:
        return "–"
    if change.interval is None or not with_interval:
        return f"{change.ratio:.2f}"
    low, high = change.interval
    return f"{change.ratio:.2f} ({low:.2f}–{high:.2f})"


def _answer(rows: Iterable[ComparedRow]) -> str:
    counts = Counter(word for row in rows for word in row.verdicts)
    said = [f"{count} {word}" for word in STYLES if (count := counts[word])]
    if not said:
        return "No row is shown to be faster or slower, better or worse."
    return f"Rows: {', '.join(said)}; of the others no difference is shown."


def _measured_again(rows: Iterable[ComparedRow]) -> list[str]:
    names = [row.name for row in rows if row.again]
    return [f"The file of before was measured again, in turns with that of now: {_listed(names)}"] if names else []


def _matched_loosely(rows: Iterable[ComparedRow]) -> list[str]:
    return [f"{row.name} was measured on {row.old_target} before" for row in rows if row.target != row.old_target]


def _no_verdicts(rows: Iterable[ComparedRow]) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for row in rows:
        if row.no_latency_verdict:
            by_reason.setdefault(row.no_latency_verdict, []).append(row.name)
    return [f"Latency not judged of {_listed(names)}: {reason}" for reason, names in by_reason.items()]


def _other_photos(rows: Iterable[ComparedRow]) -> list[str]:
    judged = [row for row in rows if (top1 := row.changes.get("top1")) is not None and top1.difference is not None]
    if not judged or any(row.mcnemar_p is not None for row in judged):
        return []
    return ["Top-1 is of other photos, or without both sides' answers: judged by whether its 95% intervals overlap"]


def _sizes(rows: Iterable[ComparedRow]) -> list[str]:
    found: dict[str, str] = {}
    for row in rows:
        size = row.changes.get("file_size")
        if size is not None and size.ratio is not None and abs(size.ratio - 1) >= RESIZED:
            found[row.artifact] = f"{row.artifact}: size {_arrow(size, lambda value: size_text(int(value)))}"
    return list(found.values())


def _one_sided(what: str, cells: Iterable[tuple[str, str]]) -> list[str]:
    names = [f"{artifact} on {target}" for artifact, target in cells]
    return [f"{what}: {', '.join(names)}"] if names else []


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
