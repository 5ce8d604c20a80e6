"""The gate of a CI: conditions such as "int8.tflite: p90_ms > 1.1x" that make a benchmark fail.

``bench.results.metric_limit`` has the grammar and the names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tledge.bench.earlier.comparison import ComparedRow, Comparison
from tledge.bench.earlier.metric_change import COMPARED_METRICS, LATENCIES, TIMED_METRICS, MetricChange
from tledge.bench.results.metric_limit import LIMITED_METRICS, LimitedMetric, MetricLimit
from tledge.bench.results.stored_results import CellName, StoredCell, StoredResults
from tledge.core.errors import OptionError

DROP = "top1_drop"
"""How much top-1 fell since the earlier benchmark; a fraction, as top-1 is."""

GATE_METRICS: Mapping[str, LimitedMetric] = {**LIMITED_METRICS, DROP: LimitedMetric(metric="top1", timed=False)}
"""The names in conditions."""

UNTIMED_METRICS = tuple(name for name, declared in GATE_METRICS.items() if not declared.timed)
"""Metrics that are also measured where nothing is timed."""

EXPECTED = "`fail_on` takes conditions like 'top1 < 0.97', 'p90_ms > 1.1x' or 'int8.tflite: size_mb > 3'"

KEPT, BROKEN, UNSURE, UNJUDGED = "kept", "broken", "unsure", "unjudged"
"""The outcomes of a condition for a row."""


@dataclass(frozen=True, kw_only=True)
class GateCondition(MetricLimit):
    """One condition; the gate fails for rows in which it holds."""

    @property
    def needs_comparison(self) -> bool:
        """Whether the condition refers to an earlier benchmark."""
        return self.relative or self.metric == DROP


@dataclass(frozen=True)
class GateResult:
    """The outcome of all conditions.

    Attributes:
        violations: a line for each row beyond a limit.
        unjudged: a line for each condition or row that could not be judged, with the reason; these fail the gate, too,
            so that nothing passes unnoticed.
        unsure: a line for each row beyond a limit whose interval is too wide to decide; these do not fail the gate.
        checked: number of checks, one per condition and row.
    """

    violations: tuple[str, ...] = ()
    unjudged: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()
    checked: int = 0

    @property
    def passed(self) -> bool:
        """Whether nothing is beyond a limit, and everything could be judged."""
        return not self.violations and not self.unjudged


def parse_conditions(texts: Sequence[str], *, compared: bool) -> tuple[GateCondition, ...]:
    """Parses conditions, before anything is measured; ``compared``: there is an earlier benchmark to compare with.

    Raises:
        OptionError: a condition has another form, or needs an earlier benchmark and there is none.
        UnknownNameError: unknown metric.
    """
    conditions = tuple(GateCondition.parse(text, known=GATE_METRICS, expected=EXPECTED) for text in texts)
    for condition in conditions:
        if condition.relative and GATE_METRICS[condition.metric].metric not in COMPARED_METRICS:
            raise OptionError(
                f"`fail_on='{condition.text}'` cannot be checked: two benchmarks are not compared in"
                f" {condition.metric}; give a number instead of a multiple"
            )
        if condition.needs_comparison and not compared:
            raise OptionError(
                f"`fail_on='{condition.text}'` compares with an earlier benchmark; name its results with `against`"
            )
    return conditions


def check_rows(conditions: Sequence[GateCondition], planned: Sequence[CellName], *, timed: bool = True) -> None:
    """Rejects conditions that none of the planned rows will match, before anything is measured.

    Raises:
        OptionError: a condition matches no cell, or limits times and nothing is timed.
    """
    for condition in conditions:
        if not timed and condition.metric not in UNTIMED_METRICS:
            raise OptionError(
                f"`fail_on='{condition.text}'` cannot be checked: nothing is timed on an emulated board; it measures"
                f" {', '.join(UNTIMED_METRICS)}"
            )
        if not any(condition.applies_to(*cell) for cell in planned):
            names = ", ".join("@".join(cell) if "@" in condition.rows else cell[0] for cell in planned)
            keras = "" if condition.rows else "; without ROWS a condition does not cover the Keras model"
            raise OptionError(f"`fail_on='{condition.text}'` matches no row; the rows are {names}{keras}")


def check_conditions(
    conditions: Sequence[GateCondition], results: StoredResults, comparison: Comparison | None
) -> GateResult:
    """Checks a benchmark against conditions.

    An absolute limit applies to the value. A relative limit on a timed metric counts as exceeded only if the interval
    shows a change, too, so that noise alone does not fail the gate.

    Args:
        conditions, results: what is checked.
        comparison: the benchmark compared with an earlier one; relative conditions need it.
    """
    lines: dict[str, list[str]] = {KEPT: [], BROKEN: [], UNSURE: [], UNJUDGED: []}
    checked = 0
    for condition in conditions:
        cells = [cell for cell in results.cells if condition.applies_to(cell.artifact, cell.target)]
        if not cells:
            lines[UNJUDGED].append(f"'{condition.text}' matches no row that was measured")
        for cell in cells:
            checked += 1
            outcome, reason = _judge(condition, cell, comparison)
            prefix = f"'{condition.text}' was not judged for " if outcome == UNJUDGED else ""
            lines[outcome].append(f"{prefix}{cell.name}: {reason}")
    if conditions and comparison is not None:
        lines[UNJUDGED] += [
            f"{artifact} on {target} was measured before, but not now"
            for artifact, target in _missing_artifacts(comparison)
        ]
    return GateResult(tuple(lines[BROKEN]), tuple(lines[UNJUDGED]), tuple(lines[UNSURE]), checked)


def _missing_artifacts(comparison: Comparison) -> list[CellName]:
    """Lists the cells of artifacts that only the earlier benchmark has; a target that was left out is no loss."""
    artifacts = {row.artifact for row in comparison.rows} | {artifact for artifact, _ in comparison.only_new}
    return [cell for cell in comparison.only_old if cell[0] not in artifacts]


def _judge(condition: GateCondition, cell: StoredCell, comparison: Comparison | None) -> tuple[str, str]:
    """Returns the outcome of a condition for a cell, and the line that explains it."""
    declared = GATE_METRICS[condition.metric]
    metric, divisor = declared.metric, declared.divisor
    measured = cell.find(metric)
    if measured is None:
        return UNJUDGED, f"its {metric} was not measured"
    if not condition.needs_comparison:
        value = measured.value / divisor
        return (BROKEN if condition.holds(value) else KEPT), f"{condition.metric} {_text(value)} ({condition.text})"
    row = None if comparison is None else comparison.of(cell.artifact, cell.target)
    change = None if row is None else row.changes.get(metric)
    if row is None or change is None or change.old is None or change.new is None:
        return UNJUDGED, "the earlier benchmark has no such row"
    if metric == "top1" and not row.same_photos:
        return UNJUDGED, "the earlier benchmark classified other photos"
    if metric == "robust_accuracy" and not row.same_attacks:
        return UNJUDGED, "the earlier benchmark used other attacks or other photos"
    if condition.metric == DROP:
        drop = change.old - change.new
        line = f"top1 fell by {drop:.4f}, from {change.old:.4f} to {change.new:.4f} ({condition.text})"
        return (BROKEN if condition.holds(drop) else KEPT), line
    return _judge_ratio(condition, row, change, divisor)


def _judge_ratio(condition: GateCondition, row: ComparedRow, change: MetricChange, divisor: float) -> tuple[str, str]:
    if change.old is None or change.new is None or change.old <= 0:
        return UNJUDGED, "the earlier value is 0"
    ratio = change.ratio if change.ratio is not None else change.new / change.old
    line = f"{condition.metric} {_text(change.new / divisor)} is {ratio:.3f}x of {_text(change.old / divisor)}"
    if not condition.holds(ratio):
        return KEPT, line
    if change.metric not in TIMED_METRICS:
        return BROKEN, f"{line} ({condition.text})"
    if row.unchanged:
        return KEPT, f"{line}, but the file, the software and the kind of machine are the same"
    reason = row.no_latency_verdict if change.metric in LATENCIES else row.no_times_verdict
    if reason:
        return UNJUDGED, reason
    if change.interval is None:
        return UNJUDGED, "too few rounds for an interval"
    line = f"{line}, 95% interval {change.interval[0]:.3f} to {change.interval[1]:.3f} ({condition.text})"
    if is_shown(condition, change.interval):
        return BROKEN, line
    advice = "; increase `rounds` to narrow it" * (row.again and change.metric in LATENCIES)
    return UNSURE, f"{line}: too wide to decide{advice}"


def is_shown(condition: GateCondition, interval: tuple[float, float]) -> bool:
    """Returns whether the 95% interval of a ratio shows a change in the direction of a relative condition.

    The whole interval must lie beyond 1, or beyond the limit if that is the lower bar, as in "throughput < 5x".
    """
    low, high = interval
    if condition.operator.startswith(">"):
        return low > min(1.0, condition.limit)
    return high < max(1.0, condition.limit)


def _text(value: float) -> str:
    return f"{value:.4g}"
