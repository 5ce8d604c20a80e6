"""Whether a row meets each limit of a budget.

A limit is judged by the metric's 95% interval: it is met if the whole interval meets it, missed if no part does, and
otherwise not decided. The size of a file has no random error, and is compared as it is. Times and energy that a flag
makes doubtful are not decided, nor is anything that was measured in a single round; see docs/adr/0035-budgets.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tledge.bench.results.budget import BudgetLimit
from tledge.bench.results.flags import ONE_ROUND, UNTIMELY
from tledge.bench.results.rows import Row
from tledge.bench.results.standings import BY_ROUND, Evidence
from tledge.core.metric_catalogue import METRICS, TIME_UNITS
from tledge.core.number_text import duration_text, value_text
from tledge.core.significance import Interval

MET, MISSED, UNDECIDED = "met", "missed", "undecided"
"""Whether a row meets a limit, or all limits."""

NOT_MEASURED, WIDE, NO_SAMPLES = "not_measured", "wide", "no_samples"
"""Why a limit is not decided, if no flag is the reason: no value, an interval with the limit inside, or a value whose
interval is not known, because the raw samples are not there."""

_IS_BOUND = "latency_p90_bound"
"""The metric that is itself an upper bound, and needs no interval."""

_WITH_INTERVAL = ("latency_p50", "latency_p90", "latency_p99", "throughput")
"""Metrics whose interval is stored with the value, if there are several rounds."""


@dataclass(frozen=True, kw_only=True)
class JudgedLimit:
    """Whether a row meets a limit.

    Attributes:
        outcome: MET, MISSED or UNDECIDED.
        value, interval: of the metric, in the limit's unit; None where it was not measured or has no interval.
        reason: why it is not decided: NOT_MEASURED, WIDE, NO_SAMPLES or the name of a flag; empty if it is.
    """

    limit: BudgetLimit
    outcome: str
    value: float | None = None
    interval: Interval | None = None
    reason: str = ""

    @property
    def bound(self) -> float | None:
        """The limit that the row would meet, in the limit's unit; None where the value is not known or doubtful."""
        if self.value is None or self.reason not in ("", WIDE):
            return None
        return _worst(self.limit, self.interval or (self.value, self.value))

    @property
    def excess(self) -> float:
        """By what fraction of the limit the value is on its wrong side; 0 if it is not."""
        if self.value is None or self.limit.limit == 0:
            return 0.0 if self.value is None or self.limit.holds(self.value) else float("inf")
        distance = self.value - self.limit.limit
        return max(0.0, (distance if self.limit.is_upper else -distance) / self.limit.limit)

    def to_dict(self) -> dict[str, Any]:
        """Returns the judgement as a dictionary that JSON can hold."""
        return {
            "limit": self.limit.text,
            "outcome": self.outcome,
            "value": self.value,
            "interval": self.interval,
            "reason": self.reason or None,
        }


@dataclass(frozen=True, kw_only=True)
class JudgedRow:
    """Whether a row meets each limit of a budget."""

    row: Row
    limits: tuple[JudgedLimit, ...]

    @property
    def outcome(self) -> str:
        """MET if it meets every limit, MISSED if it misses one, otherwise UNDECIDED."""
        outcomes = {item.outcome for item in self.limits}
        return next((outcome for outcome in (MISSED, UNDECIDED) if outcome in outcomes), MET)

    @property
    def missed(self) -> tuple[JudgedLimit, ...]:
        """The limits that it misses."""
        return tuple(item for item in self.limits if item.outcome == MISSED)

    def of(self, limit: BudgetLimit) -> JudgedLimit:
        """Returns the judgement of one of the budget's limits."""
        return next(item for item in self.limits if item.limit == limit)

    def to_dict(self) -> dict[str, Any]:
        """Returns the judgements as a dictionary that JSON can hold."""
        return {
            "artifact": self.row.artifact,
            "target": self.row.target,
            "outcome": self.outcome,
            "limits": [item.to_dict() for item in self.limits],
        }


def judge_row(row: Row, budget: Sequence[BudgetLimit], evidence: Evidence) -> JudgedRow:
    """Judges a row by every limit of a budget."""
    return JudgedRow(row=row, limits=tuple(judge_limit(row, limit, evidence) for limit in budget))


def judge_limit(row: Row, limit: BudgetLimit, evidence: Evidence) -> JudgedLimit:
    """Judges a row by one limit, from the metric's interval: the row's own, or that over the rounds of the evidence."""
    metric, divisor = limit.declared.metric, limit.declared.divisor
    measured, ends = _measured(row, metric, evidence)
    if measured is None:
        return JudgedLimit(limit=limit, outcome=UNDECIDED, reason=NOT_MEASURED)
    value, interval = measured / divisor, None if ends is None else (ends[0] / divisor, ends[1] / divisor)
    outcome, reason = UNDECIDED, _doubt(row, metric, evidence, interval)
    if not reason:
        whole = interval or (value, value)
        if limit.holds(_worst(limit, whole)):
            outcome = MET
        elif not limit.holds(_best(limit, whole)):
            outcome = MISSED
        else:
            reason = WIDE
    return JudgedLimit(limit=limit, outcome=outcome, value=value, interval=interval, reason=reason)


def number_text(limit: BudgetLimit, value: float) -> str:
    """Returns a value in a limit's unit as reports write it, without the unit."""
    if limit.declared.divisor == 1.0:
        return value_text(value, METRICS[limit.declared.metric].unit)
    return duration_text(value)


def _measured(row: Row, metric: str, evidence: Evidence) -> tuple[float | None, Interval | None]:
    """Returns a metric's value and interval, in its own unit; of robust accuracies, those of the lowest."""
    if metric == "robust_accuracy":
        return (None, None) if row.least_robust is None else (row.least_robust.value, row.least_robust.interval)
    value = row.value(metric)
    if metric == "file_size" and not value:
        return None, None
    ends = row.interval(metric)
    return value, evidence.interval(metric, row) if ends is None and _needs_rounds(metric) else ends


def _doubt(row: Row, metric: str, evidence: Evidence, interval: Interval | None) -> str:
    """Returns why a value that is measured once per round is doubtful; empty if it is not, and for other metrics."""
    if metric not in BY_ROUND:
        return ""
    known = UNTIMELY if METRICS[metric].unit in TIME_UNITS or metric == "energy" else (ONE_ROUND,)
    flags = [flag for flag in known if flag in row.flags]
    if ONE_ROUND in flags:
        return ONE_ROUND
    if flags or interval is not None or not _needs_rounds(metric):
        return flags[0] if flags else ""
    one_round = metric in _WITH_INTERVAL or len(evidence.by_round(metric, row)) == 1
    return ONE_ROUND if one_round else NO_SAMPLES


def _needs_rounds(metric: str) -> bool:
    return metric in BY_ROUND and metric != _IS_BOUND


def _worst(limit: BudgetLimit, interval: Interval) -> float:
    return interval[1] if limit.is_upper else interval[0]


def _best(limit: BudgetLimit, interval: Interval) -> float:
    return interval[0] if limit.is_upper else interval[1]
