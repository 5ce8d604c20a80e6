"""Conditions that break somebody's CI: ``--fail-on "int8.tflite: p90_ms > 1.1x"``.

A condition is ``[ROWS: ]METRIC OP LIMIT``, where ROWS is an artifact or artifact@target, with * and ?, and by default
every artifact but the Keras model; OP one of < <= > >=; and LIMIT a number, or a multiple ("1.1x") of the value before.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tledge.bench.compare.comparison import ComparedRow, Comparison
from tledge.bench.compare.metric_change import LATENCIES, TIMED, MetricChange
from tledge.bench.results.stored_results import StoredCell, StoredResults
from tledge.core.errors import OptionError, UnknownNameError

METRICS: Mapping[str, tuple[str, float]] = {
    "top1": ("top1", 1.0),
    "top1_drop": ("top1", 1.0),
    "agreement": ("agreement", 1.0),
    "robust_accuracy": ("robust_accuracy", 1.0),
    "p50_ms": ("latency_p50", 1.0),
    "p90_ms": ("latency_p90", 1.0),
    "p99_ms": ("latency_p99", 1.0),
    "throughput": ("throughput", 1.0),
    "cold_start_ms": ("cold_start", 1.0),
    "load_time_ms": ("load_time", 1.0),
    "peak_memory_mb": ("peak_memory", 1e-6),
    "size_mb": ("file_size", 1e-6),
    "size_kb": ("file_size", 1e-3),
    "energy_mj": ("energy", 1.0),
}
"""What can be named: the metric behind it, and by what its value is multiplied."""

DROP = "top1_drop"
"""How much top-1 fell since the benchmark before; a fraction, as top-1 is."""

UNTIMED = ("top1", DROP, "agreement", "size_mb", "size_kb")
"""Metrics that are there also where nothing is timed."""

OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

KEPT, BROKEN, UNSURE, UNJUDGED = "kept", "broken", "unsure", "unjudged"
"""What may become of a condition for a row."""

_FORM = re.compile(
    r"(?:(?P<rows>.+?):\s+)?(?P<metric>\w+)\s*(?P<operator>[<>]=?)\s*(?P<limit>\d+(?:\.\d+)?)(?P<relative>x?)"
)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One ``--fail-on``.

    Attributes:
        text: as it was typed.
        rows: a pattern of "artifact" or "artifact@target"; empty for all artifacts but the Keras model.
        metric: a key of ``METRICS``.
        operator: a key of ``OPERATORS``.
        limit: a value in the metric's unit, or a multiple.
        relative: the limit is a multiple of the value before.
    """

    text: str
    rows: str
    metric: str
    operator: str
    limit: float
    relative: bool

    @property
    def needs_comparison(self) -> bool:
        """It says something of what was before."""
        return self.relative or self.metric == DROP

    def takes(self, artifact: str, target: str) -> bool:
        """Whether it speaks of that artifact on that target."""
        if not self.rows:
            return not target.startswith("keras:")
        return fnmatchcase(f"{artifact}@{target}" if "@" in self.rows else artifact, self.rows)

    def breaks(self, value: float) -> bool:
        """Whether a value, or a multiple where it is relative, is beyond the limit."""
        return OPERATORS[self.operator](value, self.limit)


@dataclass(frozen=True)
class GateResult:
    """What became of the conditions.

    Attributes:
        violations: a line for each row that is beyond a limit.
        unjudged: a line for each condition or row that could not be judged, and why; that fails the gate, too: nothing
            passes unseen.
        unsure: a line for each row that is beyond a limit where the interval does not tell; that breaks nothing.
        checked: how many rows were held against conditions.
    """

    violations: tuple[str, ...] = ()
    unjudged: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()
    checked: int = 0

    @property
    def passed(self) -> bool:
        """Nothing is beyond a limit, and all could be judged."""
        return not self.violations and not self.unjudged


def parse_conditions(texts: Sequence[str], *, compared: bool) -> tuple[Condition, ...]:
    """Reads conditions, before anything is measured.

    Args:
        texts: as they were typed.
        compared: an earlier benchmark is there to compare with.

    Raises:
        OptionError: one has another form, or needs an earlier benchmark where there is none.
        UnknownNameError: no such metric.
    """
    conditions = tuple(map(_parse, texts))
    for condition in conditions:
        if condition.needs_comparison and not compared:
            raise OptionError(
                f"--fail-on '{condition.text}' speaks of what was before: name that with --against OLD.jsonl"
            )
    return conditions


def check_rows(conditions: Sequence[Condition], planned: Sequence[tuple[str, str]], *, timed: bool = True) -> None:
    """Refuses conditions of which there will be no row, before anything is measured.

    Args:
        conditions: as ``parse_conditions`` gave them.
        planned: artifact and target of each cell.
        timed: whether anything is timed.

    Raises:
        OptionError: one speaks of no cell, or of times where nothing is timed.
    """
    for condition in conditions:
        if not timed and condition.metric not in UNTIMED:
            raise OptionError(
                f"--fail-on '{condition.text}' is of what is not measured there: nothing is timed on an emulated board;"
                f" its metrics: {', '.join(UNTIMED)}"
            )
        if not any(condition.takes(*cell) for cell in planned):
            names = ", ".join("@".join(cell) if "@" in condition.rows else cell[0] for cell in planned)
            keras = "" if condition.rows else "; without ROWS it leaves the Keras model out"
            raise OptionError(f"--fail-on '{condition.text}' is of no row: what is measured is called {names}{keras}")


def _parse(text: str) -> Condition:
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise OptionError(
            f"--fail-on takes conditions like 'top1 < 0.97', 'p90_ms > 1.1x' or 'int8.tflite: size_mb > 3'; received"
            f" '{text}'"
        )
    if found["metric"] not in METRICS:
        raise UnknownNameError("metric", found["metric"], METRICS)
    return Condition(
        text=text.strip(),
        rows=found["rows"] or "",
        metric=found["metric"],
        operator=found["operator"],
        limit=float(found["limit"]),
        relative=bool(found["relative"]),
    )


def check_conditions(
    conditions: Sequence[Condition], results: StoredResults, comparison: Comparison | None
) -> GateResult:
    """Holds a benchmark against conditions.

    An absolute limit is held against the value. A multiple of a latency, or of another figure that the machine's speed
    bears upon, is beyond its limit only where the interval says too that it changed: noise alone breaks nothing.

    Args:
        conditions: as ``parse_conditions`` gave them.
        results: the benchmark.
        comparison: it against the one before, which relative conditions need.
    """
    violations: list[str] = []
    unjudged: list[str] = []
    unsure: list[str] = []
    checked = 0
    for condition in conditions:
        cells = [cell for cell in results.cells if condition.takes(cell.artifact, cell.target)]
        if not cells:
            unjudged.append(f"'{condition.text}' is of no row: nothing that was measured is called so")
        for cell in cells:
            checked += 1
            outcome, told = _judge(condition, cell, comparison)
            if outcome == UNJUDGED:
                unjudged.append(f"'{condition.text}' was not judged of {cell.name}: {told}")
            elif outcome == BROKEN:
                violations.append(f"{cell.name}: {told}")
            elif outcome == UNSURE:
                unsure.append(f"{cell.name}: {told}")
    if conditions and comparison is not None:
        unjudged += [
            f"{artifact} on {target} was measured before and is not there now" for artifact, target in _gone(comparison)
        ]
    return GateResult(tuple(violations), tuple(unjudged), tuple(unsure), checked)


def _gone(comparison: Comparison) -> list[tuple[str, str]]:
    """The artifacts that only the benchmark before has; a target that was not asked for now is no loss."""
    artifacts = {row.artifact for row in comparison.rows} | {artifact for artifact, _ in comparison.only_new}
    return [cell for cell in comparison.only_old if cell[0] not in artifacts]


def _judge(condition: Condition, cell: StoredCell, comparison: Comparison | None) -> tuple[str, str]:
    """What became of a condition for a cell, and the line that says so."""
    metric, scale = METRICS[condition.metric]
    measured = cell.find(metric)
    if measured is None:
        return UNJUDGED, f"its {metric} was not measured"
    if not condition.needs_comparison:
        value = measured.value * scale
        return (BROKEN if condition.breaks(value) else KEPT), f"{condition.metric} {_text(value)} ({condition.text})"
    row = None if comparison is None else comparison.of(cell.artifact, cell.target)
    change = None if row is None else row.changes.get(metric)
    if row is None or change is None or change.old is None or change.new is None:
        return UNJUDGED, "the benchmark before has no such row"
    if metric == "top1" and not row.same_photos:
        return UNJUDGED, "the benchmark before classified other photos"
    if metric == "robust_accuracy" and not row.same_attacks:
        return UNJUDGED, "the benchmark before attacked otherwise, or other photos"
    if condition.metric == DROP:
        drop = change.old - change.new
        told = f"top1 fell by {drop:.4f}, from {change.old:.4f} to {change.new:.4f} ({condition.text})"
        return (BROKEN if condition.breaks(drop) else KEPT), told
    return _judge_ratio(condition, row, change, scale)


def _judge_ratio(condition: Condition, row: ComparedRow, change: MetricChange, scale: float) -> tuple[str, str]:
    if change.old is None or change.new is None or change.old <= 0:
        return UNJUDGED, "the value before was 0"
    ratio = change.ratio if change.ratio is not None else change.new / change.old
    told = f"{condition.metric} {_text(change.new * scale)} is {ratio:.3f}x of {_text(change.old * scale)}"
    if not condition.breaks(ratio):
        return KEPT, told
    if change.metric not in TIMED:
        return BROKEN, f"{told} ({condition.text})"
    if row.unchanged:
        return KEPT, f"{told}, and nothing but the machine differs, of which the condition does not speak"
    reason = row.no_latency_verdict if change.metric in LATENCIES else row.no_times_verdict
    if reason:
        return UNJUDGED, reason
    if change.interval is None:
        return UNJUDGED, "too few rounds for an interval"
    low, high = change.interval
    above = condition.operator.startswith(">")
    really = low > min(1.0, condition.limit) if above else high < max(1.0, condition.limit)
    told = f"{told}, 95% {low:.3f} to {high:.3f} ({condition.text})"
    if really:
        return BROKEN, told
    narrower = "; more --rounds make it narrower" * (row.again and change.metric in LATENCIES)
    return UNSURE, f"{told}, an interval too wide to tell{narrower}"


def _text(value: float) -> str:
    return f"{value:.4g}"
