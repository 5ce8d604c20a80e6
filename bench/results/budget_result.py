"""What a budget did to a recommendation: the rows it rules out, the nearest miss, and what each limit costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tledge.bench.results.budget import BudgetLimit
from tledge.bench.results.budget_judgement import (
    MET,
    MISSED,
    JudgedLimit,
    JudgedRow,
)
from tledge.bench.results.rows import Row

GAINS = ("top1", "latency_p90", "file_size")
"""What a relaxed limit can gain, the most important first."""


@dataclass(frozen=True, kw_only=True)
class Relaxation:
    """What relaxing one limit alone would gain.

    Attributes:
        limit: the limit, as it is.
        to: the relaxed limit, in the limit's unit, with two digits; None if nothing is gained.
        row: a row that would meet the budget then; None if nothing is gained.
        preferred: the rule would choose this row instead of the one that is chosen now.
        gains: the metrics of ``GAINS`` in which it is better than what is chosen now; empty if nothing is.
        known: False if nothing was found, but some rows could not be compared.
    """

    limit: BudgetLimit
    to: float | None = None
    row: Row | None = None
    preferred: bool = False
    gains: tuple[str, ...] = ()
    known: bool = True

    @property
    def text(self) -> str:
        """The relaxed limit: "p90_ms <= 25"; empty if nothing is gained."""
        if self.to is None:
            return ""
        return self.limit.relaxed(self.to).text

    def to_dict(self) -> dict[str, Any]:
        """Returns the relaxation as a dictionary that JSON can hold."""
        return {
            "limit": self.limit.text,
            "to": self.text or None,
            "artifact": None if self.row is None else self.row.artifact,
            "target": None if self.row is None else self.row.target,
            "preferred": self.preferred,
            "gains": self.gains,
            "known": self.known,
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
