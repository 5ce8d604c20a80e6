"""A budget: limits that a file has to meet, such as "p90_ms <= 20", and whether a row meets each.

A limit is judged by the metric's 95% interval: it is met if the whole interval meets it, missed if no part does, and
otherwise not decided. A metric without an interval is compared as it is. Times that a flag makes doubtful, and
latencies of a single round, are not decided; see docs/adr/0035-budgets.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from tledge.bench.results.flags import ONE_ROUND, UNTIMELY
from tledge.bench.results.metric_limit import LIMITED_METRICS, LimitedMetric, MetricLimit
from tledge.bench.results.rows import Row
from tledge.core.errors import OptionError
from tledge.core.metric_catalogue import LOWER, METRICS, TIME_UNITS
from tledge.core.number_text import duration_text, value_text
from tledge.core.significance import Interval

MET, MISSED, UNDECIDED = "met", "missed", "undecided"
"""Whether a row meets a limit, or all limits."""

NOT_MEASURED, WIDE = "not_measured", "wide"
"""Why a limit is not decided, if no flag is the reason: no value, or an interval with the limit inside."""

EXPECTED = "`budget` takes limits like 'p90_ms <= 20', 'size_mb <= 5' or 'top1 >= 0.95'"

_OVER_ROUNDS = ("latency_p50", "latency_p90", "latency_p99", "throughput")
"""Metrics whose interval needs several rounds."""


@dataclass(frozen=True, kw_only=True)
class BudgetLimit(MetricLimit):
    """One limit of a budget."""

    @property
    def declared(self) -> LimitedMetric:
        """What its name stands for."""
        return LIMITED_METRICS[self.metric]

    @property
    def is_upper(self) -> bool:
        """Whether it is the largest value that is allowed, rather than the smallest."""
        return self.operator.startswith("<")

    def relaxed(self, to: float) -> BudgetLimit:
        """Returns the limit with another number, which is allowed itself: "p90_ms <= 25"."""
        operator = f"{self.operator.strip('=')}="
        return replace(self, text=f"{self.metric} {operator} {to:g}", operator=operator, limit=to)


@dataclass(frozen=True, kw_only=True)
class JudgedLimit:
    """Whether a row meets a limit.

    Attributes:
        outcome: MET, MISSED or UNDECIDED.
        value, interval: of the metric, in the limit's unit; None where it was not measured or has no interval.
        reason: why it is not decided: NOT_MEASURED, WIDE or the name of a flag; empty if it is.
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


def parse_budget(texts: Sequence[str]) -> tuple[BudgetLimit, ...]:
    """Parses the limits of a budget, before anything is measured.

    Raises:
        OptionError: a limit has another form, the wrong direction or an impossible number, or two contradict or repeat
            each other.
        UnknownNameError: unknown metric.
    """
    limits = tuple(BudgetLimit.parse(text, known=LIMITED_METRICS, expected=EXPECTED) for text in texts)
    for limit in limits:
        _check_form(limit)
    for number, limit in enumerate(limits):
        for other in limits[:number]:
            _check_pair(other, limit)
    for limit in limits:
        _check_direction(limit)
    return limits


def judge_row(row: Row, budget: Sequence[BudgetLimit]) -> JudgedRow:
    """Judges a row by every limit of a budget."""
    return JudgedRow(row=row, limits=tuple(judge_limit(row, limit) for limit in budget))


def judge_limit(row: Row, limit: BudgetLimit) -> JudgedLimit:
    """Judges a row by one limit, from the metric's interval if it has one."""
    metric, divisor = limit.declared.metric, limit.declared.divisor
    measured, ends = _measured(row, metric)
    if measured is None:
        return JudgedLimit(limit=limit, outcome=UNDECIDED, reason=NOT_MEASURED)
    value, interval = measured / divisor, None if ends is None else (ends[0] / divisor, ends[1] / divisor)
    outcome, reason = UNDECIDED, _doubt(row, metric)
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


def _measured(row: Row, metric: str) -> tuple[float | None, Interval | None]:
    """Returns a metric's value and interval, in its own unit; robust accuracy is that at the largest eps."""
    if metric == "robust_accuracy":
        attacked = [point for point in row.robust if point.eps]
        worst = min(attacked, key=lambda point: point.accuracy, default=None)
        return (None, None) if worst is None else (worst.accuracy, (worst.low, worst.high))
    value = row.value(metric)
    return (None if metric == "file_size" and not value else value), row.interval(metric)


def _doubt(row: Row, metric: str) -> str:
    """Returns the flag that makes a time doubtful; empty for one that can be compared, and for other metrics."""
    if METRICS[metric].unit not in TIME_UNITS:
        return ""
    flags = [flag for flag in UNTIMELY if flag in row.flags]
    if ONE_ROUND in flags or (not flags and metric in _OVER_ROUNDS and row.interval(metric) is None):
        return ONE_ROUND
    return flags[0] if flags else ""


def _worst(limit: BudgetLimit, interval: Interval) -> float:
    return interval[1] if limit.is_upper else interval[0]


def _best(limit: BudgetLimit, interval: Interval) -> float:
    return interval[0] if limit.is_upper else interval[1]


def _check_form(limit: BudgetLimit) -> None:
    """Raises OptionError for parts of the grammar that a budget does not have, and for impossible numbers."""
    if limit.rows:
        without = limit.text.removeprefix(f"{limit.rows}:").strip()
        raise OptionError(
            f"`budget='{limit.text}'` names files, but a budget applies to all of them; write '{without}' and choose"
            " the files with `artifacts` or `targets`"
        )
    if limit.relative:
        raise OptionError(
            f"`budget='{limit.text}'` is a multiple, but a budget is not compared with anything; give a number"
            f"{f' of {limit.declared.unit}' if limit.declared.unit else ''}"
        )
    if METRICS[limit.declared.metric].unit == "fraction" and limit.limit > 1:
        raise OptionError(
            f"`budget='{limit.text}'` cannot be met: {limit.metric} is a fraction from 0 to 1; for {limit.limit:g}%"
            f" write '{limit.metric} {limit.operator} {limit.limit / 100:g}'"
        )


def _check_pair(first: BudgetLimit, second: BudgetLimit) -> None:
    """Raises OptionError for two limits on one metric: only one of them can count."""
    if first.declared.metric != second.declared.metric:
        return
    both = f"`budget`: '{first.text}' and '{second.text}'"
    upper, lower = (first, second) if first.is_upper else (second, first)
    ends = [limit.limit * limit.declared.divisor for limit in (upper, lower)]
    strict = "=" not in upper.operator or "=" not in lower.operator
    if first.is_upper != second.is_upper and (ends[0] < ends[1] or (ends[0] == ends[1] and strict)):
        raise OptionError(f"{both} contradict each other: no file can meet both; leave out one of them")
    raise OptionError(f"{both} limit the same metric; leave out one of them")


def _check_direction(limit: BudgetLimit) -> None:
    """Raises OptionError for a limit that asks for worse values."""
    lower_is_better = limit.declared.better == LOWER
    if limit.is_upper != lower_is_better:
        turned = limit.operator.replace(*("><" if lower_is_better else "<>"))
        raise OptionError(
            f"`budget='{limit.text}'` has the wrong direction: it says what is allowed, and of {limit.metric}"
            f" {'lower' if lower_is_better else 'higher'} values are better; write"
            f" '{limit.metric} {turned} {limit.limit:g}'"
        )
