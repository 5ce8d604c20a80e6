import numpy as np
import pytest

from tledge.core.statistics import (
    early_stopping_estimate,
    expected_calibration_error,
    percentile,
    wilson_interval,
)

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("successes", "trials", "expected"),
    # Newcombe 1998, Statistics in Medicine 17, table I, method 3
    [(81, 263, (0.2553, 0.3662)), (15, 148, (0.0624, 0.1605)), (0, 20, (0.0, 0.1611)), (29, 29, (0.8830, 1.0))],
)
def test_wilson_intervals_are_those_of_the_literature(
    successes: int, trials: int, expected: tuple[float, float]
) -> None:
    assert wilson_interval(successes, trials) == pytest.approx(expected, abs=5e-5)


def test_percentiles_are_samples_by_nearest_rank() -> None:
    samples = np.random.default_rng(0).permutation(np.arange(1.0, 101.0))
    assert percentile(samples, 50)[0] == 50
    assert percentile(samples, 90)[0] == 90
    assert percentile(samples, 99)[0] == 99
    assert percentile(np.array([7.0]), 90) == (7.0, None)


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


def test_a_rate_of_all_or_nothing_ends_at_the_end() -> None:
    assert wilson_interval(300, 300)[1] == 1.0
    assert wilson_interval(0, 300)[0] == 0.0


def test_the_calibration_error_is_the_gap_of_each_bin_by_its_size() -> None:
    scores = np.array([0.95, 0.95, 0.95, 0.95, 0.55, 0.55])
    right = np.array([True, True, True, False, True, False])
    assert expected_calibration_error(scores, right, bins=10) == pytest.approx((4 * 0.2 + 2 * 0.05) / 6)
    sure = np.ones(5)
    assert expected_calibration_error(sure, np.ones(5, bool)) == 0
    assert expected_calibration_error(sure, np.zeros(5, bool)) == 1


@pytest.mark.parametrize(("queries", "discarded"), [(64, 0), (2048, 172), (4776846, 476158)])
def test_the_early_stopping_estimate_discards_as_many_as_loadgen(queries: int, discarded: int) -> None:
    """The numbers stand in published summaries of LoadGen: "Would discard 172 highest latency queries"."""
    latencies = np.arange(queries, dtype=float)
    assert early_stopping_estimate(latencies) == queries - 1 - discarded


def test_too_few_queries_have_no_early_stopping_estimate() -> None:
    assert early_stopping_estimate(np.arange(63.0)) is None
