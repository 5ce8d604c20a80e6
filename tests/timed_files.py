"""Results of files with chosen latencies, accuracies and sizes, whose right recommendation is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from stored_sample import SETTINGS, measurement, raw_samples, stored_cell, stored_results

from tledge.bench.results.stored_results import StoredCell, StoredResults
from tledge.core.statistics import wilson_interval

PHOTOS = 200
FAST, SLOW_ROUNDS = (1.0, 1.01, 0.99), (2.0, 2.01, 1.99)


def file(
    name: str,
    medians: Sequence[float] = FAST,
    *,
    wrong: int = 0,
    size: float = 1000.0,
    target: str = "litert:cpu:2",
    flags: tuple[str, ...] = (),
    provider: str = "XNNPACK",
) -> StoredCell:
    """A result: a median latency in each round, photos that the file mistakes, and its size; p90 is 1.2 times p50."""
    logits = np.tile(np.float32([1, 0]), (PHOTOS, 1))
    logits[:wrong] = [0, 1]
    interval = (1.2 * min(medians), 1.2 * max(medians)) if len(medians) > 1 else None
    middle = float(np.median(medians))
    params = {"provider": provider}
    measured = [
        measurement("file_size", size, params=params),
        measurement("top1", 1 - wrong / PHOTOS, params=params, interval=wilson_interval(PHOTOS - wrong, PHOTOS)),
        measurement("latency_p50", middle, flags=flags, interval=interval),
        measurement("latency_p90", 1.2 * middle, flags=flags, interval=interval),
    ]
    return stored_cell(measured, raw_samples(medians, logits=logits), artifact=name, target=target)


def with_tail(cell: StoredCell, p90: float) -> StoredCell:
    """The result with another p90 in every round: the slowest of its three queries."""
    assert cell.raw is not None
    latencies = cell.raw.latencies.copy()
    latencies[2::3] = p90
    measured = tuple(
        replace(item, value=p90, interval=(p90, p90)) if item.metric == "latency_p90" else item
        for item in cell.measurements
    )
    return replace(cell, raw=replace(cell.raw, latencies=latencies), measurements=measured)


def of(*cells: StoredCell, budget: Sequence[str] = ()) -> StoredResults:
    """A benchmark of some results, with a budget."""
    return stored_results(*cells, labels=[0] * PHOTOS, settings=replace(SETTINGS, budget=tuple(budget)))
