"""What relaxing each limit of a budget alone would gain."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tledge.bench.results.budget import BudgetLimit
from tledge.bench.results.budget_judgement import (
    MET,
    MISSED,
    JudgedRow,
    judge_row,
)
from tledge.bench.results.budget_result import GAINS, BudgetResult, Relaxation
from tledge.bench.results.rows import Row
from tledge.bench.results.standings import Evidence
from tledge.core.significance import FASTER, verdict

SMALLER = 0.95
"""A file is smaller if its size is below this multiple of the other's."""


@dataclass(frozen=True, kw_only=True)
class RelaxedBudgets:
    """Applies the rule to budgets of which one limit is relaxed.

    Attributes:
        result: the limits, and whether each row meets them.
        chosen: the file that is recommended; None if every file misses a limit.
        evidence: judges differences between rows.
        choose: the rule: returns the row to ship, given all rows as a budget judges them.
    """

    result: BudgetResult
    chosen: Row | None
    evidence: Evidence
    choose: Callable[[Sequence[JudgedRow]], Row | None]

    def find(self) -> tuple[Relaxation, ...]:
        """Returns what relaxing each limit alone would gain, for the limits that not every other row meets."""
        return tuple(self._relax(limit) for limit in self.result.limits if list(self._bounds(limit)))

    def _bounds(self, limit: BudgetLimit) -> Iterator[float]:
        """Yields the number that each row would meet, of those that do not meet the limit and are not chosen."""
        for item in self.result.rows:
            judged = item.of(limit)
            if item.row is not self.chosen and judged.outcome != MET and judged.bound is not None:
                yield _rounded(judged.bound, up=limit.is_upper)

    def _relax(self, limit: BudgetLimit) -> Relaxation:
        """Returns the smallest relaxation that changes the rule's choice, or else that a better row meets."""
        second: Relaxation | None = None
        for to in sorted(set(self._bounds(limit)), reverse=not limit.is_upper):
            budget = [item.relaxed(to) if item == limit else item for item in self.result.limits]
            judged = [judge_row(item.row, budget, self.evidence) for item in self.result.rows]
            met = [item.row for item in judged if item.outcome == MET]
            row = self.choose(judged)
            if self.chosen is None and met:
                return Relaxation(limit=limit, to=to, row=row if row in met else met[0])
            if row is not self.chosen and row in met:
                return self._gain(limit, to, row, preferred=True)
            if second is None and (better := self._better(limit, met)):
                second = self._gain(limit, to, better[0])
        return second or Relaxation(limit=limit, known=all(map(self._is_settled, self._candidates(limit))))

    def _gain(self, limit: BudgetLimit, to: float, row: Row | None, *, preferred: bool = False) -> Relaxation:
        gains = () if row is None or self.chosen is None else gains_of(row, self.chosen, self.evidence)
        return Relaxation(limit=limit, to=to, row=row, preferred=preferred, gains=gains)

    def _better(self, limit: BudgetLimit, met: Sequence[Row]) -> list[Row]:
        """Returns the rows that only the limit rules out and that are faster or more accurate, most gains first."""
        if self.chosen is None:
            return []
        gains = {
            row.name: gains_of(row, self.chosen, self.evidence)
            for row in met
            if self.result.of(row).of(limit).outcome != MET
        }
        better = [row for row in met if set(gains.get(row.name, ())) - {"file_size"}]
        return sorted(better, key=lambda row: -len(gains[row.name]))

    def _candidates(self, limit: BudgetLimit) -> list[JudgedRow]:
        """Returns the rows that may meet the budget if the limit is relaxed, and do not meet it now."""
        return [
            item
            for item in self.result.rows
            if item.row is not self.chosen
            and item.of(limit).outcome != MET
            and all(other.outcome != MISSED for other in item.limits if other.limit != limit)
        ]

    def _is_settled(self, item: JudgedRow) -> bool:
        """Whether the rule could compare a row with the chosen one; without one, no candidate is settled."""
        if self.chosen is None or any(other.bound is None for other in item.limits):
            return False
        compared = self.evidence.hits(self.chosen) is None or self.evidence.hits(item.row) is not None
        others = sum(other.outcome != MET for other in item.limits)
        return compared and others == 1 and item.row.timely and item.row.interval("latency_p90") is not None


def gains_of(row: Row, other: Row, evidence: Evidence) -> tuple[str, ...]:
    """Returns the metrics of ``GAINS`` in which a row is better than another: significantly, or by 5% of its size."""
    size, others = row.value("file_size"), other.value("file_size")
    better = {
        "top1": bool(evidence.less_accurate([other], row)),
        "latency_p90": _is_faster(row, other, evidence),
        "file_size": bool(size and others and size < SMALLER * others),
    }
    return tuple(name for name in GAINS if better[name])


def _is_faster(row: Row, other: Row, evidence: Evidence) -> bool:
    """Whether a row's p90 is significantly below another's over rounds, and also as tables show it."""
    value, others = row.value("latency_p90"), other.value("latency_p90")
    if value is None or others is None or not (row.timely and other.timely):
        return False
    return value < others and verdict(evidence.ratio("latency_p90", row, other)[1]) == FASTER


def _rounded(value: float, *, up: bool) -> float:
    """Returns a number of two digits that is not below the value, or not above it."""
    if not value:
        return 0.0
    places = 1 - math.floor(math.log10(abs(value)))
    steps = (math.ceil if up else math.floor)(round(value * 10**places, 6))
    found = _scaled(steps, places)
    if found == value or (found > value) == up:
        return found
    return _scaled(steps + (1 if up else -1), places)


def _scaled(steps: int, places: int) -> float:
    return steps / 10**places if places > 0 else float(steps * 10**-places)
