"""A benchmark against an earlier one, as a table for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tledge.cli.bench_table import ELSEWHERE, terminal_text
from tledge.cli.fitted_table import TableColumn, fitted_table
from tledge.cli.terminal import wrap
from tledge.core.metric_catalogue import METRICS
from tledge.core.number_text import ABSENT, cell_name, interval_text, listed
from tledge.core.terminal_text import printable_text

if TYPE_CHECKING:
    from tledge.bench.earlier.comparison import ComparedRow, Comparison
    from tledge.bench.earlier.metric_change import MetricChange

STYLES = {"faster": "bold green", "better": "bold green", "slower": "bold yellow", "worse": "bold yellow"}
RESIZED = 0.01
"""The share by which a file must have grown or shrunk to be mentioned."""

RANKS = {"latency_p90": 3, "top1": 1, "agreement": 4, "throughput": 5, "peak_memory": 6}
"""Metrics with a column of their own; a narrow terminal leaves out those with the highest rank first."""

INTERVAL_RANK = 2
"""The rank of the ratio's interval."""


def comparison_table(comparison: Comparison, width: int) -> Any:
    """Returns a Rich table of the rows that both benchmarks have, with notes below it.

    Args:
        comparison: two benchmarks.
        width: characters per line of the terminal.
    """
    from rich.console import Group
    from rich.text import Text

    rows = comparison.rows
    measured = {metric for row in rows for metric in row.changes}
    p50 = [row.changes.get("latency_p50") for row in rows]
    columns = [
        TableColumn(heading="artifact", cells=[row.artifact for row in rows]),
        TableColumn(heading="target", cells=[row.target for row in rows]),
        TableColumn(heading="", cells=[_verdicts(row) for row in rows]),
        TableColumn(heading="p50 ms", cells=[_arrow(change) for change in p50], justify="right"),
        TableColumn(
            heading="ratio (95%)",
            cells=[_ratio(change, with_interval=True) for change in p50],
            rank=INTERVAL_RANK,
            short=TableColumn(heading="ratio", cells=[_ratio(change, with_interval=False) for change in p50]),
            name="95% intervals",
        ),
        *(
            TableColumn(
                heading=METRICS[metric].terminal,
                cells=[_arrow(row.changes.get(metric)) for row in rows],
                justify="right",
                rank=rank,
            )
            for metric, rank in RANKS.items()
            if metric in measured
        ),
    ]
    title = Text(f"\nAgainst {printable_text(str(comparison.old))}", "bold")
    table = fitted_table(columns, width, elsewhere=ELSEWHERE)
    return Group(title, table, *(Text(wrap(printable_text(line), width)) for line in notes(comparison)))


def notes(comparison: Comparison) -> list[str]:
    """Returns what the table does not show, one sentence each, the result first."""
    return [
        _result(comparison.rows),
        *(f"{text[0].upper()}{text[1:]}" for text in comparison.environments),
        *_measured_again(comparison.rows),
        *_matched_loosely(comparison.rows),
        *_no_verdicts(comparison.rows),
        *_other_photos(comparison.rows),
        *_sizes(comparison.rows),
        *_one_sided("Not measured now", comparison.only_old),
        *_one_sided("Not measured before", comparison.only_new),
    ]


def _verdicts(row: ComparedRow) -> Any:
    from rich.text import Text

    return Text(", ").join(Text(word, STYLES[word]) for word in row.verdicts)


def _arrow(change: MetricChange | None) -> str:
    """Returns both values, as in 4.60 → 5.31, or one if they read alike."""
    if change is None:
        return ABSENT
    unit = METRICS[change.metric].unit
    values = (change.old, change.new)
    before, after = (ABSENT if value is None else terminal_text(value, unit) for value in values)
    return before if before == after else f"{before} → {after}"


def _ratio(change: MetricChange | None, *, with_interval: bool) -> str:
    if change is None or change.ratio is None:
        return ABSENT
    if change.interval is None or not with_interval:
        return f"{change.ratio:.2f}"
    return f"{change.ratio:.2f} ({interval_text(change.interval, 2)})"


def _result(rows: Iterable[ComparedRow]) -> str:
    counts = Counter(word for row in rows for word in row.verdicts)
    verdicts = [f"{count} {word}" for word in STYLES if (count := counts[word])]
    if not verdicts:
        return "No row is significantly faster or slower, better or worse."
    return f"Rows: {', '.join(verdicts)}; the others are not significantly different."


def _measured_again(rows: Iterable[ComparedRow]) -> list[str]:
    names = [row.name for row in rows if row.again]
    return [f"The earlier file was measured again, alternating with the new one: {listed(names, 3)}"] if names else []


def _matched_loosely(rows: Iterable[ComparedRow]) -> list[str]:
    return [f"{row.name} was measured on {row.old_target} before" for row in rows if row.target != row.old_target]


def _no_verdicts(rows: Iterable[ComparedRow]) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for row in rows:
        if row.no_latency_verdict:
            by_reason.setdefault(row.no_latency_verdict, []).append(row.name)
    return [f"Latency of {listed(names, 3)} was not judged: {reason}" for reason, names in by_reason.items()]


def _other_photos(rows: Iterable[ComparedRow]) -> list[str]:
    judged = [row for row in rows if (top1 := row.changes.get("top1")) is not None and top1.difference is not None]
    if not judged or any(row.mcnemar_p is not None for row in judged):
        return []
    return ["Top-1 was compared by 95% intervals, because the photos differ or raw samples are missing"]


def _sizes(rows: Iterable[ComparedRow]) -> list[str]:
    found: dict[str, str] = {}
    for row in rows:
        size = row.changes.get("file_size")
        if size is not None and size.ratio is not None and abs(size.ratio - 1) >= RESIZED:
            found[row.artifact] = f"{row.artifact}: size {_arrow(size)}"
    return list(found.values())


def _one_sided(what: str, cells: Iterable[tuple[str, str]]) -> list[str]:
    names = [cell_name(artifact, target) for artifact, target in cells]
    return [f"{what}: {', '.join(names)}"] if names else []
