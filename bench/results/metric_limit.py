"""Limits on metrics, such as "int8.tflite: p90_ms > 1.1x": one grammar and one table of names for gates and budgets.

A limit is ``[ROWS: ]METRIC OP NUMBER``. ROWS is an artifact or artifact@target, with * and ?; by default every artifact
except the Keras model. OP is one of < <= > >=. NUMBER is a value in the metric's unit, or a multiple ("1.1x") of an
earlier value. ``bench.earlier.gate`` and ``bench.results.budget`` say what a limit means to them.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Self

from tledge.core.errors import OptionError, UnknownNameError
from tledge.core.metric_catalogue import HIGHER, LOWER


@dataclass(frozen=True, kw_only=True)
class LimitedMetric:
    """What a name in a limit stands for.

    Attributes:
        metric: a key of ``METRICS``.
        unit: of the numbers in limits ("MB"); empty for a fraction or a ratio.
        divisor: how many of the metric's unit make one of this.
        better: LOWER or HIGHER.
        timed: it is measured only where something is timed.
    """

    metric: str
    unit: str = ""
    divisor: float = 1.0
    better: str = LOWER
    timed: bool = True


LIMITED_METRICS: Mapping[str, LimitedMetric] = {
    "top1": LimitedMetric(metric="top1", better=HIGHER, timed=False),
    "agreement": LimitedMetric(metric="agreement", better=HIGHER, timed=False),
    "p50_ms": LimitedMetric(metric="latency_p50", unit="ms"),
    "p90_ms": LimitedMetric(metric="latency_p90", unit="ms"),
    "p99_ms": LimitedMetric(metric="latency_p99", unit="ms"),
    "p90_bound_ms": LimitedMetric(metric="latency_p90_bound", unit="ms"),
    "throughput": LimitedMetric(metric="throughput", unit="images/s", better=HIGHER),
    "cold_start_ms": LimitedMetric(metric="cold_start", unit="ms"),
    "load_time_ms": LimitedMetric(metric="load_time", unit="ms"),
    "peak_memory_mb": LimitedMetric(metric="peak_memory", unit="MB", divisor=1e6),
    "size_mb": LimitedMetric(metric="file_size", unit="MB", divisor=1e6, timed=False),
    "size_kb": LimitedMetric(metric="file_size", unit="kB", divisor=1e3, timed=False),
    "energy_mj": LimitedMetric(metric="energy", unit="mJ"),
    "robust_accuracy": LimitedMetric(metric="robust_accuracy", better=HIGHER),
    "corrupted_accuracy": LimitedMetric(metric="corrupted_accuracy", better=HIGHER),
    "mean_corruption_error": LimitedMetric(metric="mean_corruption_error"),
}
"""The names in limits. Robustness counts as timed, since it is measured only where times are."""

OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

_FORM = re.compile(
    r"(?:(?P<rows>.+?):\s+)?(?P<metric>\w+)\s*(?P<operator>[<>]=?)\s*(?P<limit>\d+(?:\.\d+)?)(?P<relative>x?)"
)
_WITH_UNIT = re.compile(r"(?:.+?:\s+)?(?P<metric>\w+)\s*[<>]=?\s*[\d.]+\s*[a-zA-Zµ%/]+")


@dataclass(frozen=True, kw_only=True)
class MetricLimit:
    """One limit on a metric.

    Attributes:
        text: as the user wrote it.
        rows: a pattern of "artifact" or "artifact@target"; empty for all artifacts except the Keras model.
        metric: a name that the limit's kind knows: a key of ``LIMITED_METRICS``, or another one.
        operator: a key of ``OPERATORS``.
        limit: a value in the metric's unit, or a multiple.
        relative: the limit is a multiple of the earlier value.
    """

    text: str
    rows: str
    metric: str
    operator: str
    limit: float
    relative: bool

    @classmethod
    def parse(cls, text: str, *, known: Mapping[str, LimitedMetric], expected: str) -> Self:
        """Reads a limit.

        Args:
            text: what the user wrote.
            known: the names of metrics.
            expected: the beginning of the error message for other forms ("`budget` takes limits like …").

        Raises:
            OptionError: it has another form.
            UnknownNameError: unknown metric.
        """
        found = _FORM.fullmatch(text.strip())
        if found is None:
            raise OptionError(f"{expected}; received '{text}'{_unit_hint(text, known)}")
        if found["metric"] not in known:
            raise UnknownNameError("metric", found["metric"], known)
        return cls(
            text=text.strip(),
            rows=found["rows"] or "",
            metric=found["metric"],
            operator=found["operator"],
            limit=float(found["limit"]),
            relative=bool(found["relative"]),
        )

    def applies_to(self, artifact: str, target: str) -> bool:
        """Returns whether the limit covers an artifact on a target."""
        if not self.rows:
            return not target.startswith("keras:")
        return fnmatchcase(f"{artifact}@{target}" if "@" in self.rows else artifact, self.rows)

    def holds(self, value: float) -> bool:
        """Returns whether the condition holds for a value, or for a multiple if it is relative."""
        return OPERATORS[self.operator](value, self.limit)


def _unit_hint(text: str, known: Mapping[str, LimitedMetric]) -> str:
    """Returns how to write a limit that has a unit; empty for any other text."""
    found = _WITH_UNIT.fullmatch(text.strip())
    if found is None or found["metric"] not in known:
        return ""
    unit = known[found["metric"]].unit
    return f"; write the number alone: {found['metric']} is {f'in {unit}' if unit else 'a fraction or a ratio'}"
