"""Which file to ship, and why: the rule of docs/adr/0034-which-file-to-ship.md.

Of the files whose top-1 is not significantly below the best (McNemar's test with Holm's correction), the fastest one is
that with the lowest upper bound of p90. Of the files whose p90 is as low, within 5%, the smallest is recommended.
Flagged latencies are not compared, and with a single round nothing is claimed. With a budget, the rule is applied to
the files that meet every limit; see docs/adr/0035-budgets.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tledge.bench.results.budget_judgement import (
    MET,
    UNDECIDED,
    JudgedRow,
    judge_row,
)
from tledge.bench.results.budget_result import BudgetResult, nearest_miss
from tledge.bench.results.flags import ONE_ROUND, UNTIMELY
from tledge.bench.results.limit_relaxation import RelaxedBudgets
from tledge.bench.results.rows import Row
from tledge.bench.results.shipping_criteria import can_ship, most_accurate, p90_bound
from tledge.bench.results.standings import Evidence
from tledge.core.significance import SLOWER, Interval, verdict

if TYPE_CHECKING:
    from tledge.bench.results.stored_results import StoredResults

NOT_TIMED = "not_timed"
FLAGGED = "flagged"
ALONE = "alone"
NONE_MEETS_BUDGET = "none_meets_budget"

LESS_ACCURATE = "less_accurate"
SLOW = "slow"
UNCERTAIN = "uncertain"
LARGER = "larger"

DECIDING = "latency_p90"
"""The latency by which files are compared."""

EQUALLY_FAST = 1.05
"""A file is as fast as another if the 95% interval of their latency ratio ends below this. That no difference is
significant is not enough: a file that was measured badly would be preferred for its size."""

MOST_AVOIDED = 3
"""Files that a card advises against; the report's tables have all."""


@dataclass(frozen=True, kw_only=True)
class RuledOut:
    """A file that is not recommended.

    Attributes:
        row: its result.
        reason: LESS_ACCURATE, SLOW, UNCERTAIN (neither slower nor as fast, as far as the interval shows) or LARGER, the
            first that holds.
        than: the row that it is worse than.
        ratio: for SLOW and UNCERTAIN, its latency divided by that of ``than``; for LARGER, its size.
        metric: the latency, a key of ``METRICS``.
        interval: of that ratio, 95%; None for a size.
        everywhere: the reason holds for the file on every target that it was measured on.
    """

    row: Row
    reason: str
    than: Row
    ratio: float = 1.0
    metric: str = DECIDING
    interval: Interval | None = None
    everywhere: bool = False

    @property
    def name(self) -> str:
        """The file; with its target, unless the reason holds on all."""
        return self.row.artifact if self.everywhere else self.row.name

    def to_dict(self) -> dict[str, Any]:
        """Returns the finding as a dictionary that JSON can hold."""
        return {
            "artifact": self.row.artifact,
            "target": self.row.target,
            "reason": self.reason,
            "than": self.than.name,
            "ratio": self.ratio,
            "metric": self.metric if self.reason in (SLOW, UNCERTAIN) else None,
            "interval": self.interval,
        }


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """What to ship.

    Attributes:
        chosen: the file and its target; None if nothing can be recommended.
        undecided: why not: NOT_TIMED, FLAGGED (the latencies of all accurate files are), ONE_ROUND, NONE_MEETS_BUDGET
            (no file is shown to meet every limit), or ALONE, where there is one file only; empty with ``chosen``.
        accuracy_known: top-1 was measured, so less accurate files are ruled out.
        equals: other files that neither accuracy, latency nor size sets apart from ``chosen``.
        runner_up: the file that the rule chooses without ``chosen``, and why it is not the first.
        avoided: files that are less accurate than the best or slower than their float32 file, the worst first.
        flags: what makes the latencies doubtful, with FLAGGED.
        budget: which files meet the budget; None without one.
        alone: with ALONE, the file on the target that the rule prefers, or else that is nearest to meeting the budget.
    """

    chosen: Row | None
    undecided: str = ""
    accuracy_known: bool = False
    equals: tuple[Row, ...] = ()
    runner_up: RuledOut | None = None
    avoided: tuple[RuledOut, ...] = ()
    flags: tuple[str, ...] = ()
    budget: BudgetResult | None = None
    alone: Row | None = None

    def to_dict(self) -> dict[str, Any]:
        """Returns the recommendation as a dictionary that JSON can hold."""
        return {
            "artifact": None if self.chosen is None else self.chosen.artifact,
            "target": None if self.chosen is None else self.chosen.target,
            "undecided": self.undecided or None,
            "equals": [{"artifact": row.artifact, "target": row.target} for row in self.equals],
            "runner_up": None if self.runner_up is None else self.runner_up.to_dict(),
            "avoided": [item.to_dict() for item in self.avoided],
            "budget": None if self.budget is None else self.budget.to_dict(),
            "alone": None if self.alone is None else {"artifact": self.alone.artifact, "target": self.alone.target},
        }


def recommend(data: StoredResults) -> Recommendation:
    """Applies the rule to a benchmark's rows, those of the Keras model aside: it is not a file that ships."""
    rows = [row for row in data.rows if can_ship(row)]
    judged = tuple(judge_row(row, data.budget, data.evidence) for row in rows)
    found = _choose_within(judged, data)
    if len({row.artifact for row in rows}) == 1 and (found.undecided != NOT_TIMED or data.budget):
        found = replace(found, chosen=None, undecided=ALONE, alone=_alone(found, judged), flags=())
    if not data.budget or not rows:
        return found
    return replace(found, budget=_effects(BudgetResult(limits=data.budget, rows=judged), found, data))


def _alone(found: Recommendation, judged: Sequence[JudgedRow]) -> Row | None:
    """Returns which row of a single file to show: the rule's choice, or one that is nearest to meeting the budget."""
    possible = [item for outcome in (MET, UNDECIDED) for item in judged if item.outcome == outcome]
    nearest = possible[0] if possible else nearest_miss(judged)
    return found.chosen or (None if nearest is None else nearest.row)


def _effects(result: BudgetResult, found: Recommendation, data: StoredResults) -> BudgetResult:
    """Adds the nearest miss and what relaxed limits would gain, where the rule chose a row or none meets the budget."""
    if found.undecided == ALONE:
        missed = all(item.missed for item in result.rows)
        return replace(result, nearest=nearest_miss(result.rows)) if missed else result
    if found.chosen is None and found.undecided != NONE_MEETS_BUDGET:
        return result
    relaxed = RelaxedBudgets(
        result=result,
        chosen=found.chosen,
        evidence=data.evidence,
        choose=lambda judged: _choose_within(judged, data).chosen,
    )
    nearest = nearest_miss(result.rows) if found.chosen is None else None
    return replace(result, nearest=nearest, relaxed=relaxed.find())


def _choose_within(judged: Sequence[JudgedRow], data: StoredResults) -> Recommendation:
    """Returns what the rule gives for the rows that meet a budget, or else for those that may."""
    groups = [[item.row for item in judged if item.outcome == outcome] for outcome in (MET, UNDECIDED)]
    results = [_apply_rule(rows, data) for rows in groups if rows] or [_apply_rule([], data)]
    chosen = next((result for result in results if result.chosen is not None), None)
    if chosen is not None:
        return chosen
    known = groups[0] or len(groups[1]) == len(judged)
    return results[0] if known else Recommendation(chosen=None, undecided=NONE_MEETS_BUDGET)


def _apply_rule(rows: Sequence[Row], data: StoredResults) -> Recommendation:
    """Returns what the rule gives for some rows."""
    best = most_accurate(rows, data.evidence)
    inaccurate = [] if best is None else data.evidence.less_accurate(rows, best)
    avoided = [] if best is None else [RuledOut(row=row, reason=LESS_ACCURATE, than=best) for row in inaccurate]
    accurate = [row for row in rows if row not in inaccurate and _is_judged(row, best, data.evidence)]
    undecided, flags = _why_undecided(accurate)
    if undecided:
        return Recommendation(
            chosen=None,
            undecided=undecided,
            accuracy_known=best is not None,
            avoided=_by_file(avoided, data),
            flags=flags,
        )
    comparable = [row for row in accurate if p90_bound(row) is not None]
    return _decide(comparable, avoided, data, accuracy_known=best is not None)


def _decide(
    accurate: Sequence[Row], avoided: Sequence[RuledOut], data: StoredResults, *, accuracy_known: bool
) -> Recommendation:
    """Chooses among the accurate files whose latencies can be compared, at least one."""
    evidence = data.evidence
    chosen, fastest = _choose(accurate, evidence), min(accurate, key=_order)
    others = [row for row in accurate if row.artifact != chosen.artifact]
    second = _choose(others, evidence) if others else None
    shown = {chosen.artifact, "" if second is None else second.artifact}
    slow = [_slow(row, data) for row in accurate if row.artifact not in shown]
    return Recommendation(
        chosen=chosen,
        accuracy_known=accuracy_known,
        equals=tuple(row for row in others if _compare(row, chosen, fastest, evidence) is None),
        runner_up=None if second is None else _compare(second, chosen, fastest, evidence),
        avoided=_by_file([*avoided, *filter(None, slow)], data),
    )


def _why_undecided(accurate: Sequence[Row]) -> tuple[str, tuple[str, ...]]:
    """Returns why nothing can be recommended, and the flags that forbid it; empty if something can."""
    timed = [row for row in accurate if row.value("latency_p50") is not None]
    if not timed:
        return NOT_TIMED, ()
    if any(p90_bound(row) is not None for row in timed):
        return "", ()
    flagged = [row for row in timed if not row.timely]
    if len(flagged) < len(timed) or all(ONE_ROUND in row.flags for row in flagged):
        return ONE_ROUND, ()
    return FLAGGED, tuple(sorted({flag for row in flagged for flag in row.flags if flag in UNTIMELY}))


def _is_judged(row: Row, best: Row | None, evidence: Evidence) -> bool:
    """Whether a row's accuracy was compared with the best one; without a best row, no accuracy is compared."""
    return best is None or evidence.hits(row) is not None


def _choose(rows: Sequence[Row], evidence: Evidence) -> Row:
    """Returns the smallest of the files that are as fast as the fastest; at least one is needed."""
    fastest = min(rows, key=_order)
    tied = [row for row in rows if row is fastest or _is_as_fast(evidence.ratio(DECIDING, row, fastest)[1])]
    return min(tied, key=lambda row: (_size(row), *_order(row)))


def _order(row: Row) -> tuple[float, float, str]:
    return p90_bound(row) or 0.0, _size(row), row.name


def _size(row: Row) -> float:
    """Returns the size of the file; one of unknown size counts as the largest."""
    return row.value("file_size") or float("inf")


def _is_as_fast(interval: Interval | None) -> bool:
    return interval is not None and interval[1] < EQUALLY_FAST


def _compare(row: Row, chosen: Row, fastest: Row, evidence: Evidence) -> RuledOut | None:
    """Returns why the rule prefers ``chosen``; None if only their names set them apart.

    A file that is as fast as the chosen one and not larger may still be slower than the fastest one.
    """
    if found := _slower(row, chosen, evidence):
        return found
    size = _size(row) / _size(chosen)
    if size > 1.0:
        return RuledOut(row=row, reason=LARGER, than=chosen, ratio=size)
    return None if row is fastest else _slower(row, fastest, evidence)


def _slower(row: Row, than: Row, evidence: Evidence) -> RuledOut | None:
    """Returns how a row is slower than another, or may be; None if it is as fast."""
    ratio, interval = evidence.ratio(DECIDING, row, than)
    if _is_as_fast(interval) and verdict(interval) != SLOWER:
        return None
    reason = SLOW if verdict(interval) == SLOWER else UNCERTAIN
    return RuledOut(row=row, reason=reason, than=than, ratio=ratio, interval=interval)


def _slow(row: Row, data: StoredResults) -> RuledOut | None:
    """Returns that a file is significantly slower than its baseline; None if it is not, or has none."""
    base = data.row(row.baseline, row.target)
    if base is None or row.verdict != SLOWER:
        return None
    return RuledOut(
        row=row,
        reason=SLOW,
        than=base,
        ratio=row.value("latency_ratio") or 1.0,
        metric="latency_p50",
        interval=row.interval("latency_ratio"),
    )


def _by_file(found: Sequence[RuledOut], data: StoredResults) -> tuple[RuledOut, ...]:
    """Returns the first finding of each file, less accurate files before slow ones, at most ``MOST_AVOIDED``."""
    ordered = sorted(found, key=lambda item: (item.reason != LESS_ACCURATE, item.row.value("top1") or 0.0, -item.ratio))
    holds = {(item.row.name, item.reason) for item in found}
    first: dict[str, RuledOut] = {}
    for item in ordered:
        names = [row.name for row in data.rows if row.artifact == item.row.artifact]
        everywhere = all((name, item.reason) in holds for name in names)
        first.setdefault(item.row.artifact, replace(item, everywhere=everywhere))
    return tuple(first.values())[:MOST_AVOIDED]
