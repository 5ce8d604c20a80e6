"""How the change of one metric is computed, on numbers with a known answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from stored_sample import measurement, stored_cell, timed_cell

from tledge.bench.earlier.metric_change import (
    ASSUMED_VARIATION,
    TIMED_METRICS,
    BenchmarkVariation,
    MetricChange,
    find_change,
    find_paired_change,
)
from tledge.bench.measure.paired_run import PairedRun
from tledge.bench.results.stored_results import StoredCell
from tledge.core.significance import latency_ratio

pytestmark = pytest.mark.unit

NONE = BenchmarkVariation(dict.fromkeys(TIMED_METRICS, 0.0))
"""Of two benchmarks that do not differ by themselves."""


def ratio_of(new: Sequence[float], old: Sequence[float]) -> tuple[float, Any]:
    return latency_ratio([np.array([item]) for item in new], [np.array([item]) for item in old], paired=False)


def test_what_one_benchmark_did_not_measure_has_no_ratio() -> None:
    with_it, without = stored_cell({"energy": 5.0, "top1": 1.0}), stored_cell({"top1": 1.0})
    assert find_change("energy", without, without, variation=NONE) is None
    assert find_change("energy", with_it, without, variation=NONE) == MetricChange(metric="energy", old=5.0, new=None)
    assert find_change("energy", without, with_it, variation=NONE) == MetricChange(metric="energy", old=None, new=5.0)


@pytest.mark.parametrize(
    ("metric", "old", "new", "ratio"),
    [
        ("file_size", 4.0, 6.0, 1.5),
        ("latency_p50", 4.0, 6.0, 1.5),
        ("top1", 0.5, 0.75, None),
        ("agreement", 0.5, 0.75, None),
        ("energy", 0.0, 6.0, None),
        ("energy", 6.0, 0.0, None),
        ("energy", 0.5, 0.25, 0.5),
        ("energy", -1.0, 1.0, None),
    ],
)
def test_without_raw_samples_the_ratio_is_that_of_the_values(
    metric: str, old: float, new: float, ratio: float | None
) -> None:
    change = find_change(metric, stored_cell({metric: old}), stored_cell({metric: new}), variation=NONE)
    assert change == MetricChange(metric=metric, old=old, new=new, ratio=ratio, interval=None)


def test_a_latency_is_compared_over_rounds() -> None:
    old, new = timed_cell([4.0, 4.2, 4.1]), timed_cell([4.4, 4.8, 4.5])
    change = find_change("latency_p50", old, new, variation=NONE)
    assert change is not None
    ratio, interval = ratio_of([4.4, 4.8, 4.5], [4.0, 4.2, 4.1])
    assert (change.old, change.new) == (4.0, 4.4)
    assert change.ratio == pytest.approx(ratio)
    assert change.interval == pytest.approx(interval)
    assert change.difference == pytest.approx(0.4)
    high = find_change("latency_p90", with_metric(old, "latency_p90"), with_metric(new, "latency_p90"), variation=NONE)
    assert high is not None
    assert high.ratio == pytest.approx(ratio)  # the highest of three queries takes 1.2 times the median in all rounds


def with_metric(cell: StoredCell, metric: str) -> StoredCell:
    return replace(cell, measurements=(*cell.measurements, measurement(metric, 1.0)))


@pytest.mark.parametrize(
    ("metric", "options", "others"),
    [
        ("cold_start", {"cold_starts": [300.0, 310.0]}, {"cold_starts": [330.0, 350.0]}),
        ("load_time", {"load_times": [3.0, 3.1]}, {"load_times": [3.3, 3.5]}),
        ("throughput", {"throughputs": [[9.0, 300.0], [1.0, 310.0]]}, {"throughputs": [[7.0, 330.0], [2.0, 350.0]]}),
    ],
)
def test_other_times_are_compared_over_rounds_too(metric: str, options: Any, others: Any) -> None:
    change = find_change(metric, timed_cell([4.0, 4.0], **options), timed_cell([4.0, 4.0], **others), variation=NONE)
    scale = {"cold_start": 1.0, "load_time": 100.0, "throughput": 1.0}[metric]
    ratio, interval = ratio_of([330 / scale, 350 / scale], [300 / scale, 310 / scale])
    assert change is not None
    assert change.ratio == pytest.approx(ratio)
    assert change.interval == pytest.approx(interval)


def test_a_throughput_of_a_batch_without_samples_is_that_of_the_results() -> None:
    change = find_change("throughput", timed_cell([4.0, 4.0], batch=16), timed_cell([4.0, 4.0]), variation=NONE)
    assert change == MetricChange(metric="throughput", old=200.0, new=200.0, ratio=1.0)


@pytest.mark.parametrize("unusable", [[0.0, 3.0], [float("nan"), 3.0], [float("inf"), 3.0], [-1.0, 3.0]])
def test_rounds_without_a_positive_number_have_no_interval(unusable: list[float]) -> None:
    good = timed_cell([4.0, 4.0], load_times=[1.0, 1.1])
    for old, new in (
        (timed_cell([4.0, 4.0], load_times=unusable), good),
        (good, timed_cell([4, 4], load_times=unusable)),
    ):
        change = find_change("load_time", old, new, variation=NONE)
        assert change == MetricChange(metric="load_time", old=1.0, new=1.0, ratio=1.0)


def test_a_single_round_has_a_ratio_and_no_interval() -> None:
    change = find_change("latency_p50", timed_cell([4.0]), timed_cell([5.0, 5.0]), variation=NONE)
    assert change is not None
    assert (change.ratio, change.interval) == (pytest.approx(1.25), None)


@pytest.mark.parametrize("metric", ["latency_p50", "throughput"])
def test_a_slower_machine_widens_the_interval_down_to_what_its_speed_explains(metric: str) -> None:
    """Everything took 1.2 times as long, the reference workload too: the change may be the machine's alone."""
    speeds = [1.19, 1.2, 1.21]
    rates = [[100 / speed, 200 / speed] for speed in speeds]
    old = timed_cell([4.0, 4.0, 4.0], reference_times=[2.0, 2.0, 2.0], throughputs=[[100.0, 200.0]] * 3)
    slow = timed_cell([4 * s for s in speeds], reference_times=[2 * s for s in speeds], throughputs=rates)
    change = find_change(metric, old, slow, variation=NONE)
    expected = 1 / 1.2 if metric == "throughput" else 1.2
    low, high = ratio_of([expected * 1.2 / s for s in speeds], [1.0, 1.0, 1.0])[1]
    raw = ratio_of([4 * s for s in speeds] if metric == "latency_p50" else [200 / s for s in speeds], [4.0] * 3)
    assert change is not None
    assert change.ratio == pytest.approx(expected, rel=1e-3)
    assert change.interval is not None
    low, high = change.interval
    assert (low if expected > 1 else high) == pytest.approx(1.0)
    assert (high if expected > 1 else low) == pytest.approx(expected, rel=0.03)
    assert (high > expected) if expected > 1 else (low < expected)
    assert raw[1] is not None
    elsewhere = find_change(metric, old, slow, variation=None)  # reference times of two kinds of machine say nothing
    assert elsewhere is not None
    assert elsewhere.interval is not None
    assert not elsewhere.interval[0] <= 1 <= elsewhere.interval[1]
    unknown = timed_cell([4 * s for s in speeds], reference_times=[0.0, 2.4, 2.4], throughputs=rates)
    unnormalized = find_change(metric, old, unknown, variation=NONE)
    assert unnormalized is not None
    assert unnormalized.interval == elsewhere.interval


@pytest.mark.parametrize("speed", [0.8, 1.25])
def test_the_interval_reaches_from_the_raw_ratios_to_the_normalized_ones(speed: float) -> None:
    old_times, new_times = [1.98, 2.0, 2.02], [speed * 1.97, speed * 2.0, speed * 2.04]
    medians = [4.0 * speed] * 3
    old, new = timed_cell([4.0] * 3, reference_times=old_times), timed_cell(medians, reference_times=new_times)
    change = find_change("latency_p50", old, new, variation=NONE)
    raw = ratio_of(medians, [4.0] * 3)[1]
    normalized = ratio_of([4 * speed / time for time in new_times], [4 / time for time in old_times])[1]
    assert normalized[0] < 1 < normalized[1]
    assert change is not None
    expected = (raw[0], normalized[1]) if speed < 1 else (normalized[0], raw[1])
    assert change.interval == pytest.approx(expected)


def test_the_variation_is_the_largest_change_of_what_has_not_changed() -> None:
    pairs = [
        (timed_cell([4.0, 4.0]), timed_cell([4.08, 4.08])),
        (timed_cell([2.0, 2.0]), timed_cell([1.9, 1.9], load_times=[1.01, 1.01])),
    ]
    variation = BenchmarkVariation.of(pairs)
    assert variation.by_metric["latency_p50"] == pytest.approx(-math.log(0.95))
    assert variation.by_metric["load_time"] == pytest.approx(math.log(1.01))
    assert variation.by_metric["cold_start"] == 0
    assert set(variation.by_metric) == set(TIMED_METRICS)
    assert variation.widen("latency_p50", (0.5, 2.0)) == pytest.approx((0.5 * 0.95, 2.0 / 0.95))
    assert BenchmarkVariation.of([]).by_metric == {}
    assert BenchmarkVariation.of([(stored_cell({"top1": 1.0}), stored_cell({"top1": 0.5}))]).by_metric == {}


@pytest.mark.parametrize(("cells", "expected"), [(1, 0.03), (2, 0.03), (3, 0.001)])
def test_a_few_unchanged_cells_that_agree_do_not_replace_the_assumption_if_more_are_asked_for(
    cells: int, expected: float
) -> None:
    pairs = [(timed_cell([4.0, 4.0]), timed_cell([4.0 * math.exp(0.001)] * 2))] * cells
    assert BenchmarkVariation.of(pairs, enough_cells=3).by_metric["latency_p50"] == pytest.approx(expected)
    assert BenchmarkVariation.of(pairs).by_metric["latency_p50"] == pytest.approx(0.001)


def test_a_large_change_of_a_single_unchanged_cell_counts_in_full() -> None:
    pairs = [(timed_cell([4.0, 4.0]), timed_cell([4.4, 4.4]))]
    assert BenchmarkVariation.of(pairs, enough_cells=3).by_metric["latency_p50"] == pytest.approx(math.log(1.1))


def test_without_unchanged_cells_a_variation_is_assumed() -> None:
    widened = BenchmarkVariation({}).widen("latency_p50", (1.0, 2.0))
    assert pytest.approx(0.03) == ASSUMED_VARIATION
    assert widened == pytest.approx((math.exp(-0.03), 2 * math.exp(0.03)))
    old, new = timed_cell([4.0, 4.2]), timed_cell([4.4, 4.8])
    change = find_change("latency_p50", old, new, variation=BenchmarkVariation({}))
    assert change is not None
    low, high = ratio_of([4.4, 4.8], [4.0, 4.2])[1]
    assert change.interval == pytest.approx((low * math.exp(-0.03), high * math.exp(0.03)))


def paired(old: Any, new: Any) -> PairedRun:
    rounds = [[np.array(turns, float) for turns in side] for side in (old, new)]
    return PairedRun(old=rounds[0], new=rounds[1], old_sha256="a" * 64, new_sha256="b" * 64)


OLD_TURNS = [[[1, 2, 3], [2, 4, 6], [10, 10, 10]], [[1, 2, 3], [1, 2, 3], [1, 2, 3]]]
NEW_TURNS = [[[2, 3, 8], [4, 6, 7], [40, 40, 40]], [[1, 3, 8], [1, 4, 9], [1, 5, 8]]]


def test_a_paired_median_is_the_median_over_pairs_of_turns() -> None:
    """Ratios of the turns' medians: 1.5, 1.5 and 4 in the first round; 1.5, 2 and 2.5 in the second."""
    change = find_paired_change("latency_p50", paired(OLD_TURNS, NEW_TURNS))
    assert change.ratio == pytest.approx(math.sqrt(1.5 * 2))
    assert change.old == 2  # the 9th of 18
    assert change.new == 5
    paired_interval = latency_ratio([np.array([1.5]), np.array([2.0])], [np.ones(1)] * 2, paired=True)[1]
    assert change.interval == pytest.approx(paired_interval)


def test_a_paired_high_percentile_is_that_of_the_whole_round() -> None:
    change = find_paired_change("latency_p90", paired(OLD_TURNS, NEW_TURNS))
    assert change.ratio == pytest.approx(math.sqrt(40 / 10 * 9 / 3))
    assert (change.old, change.new) == (10, 40)
    slower = [[[2.5 * value for value in turn] for turn in turns] for turns in OLD_TURNS]
    assert find_paired_change("latency_p90", paired(OLD_TURNS, slower)).ratio == pytest.approx(2.5)


def test_one_paired_round_has_no_interval() -> None:
    change = find_paired_change("latency_p50", paired(OLD_TURNS[:1], NEW_TURNS[:1]))
    assert (change.ratio, change.interval) == (pytest.approx(1.5), None)


def test_a_change_is_json_with_its_unit() -> None:
    change = MetricChange(metric="latency_p50", old=4.0, new=5.0, ratio=1.25, interval=(1.1, 1.4), verdict="slower")
    assert change.to_dict() == {
        "metric": "latency_p50",
        "old": 4.0,
        "new": 5.0,
        "ratio": 1.25,
        "interval": (1.1, 1.4),
        "verdict": "slower",
        "unit": "ms",
    }
    assert change.difference == 1.0
    assert MetricChange(metric="x", old=4.0, new=9.0).difference == 5.0
    assert MetricChange(metric="x", old=4.0, new=None).difference is None
    assert MetricChange(metric="x", old=None, new=4.0).difference is None


# Which cell is which
