"""The columns of every table of a benchmark, from the metrics' declarations in ``core.metric_catalogue``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tledge.bench.results.photo_overlap import GIVEN, SEEN, TEST
from tledge.bench.results.rows import Row
from tledge.core.measurement import Measurement
from tledge.core.metric_catalogue import HIGHER, METRICS, Metric
from tledge.core.number_text import (
    ABSENT,
    DIGITS,
    UNITS_IN_HEADINGS,
    interval_text,
    speed_interval,
    speed_words,
    value_text,
)
from tledge.core.significance import verdict


@dataclass(frozen=True)
class Column:
    """The column of a metric."""

    name: str
    metric: Metric

    @property
    def unit(self) -> str:
        """The unit that stands with the heading; empty if the numbers say it or have none."""
        return self.metric.unit if self.metric.unit in UNITS_IN_HEADINGS else ""

    @property
    def larger_first(self) -> bool:
        """Whether sorting begins with the largest value."""
        return self.metric.better == HIGHER

    def value(self, row: Row) -> float | None:
        """Returns the row's number; None where it was not measured."""
        value = row.value(self.name)
        return None if self.name == "file_size" and not value else value

    def text(self, value: float) -> str:
        """Returns a number as reports write it."""
        return speed_words(value) if self.metric.speed else value_text(value, self.metric.unit)

    def detail(self, row: Row) -> str:
        """Returns what stands small beneath a number, one line each: its interval, its note."""
        if self.name not in row.measured or (self.metric.speed and not row.timely):
            return ""
        measurement, metric = row.measured[self.name], self.metric
        lines = [self._interval(measurement)] if metric.interval else []
        lines.append(metric.note.format_map(measurement.params))
        tolerance = row.value(metric.tolerance)
        if tolerance is not None:
            lines.append(f"± {value_text(tolerance, METRICS[metric.tolerance].unit)}")
        return "\n".join(filter(None, lines))

    def _interval(self, measurement: Measurement) -> str:
        if self.metric.speed and measurement.interval is not None:
            if verdict(measurement.interval):
                return speed_interval(measurement.value, measurement.interval)
            low, high = measurement.interval
            return f"{interval_text((1 / high, 1 / low), 2)}× as fast"
        return interval_text(measurement.interval, DIGITS[self.metric.unit])

    def cell(self, row: Row) -> tuple[float | None, str, str, bool]:
        """Returns a row's number, its text, what stands small beneath it, and whether it is among the best."""
        value = self.value(row)
        if value is None:
            return None, ABSENT, "", False
        if self.metric.speed and not row.verdict:
            return value, NOT_SIGNIFICANT if row.timely else NOT_COMPARED, self.detail(row), False
        return value, self.text(value), self.detail(row), self.name in row.best


NOT_SIGNIFICANT = "not significant"
"""What a ratio of latencies reads if its interval does not show a difference."""

NOT_COMPARED = "not compared"
"""What a ratio of latencies reads if a flag rules the comparison out."""

REPORT_COLUMNS = tuple(Column(name, metric) for name, metric in METRICS.items() if metric.heading)
"""The columns of reports, in order."""

BEST_NOTE = "best in its column or not significantly worse"
"""What the mark of a number says."""

TERMINAL_COLUMNS = tuple(Column(name, metric) for name, metric in METRICS.items() if metric.terminal)
"""The columns of the terminal's table, in order."""


TOP1_HEADINGS = {TEST: "Test top-1", SEEN: "Top-1 with training photos", GIVEN: "Top-1"}
"""The heading of top-1, by what the photos are to the models."""


def top1_heading(rows: Sequence[Row]) -> str:
    """Returns the heading of top-1: only held-out photos are called test photos."""
    found = {str(row.measured["top1"].params.get("split", TEST)) for row in rows if "top1" in row.measured}
    return TOP1_HEADINGS.get(found.pop(), TOP1_HEADINGS[GIVEN]) if len(found) == 1 else TOP1_HEADINGS[GIVEN]


def shown_columns(columns: Sequence[Column], rows: Sequence[Row]) -> list[Column]:
    """Returns the columns in which something was measured."""
    shown = [column for column in columns if any(column.value(row) is not None for row in rows)]
    top1 = replace(METRICS["top1"], heading=top1_heading(rows))
    return [Column("top1", top1) if column.name == "top1" else column for column in shown]
