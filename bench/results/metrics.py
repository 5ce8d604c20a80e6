"""A cell's measurements, computed from its raw samples.

``core.metric_catalogue`` declares the metrics and says how to add one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tledge.bench.results.cell_result import CellResult, Timing
from tledge.bench.results.cells import Cell
from tledge.bench.results.flags import (
    MORE_THREADS,
    NOISY,
    ONE_ROUND,
    OWN_KERNELS,
    RANDOM_INPUT,
    THROTTLED,
    THROTTLED_SINCE_BOOT,
    UNDER_VOLTAGE,
    WRONG_CPU,
)
from tledge.core.cpu import mismatch_on
from tledge.core.measurement import Measurement
from tledge.core.metric_catalogue import METRICS
from tledge.core.model_files import size_of_model
from tledge.core.significance import Interval, latency_ratio, mcnemar, rounds_interval
from tledge.core.statistics import early_stopping_estimate, percentile, wilson_interval
from tledge.edge_runtime.delegation import WITHOUT_XNNPACK

Classes = npt.NDArray[np.intp]
Hits = npt.NDArray[np.bool_]
"""Whether each photo is classified correctly, or has another property: (photos,)."""


@dataclass(frozen=True, eq=False)
class MeasuredCell:
    """A cell with its raw samples. Compared by identity."""

    cell: Cell
    result: CellResult

    def number(
        self,
        metric: str,
        value: float,
        *,
        n: int,
        params: Mapping[str, Any] | None = None,
        interval: Interval | None = None,
        flags: tuple[str, ...] = (),
    ) -> Measurement:
        """Returns a measurement of the cell; the arguments are fields of ``Measurement``."""
        return Measurement(
            artifact=self.cell.model.name,
            artifact_sha256=self.result.artifact_sha256,
            target=str(self.cell.target),
            scenario=METRICS[metric].scenario,
            metric=metric,
            value=value,
            n=n,
            interval=interval,
            params={"provider": self.result.provider, **(params or {})},
            environment=self.result.environment_id,
            flags=flags,
        )

    def rate(
        self, metric: str, hits: Hits, *, params: Mapping[str, Any] | None = None, flags: tuple[str, ...] = ()
    ) -> Measurement:
        """Returns the fraction of photos with a property, with its 95% Wilson interval."""
        count, artifact = int(hits.sum()), self.cell.model.artifact
        machine, features = self.result.environment["machine"], self.result.environment["cpu_features"]
        if artifact is not None and mismatch_on(artifact.sidecar.cpu, machine, features):
            flags = (WRONG_CPU, *flags)
        interval = wilson_interval(count, len(hits))
        return self.number(metric, count / len(hits), n=len(hits), params=params, interval=interval, flags=flags)


def discordant(first: Hits, second: Hits) -> tuple[int, int]:
    """Returns how many photos only the first, and only the second classifies correctly."""
    return int((first & ~second).sum()), int((second & ~first).sum())


class CellMetrics:
    """The measurements of one cell.

    Args:
        timing: how each round was timed.
        labels: (images,), the class of each test image; empty if none were classified.
        photos: what they are to the models: ``PhotoOverlap.split``.
    """

    def __init__(self, cell: Cell, result: CellResult, timing: Timing, labels: Classes, photos: str = "test") -> None:
        self._measured = MeasuredCell(cell, result)
        self._result = result
        self._timing = timing
        self._labels = labels
        self._photos = photos
        self._classes = result.logits.argmax(axis=1) if len(result.logits) else np.empty(0, np.intp)
        self._timed_flags = self._find_flags()

    def all(self, expected: Classes | None) -> list[Measurement]:
        """Returns all measurements but comparisons.

        Args:
            expected: (images,), the class predicted by the Keras model; None if it is not known.
        """
        times = [*self._latencies(), *self._other_times()] if self._result.timed else []
        return [*self._static(), *self._accuracy(expected), *times]

    def against(self, baseline: CellMetrics) -> list[Measurement]:
        """Compares latency and top-1 with another artifact on the same target, measured in the same rounds."""
        name = baseline._measured.cell.model.name
        mine, other = self._result, baseline._result
        compared: list[Measurement] = []
        if mine.timed and other.timed:
            paired = len(mine.by_round) == len(other.by_round)
            ratio, interval = latency_ratio(mine.by_round, other.by_round, paired=paired)
            flags = tuple(sorted({*self._timed_flags, *baseline._timed_flags}))
            row = self._measured.number(
                "latency_ratio", ratio, n=len(mine.latencies), params={"against": name}, interval=interval, flags=flags
            )
            compared.append(row)
        if len(self._classes) and len(self._classes) == len(baseline._classes):
            right, others = self._classes == self._labels, baseline._classes == self._labels
            only_mine, only_other = discordant(right, others)
            counts = {"against": name, "only_this_right": only_mine, "only_baseline_right": only_other}
            compared.append(
                self._measured.number("mcnemar", mcnemar(only_mine, only_other), n=len(right), params=counts)
            )
        return compared

    def _static(self) -> list[Measurement]:
        result = self._result
        found = [self._measured.number("file_size", size_of_model(self._measured.cell.model.path), n=1)]
        if result.timed:
            for metric, samples in (("load_time", result.load_times), ("peak_memory", result.peak_memories)):
                found.append(self._measured.number(metric, float(np.median(samples)), n=len(samples)))
        return found

    def _accuracy(self, expected: Classes | None) -> list[Measurement]:
        if not len(self._classes):
            return []
        params = {"split": self._photos}
        rates = [self._measured.rate("top1", self._classes == self._labels, params=params)]
        if expected is not None:
            rates.append(self._measured.rate("agreement", self._classes == expected, params=params))
        return rates

    def _latencies(self) -> list[Measurement]:
        latencies, params = self._result.latencies, self._timing_params()
        found = []
        for percent in (50, 90, 99):
            value, interval = self._percentile(percent)
            found.append(self._timed(f"latency_p{percent}", value, len(latencies), params, interval))
        bound = early_stopping_estimate(latencies)
        if bound is not None:
            found.append(self._timed("latency_p90_bound", bound, len(latencies), params))
        return found

    def _percentile(self, percent: int) -> tuple[float, Interval | None]:
        """Returns a percentile of all queries, and its interval over rounds, which vary more than single queries."""
        value = percentile(self._result.latencies, percent)[0]
        interval = rounds_interval(np.array([percentile(item, percent)[0] for item in self._result.by_round]))
        return value, None if interval is None else (min(interval[0], value), max(interval[1], value))

    def _other_times(self) -> list[Measurement]:
        result = self._result
        starts = result.cold_starts
        found = [self._timed("cold_start", float(np.median(starts)), len(starts), {})]
        for size, samples in zip(result.batch_sizes, result.throughputs.T, strict=True):
            if not np.isnan(samples).any():
                value, params = float(np.median(samples)), {"batch": int(size)}
                found.append(self._timed("throughput", value, len(samples), params, rounds_interval(samples)))
        energies = result.energies[np.isfinite(result.energies)]
        if len(energies):
            source = {"source": result.energy_source}
            found.append(self._timed("energy", float(np.median(energies)), len(energies), source))
        return found

    def _timing_params(self) -> dict[str, Any]:
        timing, rounds = asdict(self._timing), len(self._result.by_round)
        return {**{name: timing[name] for name in ("warm_up", "minimum_queries", "minimum_seconds")}, "rounds": rounds}

    def _find_flags(self) -> tuple[str, ...]:
        """Returns the flags of what was timed."""
        conditions = self._result.conditions
        throttling = [item.board.throttling for item in conditions if item.board and item.board.throttling]
        found: dict[str, bool] = {
            NOISY: any(item.noisy for item in conditions),
            THROTTLED: any(item.throttled for item in conditions),
            THROTTLED_SINCE_BOOT: any(item.since_boot for item in throttling),
            UNDER_VOLTAGE: any(item.under_voltage for item in throttling),
            OWN_KERNELS: self._result.provider == WITHOUT_XNNPACK,
            MORE_THREADS: self._has_more_threads_than_cores(),
            ONE_ROUND: len(conditions) == 1,
            RANDOM_INPUT: self._measured.cell.model.artifact is None or not len(self._labels),
        }
        return tuple(flag for flag, holds in found.items() if holds)

    def _has_more_threads_than_cores(self) -> bool:
        """Whether the target has more threads than its process could use cores, on the machine that measured."""
        threads, cores = self._measured.cell.target.threads, self._result.environment.get("usable_cores")
        return threads is not None and cores is not None and threads > cores

    def _timed(
        self, metric: str, value: float, n: int, params: Mapping[str, Any], interval: Interval | None = None
    ) -> Measurement:
        return self._measured.number(metric, value, n=n, params=params, interval=interval, flags=self._timed_flags)


def find_baseline(cell: Cell, cells: list[Cell]) -> Cell | None:
    """Returns the cell to compare with: float32 of the same format and target, or the first one without a float32.

    None for the baseline itself and for a Keras model.
    """
    candidates = [
        item
        for item in cells
        if (item.target, item.model.format, _source(item)) == (cell.target, cell.model.format, _source(cell))
    ]
    floats = [item for item in candidates if item.model.artifact and item.model.artifact.sidecar.recipe == "float32"]
    baseline = (floats or candidates)[0]
    return None if baseline == cell or cell.model.format == "keras" else baseline


def _source(cell: Cell) -> str:
    """Returns the SHA-256 of the Keras model that a file was exported from; empty for a file without a sidecar."""
    return "" if cell.model.artifact is None else cell.model.artifact.sidecar.source_sha256
