from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest, t

from tledge.bench.results.rows import Row
from tledge.core import significance
from tledge.core.significance import FASTER, SLOWER, holm, latency_ratio, mcnemar, verdict


@pytest.mark.unit
@pytest.mark.parametrize(("first", "second"), [(0, 0), (3, 5), (1, 9), (40, 12), (700, 640)])
def test_mcnemar_is_the_exact_binomial_test(first: int, second: int) -> None:
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar(first, second) == pytest.approx(expected)
    assert mcnemar(second, first) == mcnemar(first, second)


@pytest.mark.unit
def test_the_table_is_students() -> None:
    for freedom, value in enumerate(significance._STUDENT, start=1):
        assert value == pytest.approx(t.ppf(0.975, freedom), abs=6e-4)


def benches(rng: np.random.Generator, rounds: int, *, paired: bool) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Latencies of two artifacts, the first 1.1 times the second, on a machine that drifts from round to round."""
    drift = rng.normal(0, 0.05, rounds)
    other = drift if paired else rng.normal(0, 0.05, rounds)

    def measure(factor: float, effect: np.ndarray) -> list[np.ndarray]:
        process = rng.normal(0, 0.01, rounds)
        return [factor * np.exp(shift) * (4 + rng.gamma(2, 0.2, 200)) for shift in effect + process]

    return measure(1.1, drift), measure(1.0, other)


@pytest.mark.parametrize("rounds", [3, 5])
@pytest.mark.parametrize("paired", [True, False])
def test_the_interval_covers_the_true_ratio(rounds: int, paired: bool) -> None:
    rng = np.random.default_rng(4)
    found = [latency_ratio(*benches(rng, rounds, paired=paired), paired=paired) for _ in range(300)]
    covered = [interval is not None and interval[0] <= 1.1 <= interval[1] for _, interval in found]
    assert np.mean(covered) >= 0.93
    assert np.mean([ratio for ratio, _ in found]) == pytest.approx(1.1, rel=0.01)
    if paired:  # drift that hits both alike does not widen it
        assert np.mean([interval[1] - interval[0] for _, interval in found if interval]) < 0.12


@pytest.mark.unit
def test_one_round_has_no_interval() -> None:
    ratio, interval = latency_ratio([np.array([2.0, 2.0])], [np.array([1.0, 1.0])], paired=True)
    assert (ratio, interval) == (pytest.approx(2.0), None)
    assert verdict(interval) == ""


@pytest.mark.unit
def test_a_verdict_needs_the_whole_interval() -> None:
    assert verdict((0.70, 0.97)) == FASTER
    assert verdict((1.03, 1.40)) == SLOWER
    assert verdict((0.70, 0.99)) == ""
    assert verdict((0.90, 1.10)) == ""
    assert verdict((1.001, 1.015)) == ""


@pytest.mark.unit
def test_a_flagged_row_has_no_verdict() -> None:
    quiet = Row(artifact="a", target="litert:cpu:1", size=1, ratio=0.5, ratio_interval=(0.4, 0.6))
    assert quiet.verdict == FASTER
    assert replace(quiet, flags=("noisy",)).verdict == ""
    assert replace(quiet, flags=("wrong_cpu",)).verdict == FASTER


@pytest.mark.unit
def test_several_tests_are_judged_together() -> None:
    assert holm([]) == []
    assert holm([0.04]) == [True]
    assert holm([0.04, 0.001, 0.03]) == [False, True, False]
    assert holm([0.01, 0.02, 0.012]) == [True, True, True]
    assert holm([0.02, 0.02]) == [True, True]
    assert holm([0.03, 0.03]) == [False, False]
