"""Which rows have the best value of a metric, as far as the measurements show that others are worse.

A difference counts only if statistics support it: McNemar's test for top-1, with Holm's correction over the rows that
are compared, and for everything that is measured once per round the 95% interval of the ratio over rounds, which must
lie beyond ``MARGIN``. Sizes of files are exact. With a single round no difference is shown, so nothing is marked; see
docs/adr/0033-best-is-what-statistics-support.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from tledge.bench.results.cell_result import CellResult
from tledge.bench.results.metrics import Classes, Hits, discordant
from tledge.bench.results.rows import Row, RowTable
from tledge.core.metric_catalogue import HIGHER, METRICS, TIME_UNITS
from tledge.core.significance import (
    FASTER,
    SLOWER,
    Interval,
    Samples,
    holm,
    mcnemar,
    round_ratio,
    rounds_interval,
    verdict,
)
from tledge.core.statistics import percentile

EXACT = ("file_size",)
"""Metrics without random error."""


def _percentiles(percent: int) -> Callable[[CellResult], Samples]:
    return lambda result: np.array([percentile(latencies, percent)[0] for latencies in result.by_round])


def _best_throughputs(result: CellResult) -> Samples:
    """Returns the throughput of each round at the batch size with the highest median: float64 (rounds,)."""
    known = result.throughputs[:, ~np.isnan(result.throughputs).any(axis=0)]
    return known[:, np.median(known, axis=0).argmax()] if known.size else np.empty(0)


BY_ROUND: Mapping[str, Callable[[CellResult], Samples]] = {
    "latency_p50": lambda result: np.array([float(np.median(latencies)) for latencies in result.by_round]),
    "latency_p90": _percentiles(90),
    "latency_p99": _percentiles(99),
    "latency_p90_bound": _percentiles(90),  # a bound of this percentile
    "throughput": _best_throughputs,
    "peak_memory": lambda result: result.peak_memories,
    "cold_start": lambda result: result.cold_starts,
    "load_time": lambda result: result.load_times,
    "energy": lambda result: result.energies,
}
"""Returns a metric's value in each round: float64 (rounds,)."""


@dataclass(frozen=True)
class Evidence:
    """The raw samples of a benchmark, from which differences are judged.

    Args:
        samples: by artifact and target; whatever is missing shows no difference.
        labels: (photos,), the class of each photo in the order of the logits; empty if they are not known.
    """

    samples: Mapping[tuple[str, str], CellResult]
    labels: Classes

    def hits(self, row: Row) -> Hits | None:
        """Returns whether each photo is classified correctly: (photos,); None if it is not known."""
        return self._hits.get((row.artifact, row.target))

    @cached_property
    def _hits(self) -> Mapping[tuple[str, str], Hits]:
        """Whether each photo is classified correctly, by cell; kept, since every pair of rows is compared."""
        return {
            cell: np.asarray(result.logits.argmax(axis=1) == self.labels)
            for cell, result in self.samples.items()
            if len(self.labels) and len(result.logits) == len(self.labels)
        }

    def ratio(self, metric: str, row: Row, other: Row) -> tuple[float, Interval | None]:
        """Returns a row's value divided by another row's, the mean over rounds, with its 95% interval.

        Without samples of both in two rounds or more, the ratio is that of the values, and the interval is None.
        """
        found = [self.by_round(metric, item) for item in (row, other)]
        if min(map(len, found)) < 2:
            values = [item.value(metric) or float("nan") for item in (row, other)]
            return values[0] / values[1], None
        return round_ratio(*found, paired=len(found[0]) == len(found[1]))

    def by_round(self, metric: str, row: Row) -> Samples:
        """Returns a metric's value in each round: float64 (rounds,); empty if it is not known, or not positive."""
        result = self.samples.get((row.artifact, row.target))
        values = np.empty(0) if result is None or not result.timed else BY_ROUND[metric](result)
        return values if np.isfinite(values).all() and (values > 0).all() else np.empty(0)

    def interval(self, metric: str, row: Row) -> Interval | None:
        """Returns the 95% interval over rounds of a metric of ``BY_ROUND``, which includes the row's value.

        Rounds without a value are left out. None if there are fewer than two others, or a value is not positive.
        """
        value, result = row.value(metric), self.samples.get((row.artifact, row.target))
        if value is None or result is None or not result.timed:
            return None
        values = BY_ROUND[metric](result)
        values = values[np.isfinite(values)]
        found = rounds_interval(values) if (values > 0).all() else None
        return None if found is None else (min(found[0], value), max(found[1], value))

    def less_accurate(self, rows: Sequence[Row], than: Row) -> list[Row]:
        """Returns the rows whose top-1 is significantly lower than that of ``than``."""
        best = self.hits(than)
        known = {row.name: hits for row in rows if row is not than and (hits := self.hits(row)) is not None}
        if best is None or not known:
            return []
        tests = list({hits.tobytes(): hits for hits in known.values()}.values())  # one file has many targets
        counts = [discordant(hits, best) for hits in tests]
        significant = holm([mcnemar(*pair) for pair in counts])
        worse = {
            hits.tobytes()
            for hits, (only_it, only_best), found in zip(tests, counts, significant, strict=True)
            if found and only_it < only_best
        }
        return [row for row in rows if row.name in known and known[row.name].tobytes() in worse]


def mark_best(rows: Sequence[Row], evidence: Evidence) -> RowTable:
    """Returns the rows with ``best`` filled in."""
    found = {
        metric: {row.name for row in best_rows(metric, rows, evidence)}
        for metric, declared in METRICS.items()
        if declared.better and (metric in (*EXACT, "top1") or metric in BY_ROUND)
    }
    return RowTable(
        replace(row, best=frozenset(metric for metric, names in found.items() if row.name in names)) for row in rows
    )


def best_rows(metric: str, rows: Sequence[Row], evidence: Evidence) -> list[Row]:
    """Returns the best row and all rows that are not significantly worse; none if no row is significantly worse.

    Times are compared among the rows whose flags allow it.
    """
    known = [row for row in rows if row.value(metric) is not None and (row.timely or not _is_time(metric))]
    if metric in EXACT:
        known = [row for row in known if row.value(metric)]
    if not known:
        return []
    choose = max if METRICS[metric].better == HIGHER else min
    best = choose(known, key=lambda row: row.value(metric) or 0.0)
    worse = _worse_rows(metric, known, best, evidence)
    return [row for row in known if row not in worse] if worse else []


def _worse_rows(metric: str, rows: Sequence[Row], best: Row, evidence: Evidence) -> list[Row]:
    """Returns the rows that are shown to be worse than the one with the best value."""
    if metric in EXACT:
        return [row for row in rows if row.value(metric) != best.value(metric)]
    if metric == "top1":
        return evidence.less_accurate(rows, best)
    against = FASTER if METRICS[metric].better == HIGHER else SLOWER  # the ratio of a lower number, or of a higher one
    return [row for row in rows if verdict(evidence.ratio(metric, row, best)[1]) == against]


def pareto_front(rows: Sequence[Row], evidence: Evidence) -> list[Row]:
    """Returns the rows that no other beats in latency and top-1: none where latencies cannot be compared.

    A row is beaten by one that is significantly faster and not significantly less accurate, or significantly more
    accurate and not significantly slower.
    """
    known = [
        row for row in rows if row.timely and row.value("top1") is not None and row.interval("latency_p50") is not None
    ]
    slower = {
        (row.name, other.name)
        for row in known
        for other in known
        if verdict(evidence.ratio("latency_p50", row, other)[1]) == SLOWER
    }
    worse = {(row.name, other.name) for other in known for row in evidence.less_accurate(known, other)}
    return [
        row
        for row in known
        if not any(
            ((row.name, other.name) in slower and (other.name, row.name) not in worse)
            or ((row.name, other.name) in worse and (other.name, row.name) not in slower)
            for other in known
        )
    ]


def _is_time(metric: str) -> bool:
    return METRICS[metric].unit in TIME_UNITS
