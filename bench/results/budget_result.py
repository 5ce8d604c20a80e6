"""What a budget did to a recommendation: the rows it rules out, the nearest miss, and what each limit costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tledge.bench.results.budget import MET, MISSED, BudgetLimit, JudgedLimit, JudgedRow
from tledge.bench.results.rows import Row
from tledge.bench.results.standings import Evidence
from tledge.core.significance import FASTER, verdict

GAINS = ("top1", "latency_p90", "file_size")
"""What a relaxed limit can gain, the most important first."""

SMALLER = 0.95
"""A file is smaller if its size is below this multiple of the other's."""


@dataclass(frozen=True, kw_only=True)
class Relaxation:
    """What relaxing one limit alone would gain.

    Attributes:
        limit: the limit, as it is.
        to: the number that the row would meet, in the limit's unit, with two digits; None if nothing is gained.
        row: what would be chosen then; None if nothing is gained.
        gains: the metrics of ``GAINS`` in which it is better than what is chosen now; empty if nothing is.
    """

    limit: BudgetLimit
    to: float | None = None
    row: Row | None = None
    gains: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The relaxed limit: "p90_ms <= 25"; empty if nothing is gained."""
        if self.to is None:
            return ""
        return f"{self.limit.metric} {self.limit.operator.strip('=')}= {self.to:g}"

    def to_dict(self) -> dict[str, Any]:
        """Returns the relaxation as a dictionary that JSON can hold."""
        return {
            "limit": self.limit.text,
            "to": self.text or None,
            "artifact": None if self.row is None else self.row.artifact,
            "target": None if self.row is None else self.row.target,
            "gains": self.gains,
        }


@dataclass(frozen=True, kw_only=True)
class BudgetResult:
    """Which rows meet a budget.

    Attributes:
        limits: of the budget.
        rows: every row but those of the Keras model.
        nearest: the row that misses a limit by the least, where none can be recommended.
        relaxed: what relaxing each limit alone would gain; not of limits that every row meets, or whose metric is not
            known.
    """

    limits: tuple[BudgetLimit, ...]
    rows: tuple[JudgedRow, ...]
    nearest: JudgedRow | None = None
    relaxed: tuple[Relaxation, ...] = ()

    def of(self, row: Row) -> JudgedRow:
        """Returns the judgement of a row."""
        return next(item for item in self.rows if item.row.name == row.name)

    def ruled_out(self, limit: BudgetLimit) -> list[tuple[Row, JudgedLimit]]:
        """Returns the rows that miss a limit."""
        found = [(item.row, item.of(limit)) for item in self.rows]
        return [(row, judged) for row, judged in found if judged.outcome == MISSED]

    def undecided(self, limit: BudgetLimit) -> list[tuple[Row, JudgedLimit]]:
        """Returns the rows that miss no limit and are not decided for this one."""
        found = [(item.row, item.of(limit)) for item in self.rows if not item.missed]
        return [(row, judged) for row, judged in found if judged.outcome != MET]

    def to_dict(self) -> dict[str, Any]:
        """Returns the result as a dictionary that JSON can hold."""
        return {
            "limits": [limit.text for limit in self.limits],
            "files": [item.to_dict() for item in self.rows],
            "nearest": None if self.nearest is None else self.nearest.to_dict(),
            "relaxed": [item.to_dict() for item in self.relaxed],
        }


def nearest_miss(judged: Sequence[JudgedRow]) -> JudgedRow | None:
    """Returns the row that fails the fewest limits, and of those the one whose largest excess is the smallest."""
    missing = [item for item in judged if item.missed]
    return min(missing, key=lambda item: (_failed(item), max(miss.excess for miss in item.missed)), default=None)


def _failed(item: JudgedRow) -> int:
    return sum(judged.outcome != MET for judged in item.limits)


def find_relaxations(
    result: BudgetResult, chosen: Row | None, evidence: Evidence, choose: Callable[[Sequence[Row]], Row | None]
) -> tuple[Relaxation, ...]:
    """Returns what relaxing each limit alone would gain, for the limits that not every row meets.

    Args:
        result: the limits, and whether each row meets them.
        chosen: the file that is recommended; None if every file misses a limit.
        evidence: judges differences between rows.
        choose: the rule: returns the row to ship of some rows.
    """
    found = []
    for limit in result.limits:
        if not any(_can_be_freed(item.of(limit)) for item in result.rows):
            continue
        freed = {item.row.name: item for item in result.rows if item.row is not chosen and _only_fails(item, limit)}
        row = _gain_most([item.row for item in freed.values()], chosen, evidence, choose)
        bound = None if row is None else freed[row.name].of(limit).bound
        if row is None or bound is None:
            found.append(Relaxation(limit=limit))
        else:
            gains = () if chosen is None else gains_of(row, chosen, evidence)
            found.append(Relaxation(limit=limit, to=_rounded(bound, up=limit.is_upper), row=row, gains=gains))
    return tuple(found)


def gains_of(row: Row, other: Row, evidence: Evidence) -> tuple[str, ...]:
    """Returns the metrics of ``GAINS`` in which a row is better than another: significantly, or by 5% of its size."""
    size, others = row.value("file_size"), other.value("file_size")
    better = {
        "top1": bool(evidence.less_accurate([other], row)),
        "latency_p90": row.timely and other.timely and verdict(evidence.ratio("latency_p50", row, other)[1]) == FASTER,
        "file_size": bool(size and others and size < SMALLER * others),
    }
    return tuple(name for name in GAINS if better[name])


def _only_fails(item: JudgedRow, limit: BudgetLimit) -> bool:
    """Whether a row meets all other limits, and would meet this one if it were relaxed."""
    judged = item.of(limit)
    return _can_be_freed(judged) and all(other.outcome == MET for other in item.limits if other is not judged)


def _can_be_freed(judged: JudgedLimit) -> bool:
    return judged.outcome != MET and judged.bound is not None


def _gain_most(
    rows: Sequence[Row], chosen: Row | None, evidence: Evidence, choose: Callable[[Sequence[Row]], Row | None]
) -> Row | None:
    """Returns the row that the rule prefers to the chosen one, or else the best of those that are better in something.

    None if no row is better.
    """
    if chosen is None:
        return choose(rows)
    preferred = choose([chosen, *rows])
    if preferred is not None and preferred is not chosen:
        return preferred
    return choose([row for row in rows if set(gains_of(row, chosen, evidence)) - {"file_size"}])


def _rounded(value: float, *, up: bool) -> float:
    """Returns a number of two digits that is not below the value, or not above it."""
    if not value:
        return 0.0
    places = 1 - math.floor(math.log10(abs(value)))
    rounded = (math.ceil if up else math.floor)(round(value * 10**places, 6))
    return rounded / 10**places if places > 0 else float(rounded * 10**-places)
