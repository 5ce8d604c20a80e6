"""A budget: limits that a file has to meet, such as "p90_ms <= 20", and how they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tledge.bench.results.metric_limit import LIMITED_METRICS, LimitedMetric, MetricLimit
from tledge.core.errors import OptionError
from tledge.core.metric_catalogue import LOWER, METRICS

EXPECTED = "`budget` takes limits like 'p90_ms <= 20', 'size_mb <= 5' or 'top1 >= 0.95'"


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
            f"`budget='{limit.text}'` has the wrong direction: a budget says what is allowed, and"
            f" {'lower' if lower_is_better else 'higher'} values of {limit.metric} are better; write"
            f" '{limit.metric} {turned} {limit.limit:g}'"
        )
