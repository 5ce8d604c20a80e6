"""What the rule of docs/adr/0034-which-file-to-ship.md looks at: which rows it judges, top-1, and the bound of p90."""

from __future__ import annotations

from collections.abc import Sequence

from tledge.bench.results.rows import Row
from tledge.bench.results.standings import Evidence


def can_ship(row: Row) -> bool:
    """Whether a row is of a file that can ship: the Keras model cannot."""
    return not row.target.startswith("keras")


def most_accurate(rows: Sequence[Row], evidence: Evidence) -> Row | None:
    """Returns the row with the highest top-1 of those whose result for each photo is known; None if there is none."""
    known = [row for row in rows if evidence.hits(row) is not None]
    return max(known, key=lambda row: row.value("top1") or 0.0, default=None)


def p90_bound(row: Row) -> float | None:
    """Returns the upper bound of p90 in ms; None without several rounds, or if a flag forbids comparing it."""
    interval = row.interval("latency_p90") if row.timely else None
    return None if interval is None else interval[1]
