"""A cell's measurements, computed from its raw samples.

``core.metric_catalogue`` declares the metrics and says how to add one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from tledge.bench.results.cell_result import CellResult, Timing
from tledge.bench.results.cells import Cell
from tledge.bench.results.flags import (
    NOISY,
    RANDOM_INPUT,
    THROTTLED,
    THROTTLED_SINCE_BOOT,
    UNDER_VOLTAGE,
    WRONG_CPU,
)
from tledge.core.cpu import mismatch_on
from tledge.core.measurement import Measurement
from tledge.core.metric_catalogue import METRICS
from tledge.core.significance import Interval, latency_ratio, mcnemar, rounds_interval
from tledge.core.statistics import early_stopping_estimate, percentile, wilson_interval

Classes = npt.NDArray[np.intp]


class CellMetrics:
    """The measurements of one cell.

    Args:
        cell: the artifact and its target.
        result: its raw samples.
        timing: how each round was timed.
        labels: (images,), the class of each test image; empty if none were classified.
        photos: "test" for the test split of a run, or "given" for photos of unknown origin.
    """

    def __init__(self, cell: Cell, result: CellResult, timing: Timing, labels: Classes, photos: str = "test") -> None:
        self._cell = cell
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
        name = baseline._cell.model.name
        mine, other = self._result, baseline._result
        compared: list[Measurement] = []
        if mine.timed and other.timed:
            paired = len(mine.by_round) == len(other.by_round)
            ratio, interval = latency_ratio(mine.by_round, other.by_round, paired=paired)
            flags = tuple(sorted({*self._timed_flags, *baseline._timed_flags}))
            params = {"against": name}
            compared.append(self._measurement("latency_ratio", ratio, len(mine.latencies), interval, params, flags))
        if len(self._classes) and len(self._classes) == len(baseline._classes):
            right, others = self._classes == self._labels, baseline._classes == self._labels
            only_mine, only_other = int((right & ~others).sum()), int((others & ~right).sum())
            counts = {"against": name, "only_this_right": only_mine, "only_baseline_right": only_other}
            p_value = mcnemar(only_mine, only_other)
            compared.append(self._measurement("mcnemar", p_value, len(right), None, counts))
        return compared

    def _static(self) -> list[Measurement]:
        result = self._result
        size = self._cell.model.path.stat().st_size
        found = [self._measurement("file_size", size, 1)]
        if not result.timed:
            return found
        memory = float(np.median(result.peak_memories))
        return [
            *found,
            self._measurement("load_time", float(np.median(result.load_times)), len(result.load_times)),
            self._measurement("peak_memory", memory, len(result.peak_memories)),
        ]

    def _accuracy(self, expected: Classes | None) -> list[Measurement]:
        if not len(self._classes):
            return []
        rates = [self._rate("top1", self._classes == self._labels)]
        if expected is not None:
            rates.append(self._rate("agreement", self._classes == expected))
        return rates

    def _rate(self, metric: str, hits: npt.NDArray[np.bool_]) -> Measurement:
        params = {"split": self._photos}
        return rate_of(self._cell, self._result, metric=metric, hits=hits, params=params)

    def _latencies(self) -> list[Measurement]:
        latencies, params = self._result.latencies, self._timing_params()
        found = []
        for percent in (50, 90, 99):
            value, interval = self._percentile(percent)
            found.append(self._timed(f"latency_p{percent}", value, len(latencies), interval, params))
        bound = early_stopping_estimate(latencies)
        if bound is not None:
            found.append(self._timed("latency_p90_bound", bound, len(latencies), None, params))
        return found

    def _percentile(self, percent: int) -> tuple[float, Interval | None]:
        """Returns a percentile of all queries, and its interval over rounds, which vary more than single queries."""
        value = percentile(self._result.latencies, percent)[0]
        interval = rounds_interval(np.array([percentile(item, percent)[0] for item in self._result.by_round]))
        return value, None if interval is None else (min(interval[0], value), max(interval[1], value))

    def _other_times(self) -> list[Measurement]:
        result = self._result
        starts = result.cold_starts
        found = [self._timed("cold_start", float(np.median(starts)), len(starts), None, {})]
        for size, samples in zip(result.batch_sizes, result.throughputs.T, strict=True):
            if not np.isnan(samples).any():
                value, params = float(np.median(samples)), {"batch": int(size)}
                found.append(self._timed("throughput", value, len(samples), rounds_interval(samples), params))
        energies = result.energies[np.isfinite(result.energies)]
        if len(energies):
            source = {"source": result.energy_source}
            found.append(self._timed("energy", float(np.median(energies)), len(energies), None, source))
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
            RANDOM_INPUT: self._cell.model.artifact is None or not len(self._labels),
        }
        return tuple(flag for flag, holds in found.items() if holds)

    def _timed(
        self, metric: str, value: float, n: int, interval: Interval | None, params: Mapping[str, Any]
    ) -> Measurement:
        return self._measurement(metric, value, n, interval, params, self._timed_flags)

    def _measurement(  # noqa: PLR0917
        self,
        metric: str,
        value: float,
        n: int,
        interval: Interval | None = None,
        params: Mapping[str, Any] | None = None,
        flags: tuple[str, ...] = (),
    ) -> Measurement:
        return measurement_of(
            self._cell,
            self._result,
            metric=metric,
            value=value,
            n=n,
            interval=interval,
            params=params,
            flags=flags,
        )


def rate_of(
    cell: Cell,
    result: CellResult,
    *,
    metric: str,
    hits: npt.NDArray[np.bool_],
    params: Mapping[str, Any],
    flags: tuple[str, ...] = (),
) -> Measurement:
    """Returns the fraction of images with a property, with its 95% Wilson interval.

    Args:
        cell: the artifact and its target.
        result: its raw samples.
        metric, params, flags: see ``Measurement``.
        hits: (images,), whether an image has the property.
    """
    count, artifact = int(hits.sum()), cell.model.artifact
    machine, features = result.environment["machine"], result.environment["cpu_features"]
    other_cpu = artifact is not None and mismatch_on(artifact.sidecar.cpu, machine, features)
    wrong = (WRONG_CPU,) if other_cpu else ()
    return measurement_of(
        cell,
        result,
        metric=metric,
        value=count / len(hits),
        n=len(hits),
        interval=wilson_interval(count, len(hits)),
        params=params,
        flags=(*wrong, *flags),
    )


def measurement_of(
    cell: Cell,
    result: CellResult,
    *,
    metric: str,
    value: float,
    n: int,
    interval: Interval | None = None,
    params: Mapping[str, Any] | None = None,
    flags: tuple[str, ...] = (),
) -> Measurement:
    """Returns a measurement of a cell; the arguments are the fields of ``Measurement``."""
    return Measurement(
        artifact=cell.model.name,
        artifact_sha256=result.artifact_sha256,
        target=str(cell.target),
        scenario=METRICS[metric].scenario,
        metric=metric,
        value=value,
        n=n,
        interval=interval,
        params={"provider": result.provider, **(params or {})},
        environment=result.environment_id,
        flags=flags,
    )


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
