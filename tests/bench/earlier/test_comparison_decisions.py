"""What a comparison decides, on numbers with a known answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from stored_sample import PI, SETTINGS, SHA, measurement, raw_samples, stored_cell, stored_results

from tledge.bench.earlier.cell_match import is_unchanged, match
from tledge.bench.earlier.comparison import UNCHANGED, ComparedRow, compare_with_earlier
from tledge.bench.earlier.environment_changes import EnvironmentChanges, find_changes
from tledge.bench.earlier.metric_change import (
    ASSUMED_VARIATION,
    COMPARED_METRICS,
    TIMED_METRICS,
    BenchmarkVariation,
    MetricChange,
    find_change,
    find_paired_change,
)
from tledge.bench.measure.paired_run import PairedRun
from tledge.bench.results.cell_result import CellResult
from tledge.bench.results.flags import UNTIMELY
from tledge.bench.results.stored_results import StoredCell
from tledge.core.errors import MeasurementError
from tledge.core.measurement import Measurement
from tledge.core.significance import latency_ratio

pytestmark = pytest.mark.unit

NONE = BenchmarkVariation(dict.fromkeys(TIMED_METRICS, 0.0))
"""Of two benchmarks that do not differ by themselves."""


def ratio_of(new: Sequence[float], old: Sequence[float]) -> tuple[float, Any]:
    return latency_ratio([np.array([item]) for item in new], [np.array([item]) for item in old], paired=False)


def timed_cell(medians: Sequence[float], **options: Any) -> StoredCell:
    """A cell whose rounds have these medians; the latency in its results is that of the first."""
    cell = {name: options.pop(name) for name in ("artifact", "target", "environment") if name in options}
    sha256 = options.get("sha256", SHA)
    batch = options.pop("batch", 8)
    values = [
        measurement("latency_p50", medians[0]),
        measurement("throughput", 200.0, params={"batch": batch}),
        measurement("throughput", 100.0, params={"batch": 1}),
        measurement("cold_start", 100.0),
        measurement("load_time", 1.0),
    ]
    return stored_cell(values, raw_samples(medians, **options), sha256=sha256, **cell)


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


def cells(*names: tuple[str, str]) -> list[StoredCell]:
    return [stored_cell({"top1": 1.0}, artifact=artifact, target=target) for artifact, target in names]


def matched(old: list[StoredCell], new: list[StoredCell]) -> list[tuple[str, str]]:
    return [(f"{a.artifact}@{a.target}", f"{b.artifact}@{b.target}") for a, b in match(old, new)]


def test_cells_match_by_artifact_and_target() -> None:
    old = cells(("a", "litert:cpu:1"), ("a", "litert:cpu:2"), ("b", "litert:cpu:1"))
    new = cells(("b", "litert:cpu:1"), ("a", "litert:cpu:2"), ("c", "litert:cpu:1"))
    assert matched(old, new) == [("b@litert:cpu:1", "b@litert:cpu:1"), ("a@litert:cpu:2", "a@litert:cpu:2")]


def test_cells_of_other_thread_counts_match_if_unambiguous() -> None:
    one, two, four = ("a", "litert:cpu:1"), ("a", "litert:cpu:2"), ("a", "litert:cpu:4")
    assert matched(cells(one), cells(four)) == [("a@litert:cpu:1", "a@litert:cpu:4")]
    assert matched(cells(one, two), cells(four)) == []
    assert matched(cells(four), cells(one, two)) == []
    assert matched(cells(one, two), cells(one, four)) == [
        ("a@litert:cpu:1", "a@litert:cpu:1"),
        ("a@litert:cpu:2", "a@litert:cpu:4"),
    ]
    assert matched(cells(one), cells(one, four)) == [("a@litert:cpu:1", "a@litert:cpu:1")]
    assert matched(cells(one), cells(("b", "litert:cpu:4"))) == []
    assert matched(cells(one), cells(("a", "litert:npu"))) == []
    assert matched(cells(one), cells(("a", "onnxruntime:cpu:4"))) == []


def test_a_cell_is_unchanged_if_file_target_provider_machine_and_software_are() -> None:
    base = stored_cell([measurement("top1", 1.0, params={"provider": "XNNPACK"})])
    assert is_unchanged(base, base)
    assert is_unchanged(base, replace(base, environment=replace(PI, host="other")))
    assert not is_unchanged(base, stored_cell({"top1": 1.0}))
    assert not is_unchanged(base, replace(base, target="litert:cpu:4"))
    assert not is_unchanged(base, replace(base, environment=replace(PI, cores=8)))
    assert not is_unchanged(base, replace(base, environment=replace(PI, python="3.12.0")))
    assert not is_unchanged(base, replace(base, environment=None))
    other = stored_cell([measurement("top1", 1.0, params={"provider": "XNNPACK"})], sha256="b" * 64)
    assert not is_unchanged(base, other)


# What differs between machines


@pytest.mark.parametrize(
    ("change", "machine"),
    [
        ({"cpu": "Core i7"}, "CPU Cortex-A76 → Core i7"),
        ({"machine": "x86_64"}, "architecture aarch64 → x86_64"),
        ({"cores": 8}, "cores 4 → 8"),
        ({"usable_cores": 2}, "usable cores 4 → 2"),
        ({"cpu_features": ("asimd",)}, "only one has the CPU features asimddp"),
        ({"cpu_features": tuple("abcde")}, "only one has the CPU features a, asimd, asimddp, b …"),
        ({"cpu_features": ("asimd", "asimddp", "c", "b", "d", "a")}, "only one has the CPU features a, b, c, d"),
    ],
)
def test_another_kind_of_machine(change: Any, machine: str) -> None:
    changes = find_changes(PI, replace(PI, **change))
    assert changes == EnvironmentChanges(machine=(machine,))
    assert changes.text == f"measured on another machine: {machine}"


@pytest.mark.parametrize(
    ("change", "software"),
    [
        ({"os": "Debian 13"}, "system Debian 12 → Debian 13"),
        ({"governor": ""}, "governor ondemand → none"),
        ({"python": "3.12.0"}, "Python 3.11.2 → 3.12.0"),
        ({"packages": {"tledge": "0.1.0", "numpy": "2.1.0"}}, "numpy 2.0.0 → 2.1.0"),
        ({"packages": {"tledge": "0.1.0"}}, "numpy 2.0.0 → none"),
        ({"packages": {**PI.packages, "onnx": "1.0"}}, "onnx none → 1.0"),
    ],
)
def test_other_software(change: Any, software: str) -> None:
    changes = find_changes(PI, replace(PI, **change))
    assert changes == EnvironmentChanges(software=(software,))
    assert changes.text == f"measured with other software: {software}"


def test_other_hosts_and_unknown_machines() -> None:
    assert find_changes(PI, PI) == EnvironmentChanges()
    assert find_changes(PI, PI).text == ""
    assert find_changes(PI, replace(PI, memory=1)).text == ""
    assert find_changes(PI, replace(PI, host="b")).text == "measured on another host of the same kind: pi → b"
    for old, new in ((None, PI), (PI, None), (None, None)):
        changes = find_changes(old, new)
        assert changes.machine
        assert changes.text.startswith("the earlier machine is not known")
    both = find_changes(PI, replace(PI, cpu="i7", cpu_features=(), python="3.12.0"))
    assert both.text == "measured on another machine: CPU Cortex-A76 → i7; Python 3.11.2 → 3.12.0"


# Verdicts


def latency_cell(medians: Sequence[float], sha256: str = SHA, flags: Any = (), **options: Any) -> StoredCell:
    value = measurement("latency_p50", medians[0], flags=flags)
    return stored_cell([value], raw_samples(medians, sha256=sha256), sha256=sha256, **options)


def compare_cells(old: StoredCell, new: StoredCell, **options: Any) -> ComparedRow:
    (row,) = compare_with_earlier(stored_results(new), stored_results(old, name="old"), **options).rows
    return row


NEW = "b" * 64


@pytest.mark.parametrize(
    ("medians", "verdict"),
    [
        ([4.3, 4.3], "slower"),  # 1.075 exceeds 1.02 even if the benchmarks differ by the assumed 3%
        ([4.2, 4.2], ""),  # 1.05 may be 1.02 and the variation
        ([4.0, 4.0], ""),
        ([3.82, 3.82], ""),
        ([3.7, 3.7], "faster"),
    ],
)
def test_latency_is_judged_by_an_interval_that_allows_for_variation(medians: list[float], verdict: str) -> None:
    row = compare_cells(latency_cell([4.0, 4.0]), latency_cell(medians, NEW))
    assert row.no_latency_verdict == ""
    assert row.changes["latency_p50"].verdict == verdict
    assert row.verdicts == ((verdict,) if verdict else ())
    assert (row.unchanged, row.other_machine, row.again) == (False, False, False)


def test_unchanged_cells_measured_beside_it_replace_the_assumed_variation() -> None:
    def results(name: str, changed: StoredCell, other: float) -> Any:
        return stored_results(latency_cell([other, other], artifact="f.tflite"), changed, name=name)

    quiet = compare_with_earlier(
        results("new", latency_cell([4.2, 4.2], NEW), 6.0), results("old", latency_cell([4.0, 4.0]), 6.0)
    )
    assert quiet.rows[1].verdicts == ("slower",)
    drifted = compare_with_earlier(
        results("new", latency_cell([4.6, 4.6], NEW), 6.9), results("old", latency_cell([4.0, 4.0]), 6.0)
    )
    assert drifted.rows[1].verdicts == ()
    assert drifted.rows[0].no_latency_verdict == UNCHANGED


def test_the_same_file_is_not_judged() -> None:
    row = compare_cells(latency_cell([4.0, 4.0]), latency_cell([8.0, 8.0]))
    assert (row.unchanged, row.no_latency_verdict, row.no_times_verdict) == (True, UNCHANGED, UNCHANGED)
    assert row.verdicts == ()


def test_other_thread_counts_and_machines_are_compared_without_variation() -> None:
    row = compare_cells(latency_cell([4.0, 4.0]), latency_cell([4.1, 4.1], target="litert:cpu:4"))
    assert row.other_machine
    assert (row.old_target, row.target) == ("litert:cpu:2", "litert:cpu:4")
    assert row.verdicts == ("slower",)  # 1.025, exactly
    row = compare_cells(latency_cell([4.0, 4.0]), latency_cell([4.1, 4.1], environment=replace(PI, cpu="i7")))
    assert row.other_machine
    assert row.verdicts == ("slower",)


@pytest.mark.parametrize("flag", UNTIMELY)
@pytest.mark.parametrize("side", ["before", "now"])
def test_flagged_times_are_not_judged(flag: str, side: str) -> None:
    old = latency_cell([4.0, 4.0], flags=(flag,) if side == "before" else ())
    new = latency_cell([8.0, 8.0], NEW, flags=(flag,) if side == "now" else ())
    row = compare_cells(old, new)
    assert row.no_latency_verdict.startswith(f"{flag.replace('_', ' ')} {side}: ")
    assert row.no_times_verdict == row.no_latency_verdict
    assert row.verdicts == ()


def test_other_flags_do_not_prevent_a_verdict() -> None:
    row = compare_cells(latency_cell([4.0, 4.0], flags=("random_input",)), latency_cell([8.0, 8.0], NEW))
    assert row.verdicts == ("slower",)


def test_why_latency_is_not_judged() -> None:
    good, once = latency_cell([4.0, 4.0]), latency_cell([4.0])
    new, new_once = latency_cell([8.0, 8.0], NEW), latency_cell([8.0], NEW)
    lone, new_lone = stored_cell({"latency_p50": 4.0}), stored_cell({"latency_p50": 8.0}, sha256=NEW)
    assert compare_cells(once, new).no_latency_verdict.startswith("one round before, which")
    assert compare_cells(good, new_once).no_latency_verdict.startswith("one round now, which")
    assert compare_cells(lone, new).no_latency_verdict == "no raw samples before"
    assert compare_cells(good, new_lone).no_latency_verdict == "no raw samples now"
    nothing = stored_cell({"top1": 1.0}, sha256=NEW)
    assert compare_cells(good, nothing).no_latency_verdict == "one of the benchmarks did not measure latency"
    assert compare_cells(stored_cell({"top1": 1.0}), new).no_latency_verdict.startswith("one of the benchmarks did")
    broken = stored_cell([measurement("latency_p50", 8.0)], raw_samples([float("nan")] * 2, sha256=NEW), sha256=NEW)
    assert compare_cells(good, broken).no_latency_verdict == "too few samples"


def test_a_paired_run_of_these_files_replaces_the_latencies() -> None:
    old, new = latency_cell([4.0, 4.0], flags=("noisy",)), latency_cell([40.0, 40.0], NEW)
    rounds = [np.full((10, 5), 4.0), np.full((10, 5), 4.1)]
    slower = [item * 1.1 for item in rounds]

    def measured(run_old: str, run_new: str, count: int = 2, artifact: str = "int8.tflite") -> ComparedRow:
        run = PairedRun(old=rounds[:count], new=slower[:count], old_sha256=run_old, new_sha256=run_new)
        return compare_cells(old, new, paired_runs={(artifact, "litert:cpu:2"): run})

    row = measured(SHA, NEW)
    assert (row.again, row.no_latency_verdict, row.verdicts) == (True, "", ("slower",))
    assert row.no_times_verdict.startswith("noisy before")
    assert set(row.changes) == {"latency_p50", "latency_p90", "latency_p99"}
    assert row.changes["latency_p50"].ratio == pytest.approx(1.1)
    once = measured(SHA, NEW, count=1)
    assert once.no_latency_verdict.startswith("one round, which")
    assert once.verdicts == ()
    for strangers in (measured(SHA, SHA), measured(NEW, NEW), measured(SHA, NEW, artifact="other.tflite")):
        assert not strangers.again
        assert strangers.changes["latency_p50"].ratio == pytest.approx(10)


def logits_cell(right: int, photos: int = 20, **options: Any) -> tuple[StoredCell, CellResult]:
    """A cell that classifies the first ``right`` photos, of class 0, rightly."""
    logits = [[1.0, 0.0] if index < right else [0.0, 1.0] for index in range(photos)]
    samples = raw_samples([4.0, 4.0], logits=logits)
    interval = options.pop("interval", None)
    return stored_cell([measurement("top1", right / photos, interval=interval)], samples, **options), samples


@pytest.mark.parametrize(
    ("right", "p_value", "verdict"),
    [(20, 1.0, ""), (15, 2 / 2**5, ""), (14, 2 / 2**6, "worse"), (10, 2 / 2**10, "worse")],
)
def test_top1_is_judged_by_mcnemars_test_on_the_same_photos(right: int, p_value: float, verdict: str) -> None:
    """Five of 20 photos more are no significant difference, six are."""
    (old, _), (new, _) = logits_cell(20), logits_cell(right)
    labels = [0] * 20

    def compared(before: StoredCell, after: StoredCell) -> ComparedRow:
        (row,) = compare_with_earlier(
            stored_results(after, labels=labels), stored_results(before, name="old", labels=labels)
        ).rows
        return row

    row = compared(old, new)
    assert row.mcnemar_p == pytest.approx(p_value)
    assert row.same_photos
    assert row.changes["top1"].verdict == verdict
    assert compared(new, old).changes["top1"].verdict == verdict.replace("worse", "better")


def test_without_the_same_photos_top1_is_judged_by_intervals() -> None:
    def compared(old: Any, new: Any, **options: Any) -> ComparedRow:
        cells = [logits_cell(int(20 * value), interval=interval)[0] for value, interval in (old, new)]
        others = {"settings": replace(SETTINGS, photos="others"), "labels": [0] * 20, **options}
        (row,) = compare_with_earlier(
            stored_results(cells[1], labels=[0] * 20), stored_results(cells[0], name="old", **others)
        ).rows
        return row

    apart, touching = (0.5, (0.3, 0.6)), (0.5, (0.3, 0.8))
    high, above = (1.0, (0.8, 1.0)), (0.5, (0.3, 0.799))
    assert compared(high, apart).changes["top1"].verdict == "worse"
    assert compared(apart, high).changes["top1"].verdict == "better"
    assert compared(high, above).changes["top1"].verdict == "worse"
    assert compared(high, touching).changes["top1"].verdict == ""
    assert compared(touching, high).changes["top1"].verdict == ""
    assert compared(high, (0.5, None)).changes["top1"].verdict == ""
    assert compared((0.5, None), high).changes["top1"].verdict == ""
    assert compared((0.5, (0.6, 0.7)), (0.5, (0.8, 0.9))).changes["top1"].verdict == ""  # equal values
    row = compared(high, apart)
    assert (row.same_photos, row.mcnemar_p) == (False, None)
    for options in ({"settings": None}, {"settings": SETTINGS, "labels": [1] * 20}):
        assert not compared(high, apart, **options).same_photos
    assert compared(high, apart, settings=SETTINGS).same_photos


def test_mcnemars_test_needs_all_logits() -> None:
    full, fewer = logits_cell(20)[0], logits_cell(12, photos=19)[0]
    labels = [0] * 20
    for old, new in (
        (full, fewer),
        (fewer, full),
        (full, stored_cell({"top1": 0.5})),
        (stored_cell({"top1": 1}), full),
    ):
        row = compare_with_earlier(
            stored_results(new, labels=labels), stored_results(old, name="old", labels=labels)
        ).rows[0]
        assert row.mcnemar_p is None


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ({"attack": ["pgd"]}, {"attack": ["pgd"]}, True),
        ({"attack": ["pgd"]}, {"attack": ["fgsm"]}, False),
        ({}, {}, False),
        ({}, {"attack": ["pgd"]}, False),
        ({"attack": ["pgd"]}, {"attack": ["pgd"], "versions": {}}, True),  # from before versions were recorded
        ({"attack": ["square"]}, {"attack": ["square"], "versions": {"square": 2}}, False),
        ({"attack": ["square"], "versions": {"square": 2}}, {"attack": ["square"], "versions": {"square": 2}}, True),
        ({"attack": ["square"], "versions": {"square": 2}}, {"attack": ["square"], "versions": {"square": 3}}, False),
    ],
)
def test_attacks_are_the_same_if_asked_alike(old: Any, new: Any, same: bool) -> None:
    def row(**changes: Any) -> ComparedRow:
        cell = stored_cell({"top1": 1.0})
        return compare_with_earlier(
            stored_results(cell, settings=replace(SETTINGS, attacks=new)),
            stored_results(cell, name="old", settings=replace(SETTINGS, attacks=old, **changes)),
        ).rows[0]

    assert row().same_attacks is same
    assert not row(photos="others").same_attacks
    assert not row(attacked_with={"set": "x"}).same_attacks


def test_attacks_without_settings_are_not_the_same() -> None:
    cell, attacked = stored_cell({"top1": 1.0}), replace(SETTINGS, attacks={"attack": ["pgd"]})
    for old, new in ((None, attacked), (attacked, None)):
        row = compare_with_earlier(
            stored_results(cell, settings=new), stored_results(cell, name="old", settings=old)
        ).rows[0]
        assert not row.same_attacks


def test_a_comparison_lists_what_only_one_benchmark_has() -> None:
    def one(artifact: str, **options: Any) -> StoredCell:
        return stored_cell({"top1": 1.0}, artifact=artifact, **options)

    desk = replace(PI, cpu="i7")
    new = stored_results(one("b", environment=desk), one("c"), one("d", environment=desk))
    comparison = compare_with_earlier(new, stored_results(one("a"), one("b"), one("d"), name="old"))
    assert [row.name for row in comparison.rows] == ["b on litert:cpu:2", "d on litert:cpu:2"]
    assert comparison.only_old == (("a", "litert:cpu:2"),)
    assert comparison.only_new == (("c", "litert:cpu:2"),)
    assert comparison.environments == ("measured on another machine: CPU Cortex-A76 → i7",)
    assert comparison.of("b", "litert:cpu:2") is comparison.rows[0]
    assert comparison.of("b", "litert:cpu:1") is None
    assert comparison.of("a", "litert:cpu:2") is None
    assert compare_with_earlier(stored_results(one("a")), stored_results(one("a"))).environments == ()


def test_the_order_of_metrics_is_that_of_tables() -> None:
    values = dict.fromkeys((*COMPARED_METRICS[::-1], "attack_time"), 1.0)
    values.pop("robust_accuracy")
    row = compare_cells(stored_cell(values), stored_cell(values))
    assert tuple(row.changes) == COMPARED_METRICS[:-1]


@pytest.mark.parametrize("count", [4, 5])
def test_benchmarks_without_a_common_cell_are_an_error_that_names_some(count: int) -> None:
    def many(letter: str) -> list[StoredCell]:
        return [stored_cell({"top1": 1.0}, artifact=f"{letter}{index}") for index in range(count)]

    with pytest.raises(MeasurementError) as error:
        compare_with_earlier(stored_results(*many("n")), stored_results(*many("o"), name="old"))
    listed = ", ".join(f"o{index} on litert:cpu:2" for index in range(4)) + " and more" * (count > 4)
    assert f"'old.jsonl' has no artifact and target in common with 'new.jsonl': it measured {listed};" in str(
        error.value
    )


def test_a_comparison_is_json() -> None:
    record = compare_with_earlier(
        stored_results(latency_cell([8.0, 8.0], NEW)), stored_results(latency_cell([4.0, 4.0]))
    ).to_dict()
    assert record["rows"][0]["verdicts"] == ["slower"]
    assert record["rows"][0]["artifact"] == "int8.tflite"
    assert record["rows"][0]["changes"]["latency_p50"]["unit"] == "ms"
    assert (record["only_old"], record["only_new"], record["environments"]) == ([], [], [])


def find(cell: StoredCell, metric: str) -> Measurement:
    found = cell.find(metric)
    assert found is not None
    return found


def test_a_throughput_is_that_of_the_best_batch() -> None:
    assert find(timed_cell([4.0, 4.0]), "throughput").params == {"batch": 8}
