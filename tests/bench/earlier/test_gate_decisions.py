"""The gate's decisions, on numbers with a known answer: at each limit and on both sides of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from stored_sample import measurement, stored_cell, stored_results

from tledge.bench.earlier.comparison import ComparedRow, Comparison
from tledge.bench.earlier.gate import (
    GATE_METRICS,
    GateCondition,
    GateResult,
    check_conditions,
    check_rows,
    is_shown,
    parse_conditions,
)
from tledge.bench.earlier.metric_change import MetricChange
from tledge.bench.results.stored_results import CellName
from tledge.core.errors import OptionError, UnknownNameError

pytestmark = pytest.mark.unit

INT8 = ("int8.tflite", "litert:cpu:2")


def condition(text: str) -> GateCondition:
    (found,) = parse_conditions([text], compared=True)
    return found


def check(text: str, value: float, metric: str = "") -> GateResult:
    """The gate's result for a cell with one metric."""
    name = metric or GATE_METRICS[condition(text).metric].metric
    return check_conditions([condition(text)], stored_results(stored_cell({name: value})), None)


def compared_row(metric: str, old: float | None, new: float | None, **options: Any) -> ComparedRow:
    change = {name: options.pop(name) for name in ("ratio", "interval") if name in options}
    fields = {"unchanged": False, "other_machine": False, "same_photos": True, "same_attacks": True, **options}
    return ComparedRow(
        artifact=INT8[0],
        target=INT8[1],
        old_target=INT8[1],
        changes={metric: MetricChange(metric=metric, old=old, new=new, **change)},
        **fields,
    )


def comparison(
    *rows: ComparedRow, only_old: tuple[CellName, ...] = (), only_new: tuple[CellName, ...] = ()
) -> Comparison:
    return Comparison(
        old=Path("old"), new=Path("new"), rows=rows, only_old=only_old, only_new=only_new, environments=()
    )


def compare_with(text: str, metric: str, old: float | None, new: float, **options: Any) -> GateResult:
    """The gate's result for a cell whose metric was ``old`` before."""
    cell = stored_cell([measurement(metric, new, params={"attack": "worst"})])
    row = compared_row(metric, old, new, **options)
    return check_conditions([condition(text)], stored_results(cell), comparison(row))


@pytest.mark.parametrize(
    ("operator", "broken"),
    [
        ("<", [True, False, False]),
        ("<=", [True, True, False]),
        (">", [False, False, True]),
        (">=", [False, True, True]),
    ],
)
def test_an_absolute_limit_breaks_at_its_boundary_or_beyond(operator: str, broken: list[bool]) -> None:
    for value, expected in zip((4.999, 5.0, 5.001), broken, strict=True):
        result = check(f"p50_ms {operator} 5", value)
        assert result.passed is not expected
        assert len(result.violations) == expected
        assert result.checked == 1
        assert (result.unjudged, result.unsure) == ((), ())


@pytest.mark.parametrize(
    ("name", "metric", "value", "shown"),
    [
        ("top1", "top1", 0.97, "0.97"),
        ("agreement", "agreement", 0.5, "0.5"),
        ("p50_ms", "latency_p50", 1.25, "1.25"),
        ("p90_ms", "latency_p90", 1.25, "1.25"),
        ("p99_ms", "latency_p99", 1.25, "1.25"),
        ("throughput", "throughput", 812.5, "812.5"),
        ("cold_start_ms", "cold_start", 350.0, "350"),
        ("load_time_ms", "load_time", 3.5, "3.5"),
        ("peak_memory_mb", "peak_memory", 21_500_000.0, "21.5"),
        ("size_mb", "file_size", 2_500_000.0, "2.5"),
        ("size_kb", "file_size", 2_500.0, "2.5"),
        ("energy_mj", "energy", 12.5, "12.5"),
        ("p90_bound_ms", "latency_p90_bound", 1.25, "1.25"),
        ("mean_corruption_error", "mean_corruption_error", 1.25, "1.25"),
    ],
)
def test_each_metric_is_held_against_limits_in_its_own_unit(name: str, metric: str, value: float, shown: str) -> None:
    result = check(f"{name} > 0", value, metric)
    assert result.violations == (f"int8.tflite on litert:cpu:2: {name} {shown} ({name} > 0)",)
    assert check(f"{name} > {float(shown)}", value, metric).passed


def test_robust_accuracy_is_that_of_the_worst_attack() -> None:
    values = (("none", 0.9), ("pgd", 0.1), ("worst", 0.5), ("worst", 0.4))
    cell = stored_cell([measurement("robust_accuracy", value, params={"attack": name}) for name, value in values])
    for limit, broken in (("0.4", False), ("0.401", True)):
        result = check_conditions([condition(f"robust_accuracy < {limit}")], stored_results(cell), None)
        assert bool(result.violations) is broken


def test_accuracy_on_corrupted_photos_is_the_mean_over_corruptions_and_severities() -> None:
    values = ((0, 1.0), (1, 0.8), (2, 0.4))
    cell = stored_cell(
        [measurement("corrupted_accuracy", value, params={"severity": level}) for level, value in values]
    )
    for limit, broken in (("0.6", False), ("0.601", True)):
        result = check_conditions([condition(f"corrupted_accuracy < {limit}")], stored_results(cell), None)
        assert bool(result.violations) is broken
    bare = stored_cell([measurement("corrupted_accuracy", 1.0, params={"severity": 0})])
    assert check_conditions([condition("corrupted_accuracy < 0.6")], stored_results(bare), None).unjudged


def test_a_multiple_needs_a_metric_that_two_benchmarks_are_compared_in() -> None:
    assert condition("mean_corruption_error > 1").limit == 1.0
    with pytest.raises(OptionError, match="two benchmarks are not compared in mean_corruption_error; give a number"):
        condition("mean_corruption_error > 1.1x")


def test_a_condition_covers_all_but_the_keras_model_or_what_its_pattern_matches() -> None:
    everything, exact = condition("top1 < 1"), condition("int8.tflite@litert:cpu:2: top1 < 1")
    assert everything.applies_to("model.keras", "litert:cpu:2")
    assert not everything.applies_to("model.keras", "keras:cpu")
    assert exact.applies_to(*INT8)
    assert not exact.applies_to("int8.tflite", "litert:cpu:1")
    assert condition("*.keras: top1 < 1").applies_to("model.keras", "keras:cpu")
    assert not condition("*.keras: top1 < 1").applies_to(*INT8)
    assert condition("int?.tflite: top1 < 1").applies_to(*INT8)
    assert not condition("Int8.tflite: top1 < 1").applies_to(*INT8)


def test_a_condition_is_parsed_into_its_parts() -> None:
    assert condition("  int8.tflite: p90_ms >= 1.25x ") == GateCondition(
        text="int8.tflite: p90_ms >= 1.25x",
        rows="int8.tflite",
        metric="p90_ms",
        operator=">=",
        limit=1.25,
        relative=True,
    )
    assert condition("top1<1") == GateCondition(
        text="top1<1", rows="", metric="top1", operator="<", limit=1.0, relative=False
    )


@pytest.mark.parametrize(
    ("text", "needed"), [("top1 < 0.9", False), ("top1 < 0.9x", True), ("top1_drop > 0.1", True), ("p50_ms > 2", False)]
)
def test_relative_conditions_and_drops_need_an_earlier_benchmark(text: str, needed: bool) -> None:
    assert condition(text).needs_comparison is needed
    if needed:
        with pytest.raises(OptionError, match="`against`"):
            parse_conditions([text], compared=False)
    else:
        assert parse_conditions([text], compared=False) == (condition(text),)


def test_conditions_that_match_no_planned_row_are_rejected_before_anything_is_measured() -> None:
    planned = [INT8, ("model.keras", "keras:cpu")]
    check_rows([condition("top1 < 1"), condition("*.keras: top1 < 1")], planned)
    with pytest.raises(OptionError, match=r"matches no row; the rows are int8\.tflite, model\.keras$"):
        check_rows([condition("gone: top1 < 1")], planned)
    with pytest.raises(OptionError, match=r"the rows are int8\.tflite@litert:cpu:2, model\.keras@keras:cpu$"):
        check_rows([condition("gone@litert:cpu: top1 < 1")], planned)
    with pytest.raises(OptionError, match="without ROWS a condition does not cover the Keras model"):
        check_rows([condition("top1 < 1")], planned[1:])


@pytest.mark.parametrize(
    ("name", "untimed"),
    [("top1", True), ("top1_drop", True), ("agreement", True), ("size_mb", True), ("size_kb", True), ("p50_ms", False)],
)
def test_an_emulated_board_has_no_times_to_check(name: str, untimed: bool) -> None:
    check_rows([condition(f"{name} > 1")], [INT8])
    if untimed:
        check_rows([condition(f"{name} > 1")], [INT8], timed=False)
    else:
        with pytest.raises(OptionError, match="nothing is timed on an emulated board"):
            check_rows([condition(f"{name} > 1")], [INT8], timed=False)


@pytest.mark.parametrize("text", ["top1 = 0.9", "top1 <", "< 0.9", "top1 < -1", "top1 < 1.1y", "", "top1 < 1. x"])
def test_other_forms_are_rejected(text: str) -> None:
    with pytest.raises(OptionError, match="`fail_on` takes conditions like"):
        parse_conditions([text], compared=True)


def test_unknown_metrics_are_rejected() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'p99_ms'"):
        parse_conditions(["p9_ms > 3"], compared=True)


@pytest.mark.parametrize(
    ("text", "low", "high", "shown"),
    [
        # Slower is shown when the whole interval lies above 1, the limit itself being above 1.
        ("p50_ms > 1.1x", 1.0, 1.4, False),
        ("p50_ms > 1.1x", 1.001, 1.4, True),
        ("p50_ms > 1.1x", 0.999, 1.4, False),
        ("p50_ms >= 1.1x", 1.05, 1.4, True),
        # A limit below 1 is the lower bar: a change beyond 1 need not be shown.
        ("p50_ms > 0.9x", 0.9, 1.4, False),
        ("p50_ms > 0.9x", 0.901, 1.4, True),
        ("throughput < 0.9x", 0.5, 1.0, False),
        ("throughput < 0.9x", 0.5, 0.999, True),
        ("throughput < 0.9x", 0.5, 1.001, False),
        ("throughput < 5x", 2.0, 5.0, False),
        ("throughput < 5x", 2.0, 4.999, True),
    ],
)
def test_a_change_is_shown_when_its_interval_excludes_none(text: str, low: float, high: float, shown: bool) -> None:
    assert is_shown(condition(text), (low, high)) is shown


def test_a_relative_limit_on_a_time_breaks_only_if_the_interval_shows_a_change() -> None:
    beyond = {"old": 4.0, "new": 4.8, "ratio": 1.2}
    (line,) = compare_with("p50_ms > 1.1x", "latency_p50", interval=(1.05, 1.4), **beyond).violations
    assert line == (
        "int8.tflite on litert:cpu:2: p50_ms 4.8 is 1.200x of 4, 95% interval 1.050 to 1.400 (p50_ms > 1.1x)"
    )
    unsure = compare_with("p50_ms > 1.1x", "latency_p50", interval=(0.95, 1.4), **beyond)
    assert unsure.passed
    assert unsure.unsure == (
        "int8.tflite on litert:cpu:2: p50_ms 4.8 is 1.200x of 4, 95% interval 0.950 to 1.400 (p50_ms > 1.1x): too wide"
        " to decide",
    )
    kept = compare_with("p50_ms > 1.2x", "latency_p50", interval=(1.05, 1.4), **beyond)
    assert (kept.passed, kept.unsure, kept.checked) == (True, (), 1)


def test_more_rounds_are_advised_where_the_files_were_measured_in_turns() -> None:
    options = {"old": 4.0, "new": 4.8, "ratio": 1.2, "interval": (0.9, 1.4)}
    assert "increase `rounds`" in compare_with("p50_ms > 1.1x", "latency_p50", again=True, **options).unsure[0]
    assert "increase" not in compare_with("p50_ms > 1.1x", "latency_p50", again=False, **options).unsure[0]
    assert "increase" not in compare_with("throughput > 1.1x", "throughput", again=True, **options).unsure[0]


def test_the_ratio_is_that_over_rounds_and_else_that_of_the_values() -> None:
    assert "size_mb 1.8 is 1.200x of 1.5" in compare_with("size_mb > 1.1x", "file_size", 1.5e6, 1.8e6).violations[0]
    assert "is 1.150x of" in compare_with("size_mb > 1.1x", "file_size", 1e6, 1.2e6, ratio=1.15).violations[0]
    assert compare_with("size_mb > 1.2x", "file_size", 1e6, 1.2e6).passed


@pytest.mark.parametrize(("old", "judged"), [(0.0, False), (-1.0, False), (0.001, True), (0.5, True)])
def test_there_is_no_multiple_of_nothing(old: float, judged: bool) -> None:
    result = compare_with("throughput > 1.1x", "throughput", old, 1.0, ratio=2.0, interval=(1.5, 2.5))
    assert bool(result.violations) is judged
    assert bool(result.unjudged) is not judged


def test_the_same_file_breaks_no_limit_on_times() -> None:
    options = {"ratio": 1.5, "interval": (1.4, 1.6), "unchanged": True}
    assert compare_with("p50_ms > 1.1x", "latency_p50", 4.0, 6.0, **options) == GateResult(checked=1)
    assert not compare_with("size_mb > 1.1x", "file_size", 4.0, 6.0, **options).passed  # sizes do not vary


def test_times_that_cannot_be_judged_fail_the_gate() -> None:
    options = {"ratio": 1.5, "interval": (1.4, 1.6), "no_latency_verdict": "noisy now"}
    latency = compare_with("p50_ms > 1.1x", "latency_p50", 4.0, 6.0, **options)
    assert not latency.passed
    assert latency.unjudged == ("'p50_ms > 1.1x' was not judged for int8.tflite on litert:cpu:2: noisy now",)
    assert compare_with("throughput > 1.1x", "throughput", 4.0, 6.0, **options).violations
    others = compare_with("throughput > 1.1x", "throughput", 4.0, 6.0, no_times_verdict="one round", ratio=1.5)
    assert others.unjudged[0].endswith(": one round")
    (line,) = compare_with("p50_ms > 1.1x", "latency_p50", 4.0, 6.0, ratio=1.5).unjudged
    assert line.endswith("too few rounds for an interval")


@pytest.mark.parametrize(
    ("drop", "broken"), [(0.009, False), (0.0, False), (0.01, False), (0.011, True), (-0.1, False)]
)
def test_top1_drop_is_the_old_value_minus_the_new_one(drop: float, broken: bool) -> None:
    old = 0.5 + drop
    result = compare_with(f"top1_drop > {0.01 if drop != 0.01 else old - 0.5!r}", "top1", old, 0.5)
    assert bool(result.violations) is broken
    if broken:
        assert "top1 fell by 0.0110, from 0.5110 to 0.5000" in result.violations[0]


def test_top1_is_compared_on_the_same_photos_and_robust_accuracy_under_the_same_attacks() -> None:
    other_photos, other_attacks = {"same_photos": False}, {"same_attacks": False}
    assert "other photos" in compare_with("top1 < 0.9x", "top1", 0.9, 0.5, **other_photos).unjudged[0]
    assert "other photos" in compare_with("top1_drop > 0", "top1", 0.9, 0.5, **other_photos).unjudged[0]
    assert compare_with("top1 < 0.9x", "top1", 0.9, 0.5, **other_attacks).violations
    assert "attacks" in compare_with("robust_accuracy < 0.9x", "robust_accuracy", 0.9, 0.5, **other_attacks).unjudged[0]
    assert compare_with("robust_accuracy < 0.9x", "robust_accuracy", 0.9, 0.5, **other_photos).violations
    assert compare_with("agreement < 0.9x", "agreement", 0.9, 0.5, **other_photos, **other_attacks).violations


def test_what_was_measured_on_one_side_only_is_not_judged() -> None:
    cell = stored_results(stored_cell({"latency_p50": 4.0}))
    limits = [condition("p50_ms > 1.1x")]
    for row in (
        compared_row("latency_p50", None, 4.0),
        compared_row("latency_p50", 4.0, None),
        compared_row("top1", 1.0, 1.0),
    ):
        (line,) = check_conditions(limits, cell, comparison(row)).unjudged
        assert line.endswith("the earlier benchmark has no such row")
    assert len(check_conditions(limits, cell, None).unjudged) == 1
    assert len(check_conditions(limits, cell, comparison()).unjudged) == 1
    (line,) = check_conditions([condition("energy_mj > 1")], cell, None).unjudged
    assert line.endswith("its energy was not measured")


def test_every_condition_is_checked_on_every_row_it_covers() -> None:
    other = stored_cell({"top1": 0.4}, artifact="float32.tflite")
    results = stored_results(stored_cell({"top1": 0.9}), other, stored_cell({"top1": 0.1}, target="keras:cpu"))
    result = check_conditions([condition("top1 < 0.5"), condition("int8.tflite: top1 < 0.2")], results, None)
    assert result.checked == 4
    assert [line.split(":")[0] for line in result.violations] == [
        "float32.tflite on litert",
        "int8.tflite on keras",
    ]
    assert result.unjudged == ()
    nothing = check_conditions([condition("gone: top1 < 0.5")], results, None)
    assert (nothing.checked, nothing.passed) == (0, False)
    assert nothing.unjudged == ("'gone: top1 < 0.5' matches no row that was measured",)


def test_an_artifact_that_is_gone_fails_the_gate_and_a_target_that_was_left_out_does_not() -> None:
    results = stored_results(stored_cell({"top1": 0.9}))
    found = comparison(
        compared_row("top1", 0.9, 0.9),
        only_old=(("int8.tflite", "litert:cpu:1"), ("new.tflite", "litert:cpu:1"), ("gone.tflite", "litert:cpu:1")),
        only_new=(("new.tflite", "litert:cpu:2"),),
    )
    result = check_conditions([condition("top1 < 0.5")], results, found)
    assert result.unjudged == ("gone.tflite on litert:cpu:1 was measured before, but not now",)
    assert not result.passed
    assert check_conditions([], results, found).passed


def test_the_gate_passes_only_without_violations_and_unjudged_rows() -> None:
    assert GateResult().passed
    assert GateResult().checked == 0
    assert GateResult(unsure=("a",)).passed
    assert not GateResult(violations=("a",)).passed
    assert not GateResult(unjudged=("a",)).passed
