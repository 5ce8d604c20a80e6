"""By how much a metric of a cell changed between two benchmarks, and what of that two benchmarks differ by anyway.

Two benchmarks of the very same file differ, too: the clock, heat, and what else a shared machine does are not the
same an hour later, and no number of queries within either of them tells by how much. Where the earlier file is still
there it is measured again in turns with that of now (``bench.duel``). Where it is not, three things keep such a
difference from being taken for one of the artifact:

* the interval is over rounds, each a process of its own (docs/adr/0009);
* a machine that was slower by a factor, as the yardstick beside each round says, slows a model down by anything from
  nothing (what waits for memory) to that factor: the interval covers both ends;
* what has not changed measures the rest: by the largest change of the unchanged cells the interval is widened.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tledge.bench.measure.paired_run import PairedRun
from tledge.bench.results.cell_result import CellResult
from tledge.bench.results.stored_results import StoredCell
from tledge.core.measurement import UNITS
from tledge.core.significance import latency_ratio
from tledge.core.statistics import percentile

Interval = tuple[float, float]
Samples = npt.NDArray[np.float64]

ASSUMED_DRIFT = 0.03
"""The logarithm by which two benchmarks are taken to differ where nothing unchanged was measured beside."""

LATENCIES = ("latency_p50", "latency_p90", "latency_p99")

TIMED = (*LATENCIES, "throughput", "cold_start", "load_time")
"""Metrics that the machine's speed of the moment bears upon."""

METRICS = (
    *("latency_p50", "latency_p90", "latency_p99", "top1", "agreement", "file_size", "peak_memory"),
    *("throughput", "cold_start", "load_time", "energy", "robust_accuracy"),
)
"""What is compared, in the order of tables."""


@dataclass(frozen=True, kw_only=True)
class MetricChange:
    """One metric of one cell, before and now.

    Attributes:
        metric: its name in ``core.measurement.UNITS``.
        old, new: in that unit; None where one of the benchmarks did not measure it.
        ratio: new as a multiple of old, over rounds where there are raw samples; None where it means nothing.
        interval: 95% interval of the ratio, for what is timed; None where there are too few samples.
        verdict: "faster", "slower", "better" or "worse", only of the latency's median and of top-1, and only where the
            interval or the test says so.
    """

    metric: str
    old: float | None
    new: float | None
    ratio: float | None = None
    interval: Interval | None = None
    verdict: str = ""

    @property
    def difference(self) -> float | None:
        """New less old."""
        return None if self.old is None or self.new is None else self.new - self.old

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that JSON can hold."""
        return {**asdict(self), "unit": UNITS.get(self.metric, "")}


@dataclass(frozen=True)
class Drift:
    """How much two benchmarks differ by themselves.

    Attributes:
        by_metric: the largest absolute log ratio of the cells that have not changed.
    """

    by_metric: Mapping[str, float]

    @classmethod
    def of(cls, unchanged: Sequence[tuple[StoredCell, StoredCell]]) -> Drift:
        """Measures it.

        Args:
            unchanged: cells of the same file, software and machine in both benchmarks, old and new.
        """
        found: dict[str, float] = {}
        for metric in TIMED:
            ratios = [ratio for old, new in unchanged if (ratio := _ratio(metric, old, new)[0]) is not None]
            if ratios:
                found[metric] = max(abs(math.log(ratio)) for ratio in ratios)
        return cls(found)

    def widen(self, metric: str, interval: Interval) -> Interval:
        """An interval that leaves room for it on both sides."""
        factor = math.exp(self.by_metric.get(metric, ASSUMED_DRIFT))
        return interval[0] / factor, interval[1] * factor


def find_change(metric: str, old: StoredCell, new: StoredCell, *, drift: Drift | None) -> MetricChange | None:
    """What became of a metric; None where neither benchmark measured it.

    Args:
        metric: one of ``METRICS``.
        old: the earlier cell.
        new: the later one.
        drift: how much the benchmarks differ by themselves; None on different machines.
    """
    before, after = old.find(metric), new.find(metric)
    if before is None and after is None:
        return None
    if before is None or after is None:
        return MetricChange(
            metric=metric, old=None if before is None else before.value, new=None if after is None else after.value
        )
    ratio, interval = _ratio(metric, old, new, same_machine=drift is not None)
    if interval is not None and drift is not None:
        interval = drift.widen(metric, interval)
    return MetricChange(metric=metric, old=before.value, new=after.value, ratio=ratio, interval=interval)


def find_paired_change(metric: str, duel: PairedRun) -> MetricChange:
    """What became of a latency between two files that were measured in turns.

    The ratio of a round is the median over its pairs of turns, one after the other, so that what drifts within the
    round drops out, too; but a high percentile, for which a turn is too short, is that of the whole round.

    Args:
        metric: one of ``LATENCIES``.
        duel: their latencies.
    """
    percent = float(metric.removeprefix("latency_p"))
    ratios = [_round_ratio(percent, before, after) for before, after in zip(duel.old, duel.new, strict=True)]
    ratio, interval = latency_ratio(ratios, [np.ones(1)] * len(ratios), paired=True)
    old, new = (
        percentile(np.concatenate([samples.ravel() for samples in rounds]), percent)[0]
        for rounds in (duel.old, duel.new)
    )
    return MetricChange(metric=metric, old=old, new=new, ratio=ratio, interval=interval)


def _round_ratio(percent: float, before: Samples, after: Samples) -> Samples:
    """(1,), of latencies (turns, queries of a turn)."""
    if percent == 50:
        return np.array([np.median(np.median(after, axis=1) / np.median(before, axis=1))])
    return np.array([percentile(after.ravel(), percent)[0] / percentile(before.ravel(), percent)[0]])


def _ratio(
    metric: str, old: StoredCell, new: StoredCell, *, same_machine: bool = True
) -> tuple[float | None, Interval | None]:
    """New as a multiple of old, and the interval that the rounds of both benchmarks give."""
    if metric in TIMED and old.samples is not None and new.samples is not None:
        before, after = _by_round(metric, old), _by_round(metric, new)
        if _usable(before) and _usable(after):
            ratio, interval = _over_rounds(after, before)
            yardsticks = new.samples.yardsticks, old.samples.yardsticks
            if interval is None or not same_machine or not all(map(_usable, yardsticks)):
                return ratio, interval
            speed = _speeds(metric, *yardsticks)
            _, normalised = _over_rounds(after * speed[0], before * speed[1])
            return ratio, _hull(interval, normalised)
    before_, after_ = old.find(metric), new.find(metric)
    if before_ is None or after_ is None or before_.value <= 0 or after_.value <= 0 or UNITS.get(metric) == "fraction":
        return None, None
    return after_.value / before_.value, None


def _by_round(metric: str, cell: StoredCell) -> Samples:
    """A metric of each round: (rounds,); empty where it has no raw samples."""
    samples = cell.samples
    if samples is None:
        return np.empty(0)
    if metric.startswith("latency_p"):
        percent = float(metric.removeprefix("latency_p"))
        return np.array([percentile(round_, percent)[0] for round_ in samples.by_round if len(round_)])
    if metric == "throughput":
        return _throughputs(cell, samples)
    return {"cold_start": samples.cold_starts, "load_time": samples.load_times}[metric]


def _throughputs(cell: StoredCell, samples: CellResult) -> Samples:
    """Of the batch size that the results name the best: (rounds,)."""
    best = cell.find("throughput")
    sizes = samples.batch_sizes.tolist()
    if best is None or best.params.get("batch") not in sizes:
        return np.empty(0)
    column: Samples = samples.throughputs[:, sizes.index(best.params["batch"])]
    return column


def _usable(rounds: Samples) -> bool:
    return len(rounds) > 0 and bool(np.all(np.isfinite(rounds) & (rounds > 0)))


def _over_rounds(after: Samples, before: Samples) -> tuple[float, Interval | None]:
    return latency_ratio([np.array([item]) for item in after], [np.array([item]) for item in before], paired=False)


def _speeds(metric: str, new: Samples, old: Samples) -> tuple[Samples, Samples]:
    """What to multiply each round's figure with, so that it is that of a machine of one speed."""
    rate = metric == "throughput"
    return (new, old) if rate else (1 / new, 1 / old)


def _hull(first: Interval, second: Interval | None) -> Interval:
    if second is None:
        return first
    return min(first[0], second[0]), max(first[1], second[1])
