import numpy as np
import pytest

from tledge.export.ranges import Histogram, Range, observe

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
