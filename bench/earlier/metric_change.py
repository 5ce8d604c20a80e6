"""How much a metric of a cell changed between two benchmarks, apart from the variation between any two benchmarks.

Two benchmarks of the same file differ, too: the clock, the temperature and other load on a shared machine change within
an hour, and no number of queries in either benchmark shows by how much. If the earlier file still exists, it is
measured again, alternating with the current one (``bench.measure.paired_run``). If not, three things keep such
variation from being reported as a change of the artifact:

* the interval is over rounds, each of which is a process of its own (docs/adr/0009);
* a machine that was slower by a factor, according to the reference workload timed with each round, slows a model
  down by anything from nothing (if it waits for memory) to that factor; the interval covers both ends;
* cells that have not changed show the rest: the interval is widened by their largest change.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tledge.bench.measure.paired_run import PairedRun
from tledge.bench.results.cell_result import CellResult
from tledge.bench.results.stored_results import StoredCell
from tledge.core.measurement import UNITS
from tledge.core.significance import Interval, Samples, latency_ratio
from tledge.core.statistics import percentile

ASSUMED_VARIATION = 0.03
"""The log ratio by which two benchmarks are assumed to differ if no unchanged cell was measured in both."""

LATENCIES = ("latency_p50", "latency_p90", "latency_p99")

TIMED_METRICS = (*LATENCIES, "throughput", "cold_start", "load_time")
"""Metrics that depend on the machine's speed at the moment."""

COMPARED_METRICS = (
    *("latency_p50", "latency_p90", "latency_p99", "top1", "agreement", "file_size", "peak_memory"),
    *("throughput", "cold_start", "load_time", "energy", "robust_accuracy"),
)
"""What is compared, in the order of tables."""


@dataclass(frozen=True, kw_only=True)
class MetricChange:
    """One metric of one cell in two benchmarks.

    Attributes:
        metric: its name in ``core.measurement.UNITS``.
        old, new: values in that unit; None if the benchmark did not measure the metric.
        ratio: new as a multiple of old, over rounds if there are raw samples; None if a ratio is meaningless.
        interval: 95% interval of the ratio, for timed metrics; None if there are too few samples.
        verdict: "faster", "slower", "better" or "worse", only for median latency and top-1, and only if the interval or
            the test shows it.
    """

    metric: str
    old: float | None
    new: float | None
    ratio: float | None = None
    interval: Interval | None = None
    verdict: str = ""

    @property
    def difference(self) -> float | None:
        """New minus old."""
        return None if self.old is None or self.new is None else self.new - self.old

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields and the metric's unit as a dictionary that JSON can hold."""
        return {**asdict(self), "unit": UNITS.get(self.metric, "")}


@dataclass(frozen=True)
class BenchmarkVariation:
    """How much two benchmarks differ although nothing changed: the largest absolute log ratio of unchanged cells."""

    by_metric: Mapping[str, float]

    @classmethod
    def of(cls, unchanged: Sequence[tuple[StoredCell, StoredCell]], *, enough_cells: int = 1) -> BenchmarkVariation:
        """Measures the variation on cells of the same file, software and machine in both benchmarks.

        Args:
            unchanged: the old and the new cell of each.
            enough_cells: with fewer, the variation is at least ``ASSUMED_VARIATION``: they may agree by chance.
        """
        found: dict[str, float] = {}
        for metric in TIMED_METRICS:
            ratios = [ratio for old, new in unchanged if (ratio := _ratio(metric, old, new)[0]) is not None]
            if ratios:
                least = 0.0 if len(ratios) >= enough_cells else ASSUMED_VARIATION
                found[metric] = max(least, *(abs(math.log(ratio)) for ratio in ratios))
        return cls(found)

    def widen(self, metric: str, interval: Interval) -> Interval:
        """Returns an interval that allows for the variation on both sides."""
        factor = math.exp(self.by_metric.get(metric, ASSUMED_VARIATION))
        return interval[0] / factor, interval[1] * factor


def find_change(
    metric: str, old: StoredCell, new: StoredCell, *, variation: BenchmarkVariation | None
) -> MetricChange | None:
    """Compares one of ``COMPARED_METRICS`` of two cells.

    Args:
        metric, old, new: what is compared.
        variation: how much the benchmarks differ although nothing was changed; None on different machines.

    Returns:
        The change; None if neither benchmark measured the metric.
    """
    before, after = old.find(metric), new.find(metric)
    if before is None or after is None:
        old_value, new_value = (None if item is None else item.value for item in (before, after))
        return MetricChange(metric=metric, old=old_value, new=new_value) if before or after else None
    ratio, interval = _ratio(metric, old, new, same_machine=variation is not None)
    if interval is not None and variation is not None:
        interval = variation.widen(metric, interval)
    return MetricChange(metric=metric, old=before.value, new=after.value, ratio=ratio, interval=interval)


def find_paired_change(metric: str, paired_run: PairedRun) -> MetricChange:
    """Compares one of ``LATENCIES`` of two files that were measured alternately.

    The ratio of a round is the median over its pairs of successive turns, so that drift within the round cancels out.
    A turn is too short for a high percentile, which is therefore that of the whole round.
    """
    percent = float(metric.removeprefix("latency_p"))
    ratios = [
        _round_ratio(percent, before, after) for before, after in zip(paired_run.old, paired_run.new, strict=True)
    ]
    ratio, interval = latency_ratio(ratios, [np.ones(1)] * len(ratios), paired=True)
    old, new = (
        percentile(np.concatenate([samples.ravel() for samples in rounds]), percent)[0]
        for rounds in (paired_run.old, paired_run.new)
    )
    return MetricChange(metric=metric, old=old, new=new, ratio=ratio, interval=interval)


def _round_ratio(percent: float, before: Samples, after: Samples) -> Samples:
    """Returns the ratio (1,) of latencies (turns, queries of a turn)."""
    if percent == 50:
        return np.array([np.median(np.median(after, axis=1) / np.median(before, axis=1))])
    return np.array([percentile(after.ravel(), percent)[0] / percentile(before.ravel(), percent)[0]])


def _ratio(
    metric: str, old: StoredCell, new: StoredCell, *, same_machine: bool = True
) -> tuple[float | None, Interval | None]:
    """Returns new as a multiple of old, and the interval over the rounds of both benchmarks."""
    if metric in TIMED_METRICS and old.samples is not None and new.samples is not None:
        before, after = _by_round(metric, old.samples, old), _by_round(metric, new.samples, new)
        if _usable(before) and _usable(after):
            ratio, interval = _over_rounds(after, before)
            times = new.samples.reference_times, old.samples.reference_times
            if interval is None or not same_machine or not all(map(_usable, times)):
                return ratio, interval
            factors = _speed_factors(metric, *times)
            _, normalized = _over_rounds(after * factors[0], before * factors[1])
            return ratio, _hull(interval, normalized)
    first, second = old.find(metric), new.find(metric)
    if first is None or second is None or first.value <= 0 or second.value <= 0 or UNITS.get(metric) == "fraction":
        return None, None
    return second.value / first.value, None


def _by_round(metric: str, samples: CellResult, cell: StoredCell) -> Samples:
    """Returns a metric of each round: (rounds,); empty if it has no raw samples."""
    if metric.startswith("latency_p"):
        percent = float(metric.removeprefix("latency_p"))
        return np.array([percentile(latencies, percent)[0] for latencies in samples.by_round if len(latencies)])
    if metric != "throughput":
        return {"cold_start": samples.cold_starts, "load_time": samples.load_times}[metric]
    best, sizes = cell.find(metric), samples.batch_sizes.tolist()  # at the batch size that was best in the results
    if best is None or best.params.get("batch") not in sizes:
        return np.empty(0)
    column: Samples = samples.throughputs[:, sizes.index(best.params["batch"])]
    return column


def _usable(rounds: Samples) -> bool:
    return len(rounds) > 0 and bool(np.all(np.isfinite(rounds) & (rounds > 0)))


def _over_rounds(after: Samples, before: Samples) -> tuple[float, Interval | None]:
    return latency_ratio([np.array([item]) for item in after], [np.array([item]) for item in before], paired=False)


def _speed_factors(metric: str, new: Samples, old: Samples) -> tuple[Samples, Samples]:
    """Returns factors by which each round's value becomes that of a machine of constant speed, from reference times."""
    return (new, old) if metric == "throughput" else (1 / new, 1 / old)


def _hull(first: Interval, second: Interval | None) -> Interval:
    if second is None:
        return first
    return min(first[0], second[0]), max(first[1], second[1])
