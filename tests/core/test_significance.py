import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest, t

from tledge.bench.results.rows import summarize
from tledge.core import significance
from tledge.core.measurement import Measurement
from tledge.core.significance import (
    FASTER,
    MARGIN,
    SIGNIFICANT,
    SLOWER,
    holm,
    latency_ratio,
    mcnemar,
    rounds_interval,
    verdict,
)

pytestmark = pytest.mark.unit


@pytest.mark.unit
@pytest.mark.parametrize(("first", "second"), [(0, 0), (3, 5), (1, 9), (40, 12), (700, 640)])
def test_mcnemar_is_the_exact_binomial_test(first: int, second: int) -> None:
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar(first, second) == pytest.approx(expected)
    assert mcnemar(second, first) == mcnemar(first, second)


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [(0, 0, 1.0), (1, 0, 1.0), (0, 5, 2 / 32), (0, 6, 2 / 64), (1, 5, 2 * 7 / 64), (4, 4, 1.0), (2, 8, 2 * 56 / 1024)],
)
def test_mcnemar_counts_the_tails_exactly(first: int, second: int, p: float) -> None:
    assert mcnemar(first, second) == p


def test_the_table_is_students() -> None:
    assert len(significance._STUDENT) == 30
    for freedom, value in enumerate(significance._STUDENT, start=1):
        assert value == pytest.approx(t.ppf(0.975, freedom), abs=6e-4)


def test_the_limits_are_those_of_the_documentation() -> None:
    assert MARGIN == 0.02
    assert SIGNIFICANT == 0.05


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


def rounds_of(*medians: float) -> list[np.ndarray]:
    """A round of three queries for each median; the mean and the extremes are far from it."""
    return [np.array([median / 10, median, median * 100]) for median in medians]


def student(logs: np.ndarray) -> tuple[float, float]:
    half = float(t.ppf(0.975, len(logs) - 1)) * float(logs.std(ddof=1)) / math.sqrt(len(logs))
    return math.exp(logs.mean() - half), math.exp(logs.mean() + half)


@pytest.mark.parametrize(
    ("first", "second"), [((2, 2.2), (1, 1)), ((3, 4, 5), (4, 4, 2)), ((1, 2, 3, 4), (2, 2, 2, 9))]
)
def test_a_paired_ratio_is_students_interval_of_the_differences(
    first: tuple[float, ...], second: tuple[float, ...]
) -> None:
    ratio, interval = latency_ratio(rounds_of(*first), rounds_of(*second), paired=True)
    logs = np.log(np.array(first) / np.array(second))
    assert ratio == pytest.approx(math.exp(logs.mean()))
    assert interval == pytest.approx(student(logs), rel=1e-3)


def test_an_unpaired_ratio_is_welchs_interval() -> None:
    first, second = (2.0, 2.5, 3.0, 2.2), (1.0, 1.3, 0.7)
    ratio, interval = latency_ratio(rounds_of(*first), rounds_of(*second), paired=False)
    one, other = np.log(first), np.log(second)
    variances = one.var(ddof=1) / 4, other.var(ddof=1) / 3
    freedom = sum(variances) ** 2 / (variances[0] ** 2 / 3 + variances[1] ** 2 / 2)
    assert 2 < freedom < 3, "so that it is rounded down"
    half = 4.303 * math.sqrt(sum(variances))
    centre = one.mean() - other.mean()
    assert ratio == pytest.approx(math.exp(centre))
    assert interval == pytest.approx((math.exp(centre - half), math.exp(centre + half)))


def test_rounds_without_any_spread_have_an_interval_of_one_number() -> None:
    for paired in (True, False):
        ratio, interval = latency_ratio(rounds_of(3, 3, 3), rounds_of(2, 2, 2), paired=paired)
        assert ratio == pytest.approx(1.5)
        assert interval == pytest.approx((1.5, 1.5))


def test_one_round_has_no_interval() -> None:
    ratio, interval = latency_ratio([np.array([2.0, 2.0])], [np.array([1.0, 1.0])], paired=True)
    assert (ratio, interval) == (pytest.approx(2.0), None)
    assert verdict(interval) == ""
    assert latency_ratio(rounds_of(2), rounds_of(1, 1), paired=False) == (pytest.approx(2.0), None)
    assert latency_ratio(rounds_of(2, 2), rounds_of(1), paired=False) == (pytest.approx(2.0), None)
    assert latency_ratio(rounds_of(2, 2), rounds_of(1, 1), paired=False)[1] is not None


@pytest.mark.parametrize("count", [2, 3, 30, 31])
def test_the_interval_of_rounds_is_students_on_logarithms(count: int) -> None:
    values = np.random.default_rng(count).uniform(1, 3, count)
    assert rounds_interval(values) == pytest.approx(student(np.log(values)), rel=1e-3)


def test_many_rounds_take_the_normal_quantile() -> None:
    values = np.random.default_rng(0).uniform(1, 3, 32)
    logs = np.log(values)
    half = 1.96 * logs.std(ddof=1) / math.sqrt(32)
    assert rounds_interval(values) == pytest.approx((math.exp(logs.mean() - half), math.exp(logs.mean() + half)))
    assert rounds_interval(values[:1]) is None
    assert rounds_interval(np.array([2.0, 2.0])) == pytest.approx((2.0, 2.0))


def test_welchs_degrees_of_freedom() -> None:
    assert significance._welch((0, 0.0, 3.0), (0, 0.0, 4.0)) == 7
    assert significance._welch((0, 1.0, 2.0), (0, 1.0, 2.0)) == 4
    assert significance._welch((0, 1.0, 5.0), (0, 0.0, 2.0)) == 5
    assert significance._quantile(0.4) == 12.706
    assert significance._quantile(1.99) == 12.706
    assert significance._quantile(2.0) == 4.303
    assert significance._quantile(30.9) == 2.042
    assert significance._quantile(31.0) == 1.96


@pytest.mark.unit
def test_a_verdict_needs_the_whole_interval() -> None:
    assert verdict((0.70, 0.97)) == FASTER
    assert verdict((1.03, 1.40)) == SLOWER
    assert verdict((0.70, 0.99)) == ""
    assert verdict((0.90, 1.10)) == ""
    assert verdict((1.001, 1.015)) == ""


@pytest.mark.parametrize(
    ("interval", "margin", "expected"),
    [
        ((0.5, 0.98), 0.02, ""),
        ((0.5, 0.97999), 0.02, FASTER),
        ((1.02, 1.5), 0.02, ""),
        ((1.02001, 1.5), 0.02, SLOWER),
        ((1.0, 1.0), 0.0, ""),
        ((0.9, 1.0), 0.0, ""),
        ((0.9, 0.99999), 0.0, FASTER),
        ((1.0, 1.1), 0.0, ""),
        ((1.00001, 1.1), 0.0, SLOWER),
        ((0.85, 0.95), 0.1, ""),
        (None, 0.0, ""),
    ],
)
def test_a_verdict_is_beyond_the_margin_not_at_it(
    interval: tuple[float, float] | None, margin: float, expected: str
) -> None:
    assert verdict(interval, margin) == expected
    if margin == MARGIN:
        assert verdict(interval) == expected


def test_the_words_of_a_verdict() -> None:
    assert (FASTER, SLOWER) == ("faster", "slower")


def test_a_flagged_row_has_no_verdict() -> None:
    ratio = Measurement(
        artifact="a",
        artifact_sha256="0",
        target="litert:cpu:1",
        scenario="comparison",
        metric="latency_ratio",
        value=0.5,
        n=9,
        interval=(0.4, 0.6),
    )
    (quiet,) = summarize([ratio])
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


def test_a_p_value_at_its_limit_is_not_significant() -> None:
    assert holm([0.05]) == [False]
    assert holm([0.0499999]) == [True]
    assert holm([0.025, 0.001]) == [True, True]
    assert holm([0.025, 0.025]) == [False, False]
    assert holm([0.9, 0.0249, 0.8]) == [False, False, False]  # 0.05 / 3 is the first limit
    assert holm([0.9, 0.0166, 0.8]) == [False, True, False]
    assert holm([0.001, 0.03, 0.04]) == [True, False, False], "the one after a failure fails, too"
