"""Limits on what is measured once per round, and on corrupted photos: judged by an interval, never by a bare median."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from stored_sample import measurement, raw_samples

from tledge.bench.results.budget import parse_budget
from tledge.bench.results.budget_judgement import (
    MET,
    MISSED,
    NO_SAMPLES,
    UNDECIDED,
    WIDE,
    JudgedLimit,
    judge_limit,
)
from tledge.bench.results.rows import summarize
from tledge.bench.results.standings import Evidence
from tledge.core.statistics import wilson_interval

pytestmark = pytest.mark.unit

ARRAYS = {
    "peak_memory": "peak_memories",
    "cold_start": "cold_starts",
    "load_time": "load_times",
    "energy": "energies",
}
NAMES = {"peak_memory": ("peak_memory_mb", 1e6), "cold_start": ("cold_start_ms", 1.0)} | {
    "load_time": ("load_time_ms", 1.0),
    "energy": ("energy_mj", 1.0),
}


def judge(
    metric: str, text: str, rounds: tuple[float, ...] = (), *, flags: tuple[str, ...] = (), raw: bool = True
) -> JudgedLimit:
    """Judges the median of values that were measured in rounds."""
    (row,) = summarize([measurement(metric, float(np.nanmedian(rounds)), flags=flags)])
    samples: dict[tuple[str, str], Any] = {}
    if raw:
        result = raw_samples([1.0] * len(rounds))
        samples = {(row.artifact, row.target): replace(result, **{ARRAYS[metric]: np.array(rounds)})}
    (limit,) = parse_budget([text])
    return judge_limit(row, limit, Evidence(samples, np.empty(0, np.intp)))


@pytest.mark.parametrize("metric", ARRAYS)
@pytest.mark.parametrize(("limit", "outcome"), [(10.3, MET), (10.0, UNDECIDED), (9.9, UNDECIDED), (9.7, MISSED)])
def test_a_value_of_each_round_is_judged_by_its_interval_over_rounds(metric: str, limit: float, outcome: str) -> None:
    """The interval of 9.9, 10.0 and 10.1 is 9.75 to 10.25."""
    name, divisor = NAMES[metric]
    found = judge(metric, f"{name} <= {limit}", (9.9 * divisor, 10.0 * divisor, 10.1 * divisor))
    assert found.interval == pytest.approx((9.755, 10.251), abs=0.005)
    assert (found.outcome, found.reason) == (outcome, WIDE if outcome == UNDECIDED else "")


@pytest.mark.parametrize("metric", ARRAYS)
def test_a_single_round_decides_nothing(metric: str) -> None:
    name, divisor = NAMES[metric]
    for flags in ((), ("one_round",)):
        found = judge(metric, f"{name} <= 99", (10.0 * divisor,), flags=flags)
        assert (found.outcome, found.reason) == (UNDECIDED, "one_round")


@pytest.mark.parametrize("metric", ARRAYS)
def test_without_raw_samples_nothing_is_decided(metric: str) -> None:
    name, divisor = NAMES[metric]
    rounds = (9.9 * divisor, 10.0 * divisor, 10.1 * divisor)
    found = judge(metric, f"{name} <= 99", rounds, raw=False)
    assert (found.outcome, found.reason, found.bound) == (UNDECIDED, NO_SAMPLES, None)


@pytest.mark.parametrize("flag", ["noisy", "throttled", "under_voltage", "more_threads_than_cores"])
def test_energy_depends_on_how_busy_the_machine_was_and_memory_does_not(flag: str) -> None:
    found = judge("energy", "energy_mj <= 99", (9.9, 10.0, 10.1), flags=(flag,))
    assert (found.outcome, found.reason) == (UNDECIDED, flag)
    assert judge("peak_memory", "peak_memory_mb <= 99", (9.9e6, 10e6, 10.1e6), flags=(flag,)).outcome == MET


def test_rounds_without_an_energy_are_left_out() -> None:
    found = judge("energy", "energy_mj <= 10.3", (9.9, float("nan"), 10.0, 10.1))
    assert (found.outcome, found.value) == (MET, 10.0)
    assert judge("energy", "energy_mj <= 99", (9.9, float("nan"))).outcome == UNDECIDED


@pytest.mark.parametrize(("limit", "outcome"), [(0.3, MET), (0.5, UNDECIDED), (0.49, UNDECIDED), (0.7, MISSED)])
def test_accuracy_on_corrupted_photos_has_the_interval_of_its_photos(limit: float, outcome: str) -> None:
    """Two severities of 100 photos are 100 photos, not 200: the same photo is often mistaken in both."""
    params = {"corruption": "fog", "seed": 0}
    items = [
        measurement("corrupted_accuracy", value, n=100, params={**params, "severity": severity})
        for severity, value in ((0, 0.9), (1, 0.6), (2, 0.4))
    ]
    (row,) = summarize(items)
    assert row.value("corrupted_accuracy") == pytest.approx(0.5)
    assert row.interval("corrupted_accuracy") == pytest.approx(wilson_interval(50, 100))
    (bound,) = parse_budget([f"corrupted_accuracy >= {limit}"])
    assert judge_limit(row, bound, Evidence({}, np.empty(0, np.intp))).outcome == outcome
