import math

import numpy as np
import pytest
from scipy.stats import binom, norm

from tledge.core.statistics import (
    Z95,
    early_stopping_estimate,
    expected_calibration_error,
    percentile,
    sample_size,
    wilson_interval,
)

pytestmark = pytest.mark.unit


def test_z95_is_the_normal_quantile() -> None:
    assert norm.ppf(0.975) == pytest.approx(Z95, abs=1e-15)


@pytest.mark.parametrize(
    ("successes", "trials", "expected"),
    # Newcombe 1998, Statistics in Medicine 17, table I, method 3
    [(81, 263, (0.2553, 0.3662)), (15, 148, (0.0624, 0.1605)), (0, 20, (0.0, 0.1611)), (29, 29, (0.8830, 1.0))],
)
def test_wilson_intervals_are_those_of_the_literature(
    successes: int, trials: int, expected: tuple[float, float]
) -> None:
    assert wilson_interval(successes, trials) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(("successes", "trials"), [(1, 2), (1, 20), (19, 20), (7, 1000)])
def test_wilson_bounds_are_where_the_score_test_is_at_its_limit(successes: int, trials: int) -> None:
    for bound in wilson_interval(successes, trials):
        score = (successes / trials - bound) / math.sqrt(bound * (1 - bound) / trials)
        assert abs(score) == pytest.approx(Z95, rel=1e-9)


def test_a_rate_of_all_or_nothing_ends_at_the_end() -> None:
    assert wilson_interval(300, 300)[1] == 1.0
    assert wilson_interval(0, 300)[0] == 0.0
    assert wilson_interval(1, 1) == pytest.approx((0.2065, 1.0), abs=5e-5)
    assert wilson_interval(0, 1) == pytest.approx((0.0, 0.7935), abs=5e-5)
    assert wilson_interval(1, 300)[0] > 0
    assert wilson_interval(299, 300)[1] < 1


def test_percentiles_are_samples_by_nearest_rank() -> None:
    samples = np.random.default_rng(0).permutation(np.arange(1.0, 101.0))
    assert percentile(samples, 50)[0] == 50
    assert percentile(samples, 90)[0] == 90
    assert percentile(samples, 99)[0] == 99
    assert percentile(np.array([7.0]), 90) == (7.0, None)


@pytest.mark.parametrize(
    ("count", "percent", "rank"),
    [(10, 50, 5), (11, 50, 6), (10, 90, 9), (10, 90.1, 10), (10, 89, 9), (10, 1, 1), (10, 10, 1), (10, 10.1, 2)],
)
def test_the_nearest_rank_is_rounded_up(count: int, percent: float, rank: int) -> None:
    assert percentile(np.arange(1.0, count + 1)[::-1], percent)[0] == rank


@pytest.mark.parametrize(
    ("count", "percent", "expected"),
    # Conover's ranks: floor(n p - z sqrt(n p (1 - p))) and ceil(n p + z sqrt(n p (1 - p))) + 1
    [
        (100, 50, (40, 61)),
        (100, 90, (84, 97)),
        (400, 90, (348, 373)),
        (8, 50, (1, 8)),
        (7, 50, None),
        (53, 90, (43, 53)),
        (52, 90, None),
        (53, 10, (1, 11)),
        (52, 10, None),
        (563, 99, (552, 563)),
        (562, 99, None),
    ],
)
def test_intervals_lie_between_order_statistics(
    count: int, percent: float, expected: tuple[float, float] | None
) -> None:
    assert percentile(np.arange(1.0, count + 1), percent)[1] == expected


@pytest.mark.parametrize(("percent", "count"), [(50, 100), (90, 100), (90, 400), (99, 600), (99, 2000)])
def test_intervals_hold_the_true_percentile_as_often_as_they_say(percent: int, count: int) -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(1000):
        _, interval = percentile(rng.exponential(size=count), percent)
        assert interval is not None
        held += interval[0] <= -np.log(1 - percent / 100) <= interval[1]
    assert 930 <= held <= 999


@pytest.mark.parametrize("count", [1, 100, 300])
def test_too_few_samples_bound_no_high_percentile(count: int) -> None:
    assert percentile(np.arange(1.0, count + 1), 99)[1] is None


def test_the_calibration_error_is_the_gap_of_each_bin_by_its_size() -> None:
    scores = np.array([0.95, 0.95, 0.95, 0.95, 0.55, 0.55])
    right = np.array([True, True, True, False, True, False])
    assert expected_calibration_error(scores, right, bins=10) == pytest.approx((4 * 0.2 + 2 * 0.05) / 6)
    sure = np.ones(5)
    assert expected_calibration_error(sure, np.ones(5, bool)) == 0
    assert expected_calibration_error(sure, np.zeros(5, bool)) == 1


def test_bins_are_of_equal_width_and_include_their_upper_end() -> None:
    right = np.array([True, False])
    assert expected_calibration_error(np.array([0.5, 0.25]), right, bins=2) == pytest.approx(0.125)  # one bin
    assert expected_calibration_error(np.array([0.5, 0.51]), right, bins=2) == pytest.approx((0.5 + 0.51) / 2)
    assert expected_calibration_error(np.array([1.0, 0.0]), right, bins=1) == 0.0
    assert expected_calibration_error(np.array([0.0, 0.0]), right, bins=4) == pytest.approx(0.5)
    # by default 15 bins: 2/15 is the end of the second, and what is above it is in the third
    assert expected_calibration_error(np.array([2 / 15, 0.07]), right) == pytest.approx((1 - 2 / 15 - 0.07) / 2)
    assert expected_calibration_error(np.array([0.134, 0.07]), right) == pytest.approx((1 - 0.134 + 0.07) / 2)


@pytest.mark.parametrize(("queries", "discarded"), [(64, 0), (2048, 172), (4776846, 476158)])
def test_the_early_stopping_estimate_discards_as_many_as_loadgen(queries: int, discarded: int) -> None:
    """The numbers stand in published summaries of LoadGen: "Would discard 172 highest latency queries"."""
    latencies = np.arange(queries, dtype=float)
    assert early_stopping_estimate(latencies) == queries - 1 - discarded


@pytest.mark.parametrize(("percent", "confidence"), [(90.0, 0.99), (50.0, 0.99), (97.0, 0.95), (99.0, 0.99)])
def test_the_early_stopping_estimate_is_the_binomial_bound(percent: float, confidence: float) -> None:
    for queries in (*range(1, 130), 219, 458, 459, 473, 661, 662, 1000):
        counts = np.arange(queries + 1)
        allowed = int((binom.cdf(counts, queries, 1 - percent / 100) <= 1 - confidence).sum()) - 1
        expected = float(queries - allowed) if allowed >= 1 else None
        latencies = np.random.default_rng(queries).permutation(np.arange(queries, dtype=float))
        assert early_stopping_estimate(latencies, percent, confidence) == expected, queries


def test_too_few_queries_have_no_early_stopping_estimate() -> None:
    assert early_stopping_estimate(np.arange(63.0)) is None
    assert early_stopping_estimate(np.arange(64.0)) == 63
    assert early_stopping_estimate(np.arange(661.0), 99.0) is None
    assert early_stopping_estimate(np.arange(662.0), 99.0) == 661


def test_the_sample_size_is_that_of_the_value_nearest_to_one_half() -> None:
    assert sample_size((0.342, 1.0), 0.05) == 385  # the textbook's number for an unknown fraction
    assert sample_size((0.9, 0.99), 0.05) == sample_size((0.01, 0.1), 0.05) == 139
    assert sample_size((0.5, 1.0), Z95 / 8) == 16
    assert sample_size((1.0, 1.0), 0.05) == 0
