import numpy as np
import pytest

from tledge.export.ranges import BINS, Histogram, Range, observe

pytestmark = pytest.mark.unit

pytestmark = pytest.mark.unit


def histogram(values: np.ndarray) -> Histogram:
    found = Histogram(Range(0.0, 0.0))
    for part in np.array_split(values, 3):
        found.add(part)
    return found


def error(values: np.ndarray, kept: Range) -> float:
    """The mean squared error of 8-bit integers of that range."""
    integers = np.clip(np.rint(values / kept.scale) + kept.zero_point, 0, 255)
    return float(np.mean((values - (integers - kept.zero_point) * kept.scale) ** 2))


def test_a_rare_large_value_is_cut_off_where_that_pays() -> None:
    values = np.random.default_rng(0).normal(size=2_000_000).astype(np.float32)
    values[0] = 60.0
    whole, best = Range(float(values.min()), 60.0), histogram(values).best_range()
    assert best.high < 45
    assert error(values, best) < 0.5 * error(values, whole)


def test_nothing_is_cut_off_of_evenly_spread_values() -> None:
    values = np.linspace(0, 6, 50_000, dtype=np.float32)
    assert histogram(values).best_range() == Range(0.0, 6.0)


@pytest.mark.parametrize(("low", "high"), [(-1.0, 3.0), (0.0, 5.0), (-4.0, 0.0)])
def test_zero_is_an_integer(low: float, high: float) -> None:
    kept = Range(low, high)
    assert 0 <= kept.zero_point <= 255
    assert kept.scale * 255 == pytest.approx(high - low)


def test_every_image_is_looked_at_in_bounded_batches() -> None:
    images = np.arange(20, dtype=np.uint8).reshape(20, 1, 1, 1)
    sizes = []

    def values(batch: np.ndarray) -> dict[str, np.ndarray]:
        sizes.append(len(batch))
        return {"pixels": batch.astype(np.float32)}

    assert observe(values, images)["pixels"] == Range(0.0, 19.0)
    assert sizes == [8, 8, 4]


def test_a_range_includes_0_and_no_more_than_the_values() -> None:
    tensors = {"positive": 3.0, "small": 0.5, "negative": -2.0}
    found = observe(
        lambda batch: {name: np.full(len(batch), value, np.float32) for name, value in tensors.items()},
        np.zeros((10, 1, 1, 3), np.uint8),
    )
    assert found == {"positive": Range(0.0, 3.0), "small": Range(0.0, 0.5), "negative": Range(-2.0, 0.0)}


def test_a_range_grows_to_include_values_and_never_shrinks() -> None:
    assert Range(-1.0, 2.0).widened(np.array([-0.5, 1.5], np.float32)) == Range(-1.0, 2.0)
    assert Range(-1.0, 2.0).widened(np.array([-3.0, 5.0], np.float32)) == Range(-3.0, 5.0)


@pytest.mark.parametrize(
    ("low", "high", "scale", "zero_point"),
    [(0.0, 255.0, 1.0, 0), (-255.0, 0.0, 1.0, 255), (-51.0, 459.0, 2.0, 26), (-1.0, 254.0, 1.0, 1)],
)
def test_the_scale_is_a_255th_of_the_range(low: float, high: float, scale: float, zero_point: int) -> None:
    assert Range(low, high).scale == scale
    assert Range(low, high).zero_point == zero_point


def test_a_tensor_of_zeros_has_a_scale() -> None:
    assert 0 < Range(0.0, 0.0).scale < 1e-30
    assert Range(0.0, 0.0).zero_point == 0
    found = Histogram(Range(0.0, 0.0))
    found.add(np.zeros((2, 3), np.float32))
    assert found.counts[0] == found.counts.sum() == 6
    assert found.best_range() == Range(0.0, 0.0)


def test_values_are_counted_in_2048_bins() -> None:
    found = Histogram(Range(0.0, 2048.0))
    found.add(np.array([[0.0, 0.5, 1.0], [2046.9, 2047.5, 2048.0]], np.float32))
    assert found.counts.shape == (2048,)
    assert {index: int(found.counts[index]) for index in found.counts.nonzero()[0]} == {0: 2, 1: 1, 2046: 1, 2047: 2}
    found.add(np.array([1.5], np.float32))
    assert found.counts[1] == 2
    assert found.observed == Range(0.0, 2048.0)


@pytest.mark.parametrize(
    ("value", "observed", "expected"),
    [
        (4096.0, Range(0.0, 4096.0), {0: 2, 1: 3, 5: 4, 512: 5, 1023: 7, 2047: 1}),
        (-2048.0, Range(-2048.0, 2048.0), {0: 1, 1024: 2, 1025: 3, 1029: 4, 1536: 5, 2047: 7}),
        # Bins of 1.3 values: the centres 2.5 and 10.5 are in bins 1 and 8.
        (2662.5, Range(0.0, 2662.5), {0: 2, 1: 3, 8: 4, 788: 5, 1574: 7, 2047: 1}),
    ],
)
def test_counts_move_to_the_bins_of_a_grown_range(value: float, observed: Range, expected: dict[int, int]) -> None:
    found = Histogram(Range(0.0, 2048.0))
    found.counts[[0, 2, 10, 1024, 2047]] = [2, 3, 4, 5, 7]
    found.add(np.array([value], np.float32))
    assert found.observed == observed
    assert {index: int(found.counts[index]) for index in found.counts.nonzero()[0]} == expected


SPREAD = 12 * 255**2
"""With this number of values and one outlier at H, clipping at C costs (H - C)^2 and rounding C^2: least at H / 2."""


def counted(low: float, high: float, counts: dict[int, int]) -> Histogram:
    found = Histogram(Range(low, high))
    for index, count in counts.items():
        found.counts[index] = count
    return found


@pytest.mark.parametrize(
    ("values", "limit"),
    [(SPREAD, 50.0), (SPREAD // 3, 75.0), (4 * SPREAD, 30.0), (0, 100.0)],
)
def test_the_limit_balances_clipping_and_rounding(values: int, limit: float) -> None:
    above = counted(0.0, 100.0, {1: values, BINS - 1: 1}).best_range()
    assert (above.low, above.high) == pytest.approx((0.0, limit))
    below = counted(-100.0, 0.0, {BINS - 2: values, 0: 1}).best_range()
    assert (below.low, below.high) == pytest.approx((-limit, 0.0))


def test_small_values_are_clipped_as_large_ones_are() -> None:
    found = counted(0.0, 0.1, {1: SPREAD, BINS - 1: 1}).best_range()
    assert (found.low, found.high) == pytest.approx((0.0, 0.05))


def test_both_limits_are_clipped_together() -> None:
    found = counted(-100.0, 100.0, {0: 1, BINS // 2: SPREAD // 2, BINS - 1: 1}).best_range()
    assert (found.low, found.high) == pytest.approx((-50.0, 50.0))
    found = counted(-10.0, 100.0, {0: 10**9, BINS - 1: 10**9}).best_range()
    assert (found.low, found.high) == pytest.approx((-10.0, 100.0))


def test_exact_zeros_are_not_rounded() -> None:
    zeros = {0: SPREAD, BINS - 1: 1}
    assert counted(0.0, 100.0, zeros).best_range() == Range(0.0, 100.0)
    assert counted(0.0, 100.0, {**zeros, 1: SPREAD}).best_range().high == pytest.approx(50.0)
