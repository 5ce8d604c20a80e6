"""Limits of a budget: how they are read, and whether a row meets them, at the boundary and on both sides of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from results_sample import attacked, measurement
from stored_sample import stored_cell

from tledge.bench.results.budget import BudgetLimit, parse_budget
from tledge.bench.results.budget_judgement import (
    MET,
    MISSED,
    NOT_MEASURED,
    UNDECIDED,
    WIDE,
    judge_limit,
    judge_row,
)
from tledge.bench.results.flags import UNTIMELY
from tledge.bench.results.metric_limit import LIMITED_METRICS
from tledge.bench.results.rows import Row, summarize
from tledge.bench.results.standings import Evidence
from tledge.core.errors import OptionError, UnknownNameError
from tledge.core.metric_catalogue import METRICS
from tledge.core.significance import Interval

pytestmark = pytest.mark.unit

NO_EVIDENCE = Evidence({}, np.empty(0, np.intp))


def limit(text: str) -> BudgetLimit:
    (found,) = parse_budget([text])
    return found


def row(metric: str, value: float, interval: Interval | None = None, flags: tuple[str, ...] = ()) -> Row:
    (found,) = summarize([measurement(metric, value, interval=interval, flags=flags)])
    return found


def judge(text: str, metric: str, value: float, interval: Interval | None = None, **options: Any) -> tuple[str, str]:
    found = judge_limit(row(metric, value, interval, **options), limit(text), NO_EVIDENCE)
    return found.outcome, found.reason


@pytest.mark.parametrize(
    ("text", "interval", "outcome"),
    [
        ("p90_ms <= 20", (18.0, 20.0), MET),
        ("p90_ms <= 20", (18.0, 20.001), UNDECIDED),
        ("p90_ms <= 20", (20.0, 22.0), UNDECIDED),
        ("p90_ms <= 20", (20.001, 22.0), MISSED),
        ("p90_ms < 20", (18.0, 19.999), MET),
        ("p90_ms < 20", (18.0, 20.0), UNDECIDED),
        ("p90_ms < 20", (20.0, 22.0), MISSED),
    ],
)
def test_an_upper_limit_is_judged_by_the_bounds_of_the_interval(text: str, interval: Interval, outcome: str) -> None:
    assert judge(text, "latency_p90", sum(interval) / 2, interval) == (outcome, WIDE if outcome == UNDECIDED else "")


@pytest.mark.parametrize(
    ("text", "interval", "outcome"),
    [
        ("top1 >= 0.95", (0.95, 0.99), MET),
        ("top1 >= 0.95", (0.949, 0.99), UNDECIDED),
        ("top1 >= 0.95", (0.9, 0.95), UNDECIDED),
        ("top1 >= 0.95", (0.9, 0.949), MISSED),
        ("top1 > 0.95", (0.951, 0.99), MET),
        ("top1 > 0.95", (0.95, 0.99), UNDECIDED),
        ("top1 > 0.95", (0.9, 0.95), MISSED),
    ],
)
def test_a_lower_limit_is_judged_by_the_bounds_of_the_interval(text: str, interval: Interval, outcome: str) -> None:
    assert judge(text, "top1", sum(interval) / 2, interval) == (outcome, WIDE if outcome == UNDECIDED else "")


@pytest.mark.parametrize(
    ("text", "metric", "value", "outcome"),
    [
        ("size_mb <= 2.7", "file_size", 2_700_000.0, MET),
        ("size_mb <= 2.7", "file_size", 2_700_001.0, MISSED),
        ("size_kb <= 2700", "file_size", 2_700_000.0, MET),
        ("size_mb < 2.7", "file_size", 2_700_000.0, MISSED),
        ("p90_bound_ms <= 3", "latency_p90_bound", 3.0, MET),
        ("corrupted_accuracy >= 0.5", "mean_corruption_error", 0.6, UNDECIDED),
        ("mean_corruption_error <= 1.1", "mean_corruption_error", 1.1, MET),
        ("agreement >= 0.98", "agreement", 0.979, MISSED),
    ],
)
def test_a_metric_without_an_interval_is_compared_as_it_is(text: str, metric: str, value: float, outcome: str) -> None:
    assert judge(text, metric, value)[0] == outcome


def test_every_name_stands_for_a_metric_of_the_catalogue() -> None:
    for name, declared in LIMITED_METRICS.items():
        assert declared.metric in METRICS, name
        assert METRICS[declared.metric].better in ("", declared.better), name


@pytest.mark.parametrize("metric", ["latency_p90", "throughput"])
def test_latencies_of_a_single_round_are_not_decided(metric: str) -> None:
    text = "p90_ms <= 20" if metric == "latency_p90" else "throughput >= 0.5"
    for flags in ((), ("one_round",), ("noisy", "one_round")):
        found = row(metric, 1.0, flags=flags)
        found = replace(found, measured={metric: replace(found.measured[metric], params={"batch": 1})})
        judged = judge_limit(found, limit(text), NO_EVIDENCE)
        assert (judged.outcome, judged.reason, judged.value, judged.bound) == (UNDECIDED, "one_round", 1.0, None)


@pytest.mark.parametrize("flag", [flag for flag in UNTIMELY if flag != "one_round"])
def test_flagged_times_are_not_decided_and_sizes_are(flag: str) -> None:
    assert judge("p90_ms <= 20", "latency_p90", 30.0, (29.0, 31.0), flags=(flag,)) == (UNDECIDED, flag)
    assert judge("cold_start_ms <= 20", "cold_start", 30.0, flags=(flag,)) == (UNDECIDED, flag)
    assert judge("size_mb <= 5", "file_size", 1.0, flags=(flag,)) == (MET, "")
    assert judge("p90_ms <= 20", "latency_p90", 30.0, (29.0, 31.0), flags=("wrong_cpu",))[0] == MISSED


def test_what_was_not_measured_is_not_decided() -> None:
    assert judge("energy_mj <= 9", "file_size", 1.0) == (UNDECIDED, NOT_MEASURED)
    assert judge("size_mb <= 9", "file_size", 0.0) == (UNDECIDED, NOT_MEASURED), "of unknown size"
    assert judge("robust_accuracy >= 0.1", "file_size", 1.0) == (UNDECIDED, NOT_MEASURED)


def test_robust_accuracy_is_that_at_the_largest_eps() -> None:
    points = [(0.9, 0.0), (0.7, 1.0), (0.4, 8.0)]
    (found,) = summarize([attacked(value, eps=eps, interval=(value - 0.1, value + 0.1)) for value, eps in points])
    assert judge_limit(found, limit("robust_accuracy >= 0.3"), NO_EVIDENCE).outcome == MET
    assert judge_limit(found, limit("robust_accuracy >= 0.31"), NO_EVIDENCE).outcome == UNDECIDED
    assert judge_limit(found, limit("robust_accuracy >= 0.51"), NO_EVIDENCE).outcome == MISSED
    (clean,) = summarize([attacked(0.9, eps=0.0, attack="none")])
    assert judge_limit(clean, limit("robust_accuracy >= 0.3"), NO_EVIDENCE).reason == NOT_MEASURED


def test_a_budget_and_the_gate_read_the_same_robust_accuracy() -> None:
    """The lowest of all norms: the first one in the results has another accuracy."""
    norms = [("linf", 1.0, 0.7), ("linf", 8.0, 0.6), ("l2", 128.0, 0.3), ("l2", 64.0, 0.5)]
    items = [attacked(value, eps=eps, norm=norm, interval=(value - 0.1, value + 0.1)) for norm, eps, value in norms]
    items += [attacked(0.1, eps=8.0, attack="pgd"), attacked(0.9, eps=0.0, attack="none")]
    (found,) = summarize(items)
    judged = judge_limit(found, limit("robust_accuracy >= 0.5"), NO_EVIDENCE)
    assert (judged.outcome, judged.value, judged.interval) == (MISSED, 0.3, pytest.approx((0.2, 0.4)))
    gated = stored_cell(items).find("robust_accuracy")
    assert gated is not None
    assert gated.value == judged.value


def test_a_row_meets_a_budget_only_if_it_meets_every_limit() -> None:
    found = row("file_size", 2e6)
    for budget, outcome in (
        (["size_mb <= 3"], MET),
        (["size_mb <= 3", "top1 >= 0.9"], UNDECIDED),
        (["size_mb <= 1", "top1 >= 0.9"], MISSED),
        ([], MET),
    ):
        assert judge_row(found, parse_budget(budget), NO_EVIDENCE).outcome == outcome


@pytest.mark.parametrize(
    ("text", "value", "excess"),
    [("p90_ms <= 20", 25.0, 0.25), ("p90_ms <= 20", 15.0, 0.0), ("top1 >= 0.8", 0.6, 0.25), ("p90_ms <= 0", 1.0, None)],
)
def test_the_excess_is_a_fraction_of_the_limit(text: str, value: float, excess: float | None) -> None:
    metric = limit(text).declared.metric
    found = judge_limit(row(metric, value, (value, value)), limit(text), NO_EVIDENCE).excess
    assert found == (float("inf") if excess is None else pytest.approx(excess))


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        (["p90_ms <="], "`budget` takes limits like 'p90_ms <= 20'.*received 'p90_ms <='"),
        (["p90_ms <= fast"], "received 'p90_ms <= fast'"),
        (["p90_ms = 20"], "received 'p90_ms = 20'"),
        (["p90_ms <= 20 ms"], "write the number alone: p90_ms is in ms$"),
        (["p90_ms <= 0.02s"], "write the number alone: p90_ms is in ms$"),
        (["top1 >= 95%"], "write the number alone: top1 is a fraction or a ratio$"),
        (["top1 >= 95"], "a fraction from 0 to 1; for 95% write 'top1 >= 0.95'"),
        (["p90_ms >= 20"], "has the wrong direction.*lower values of p90_ms are better; write 'p90_ms <= 20'"),
        (["p90_ms > 20"], "write 'p90_ms < 20'"),
        (["top1 <= 0.9"], "higher values of top1 are better; write 'top1 >= 0.9'"),
        (["throughput < 9"], "write 'throughput > 9'"),
        (["p90_ms <= 5", "p90_ms >= 9"], "'p90_ms <= 5' and 'p90_ms >= 9' contradict each other"),
        (["p90_ms >= 9", "size_mb <= 3", "p90_ms < 9"], "contradict each other"),
        (["size_mb <= 1", "size_kb >= 2000"], "contradict each other"),
        (["p90_ms <= 5", "p90_ms <= 9"], "limit the same metric; leave out one of them"),
        (["size_mb <= 5", "size_kb <= 5000"], "limit the same metric"),
        (["p90_ms <= 9", "p90_ms >= 9"], "limit the same metric"),
        (["int8.*: size_mb <= 3"], "names files.*write 'size_mb <= 3'"),
        (["p90_ms <= 1.1x"], "is a multiple.*give a number of ms"),
        (["top1 >= 0.9x"], "give a number$"),
    ],
)
def test_wrong_limits_say_what_to_write(budget: Sequence[str], words: str) -> None:
    with pytest.raises(OptionError, match=words) as caught:
        parse_budget(budget)
    assert "\n" not in str(caught.value)


def test_unknown_metrics_name_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'p90_ms'"):
        parse_budget(["p90 <= 3"])
    with pytest.raises(UnknownNameError, match="unknown metric 'top1_drop'"):
        parse_budget(["top1_drop >= 0.1"])
