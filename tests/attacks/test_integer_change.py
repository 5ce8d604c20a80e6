"""Rounding a change to whole numbers that are no longer."""

from typing import Any

import numpy as np
import pytest

from tledge.attacks.integer_change import round_change

pytestmark = pytest.mark.unit

RNG = np.random.default_rng(0)


def rounded(*values: float, longest: float = 1e6, **options: Any) -> list[float]:
    change = np.array(values, np.float32)
    found = round_change(change, longest, **options)
    assert found.dtype == np.float32
    assert change.tolist() == np.array(values, np.float32).tolist(), "the change given stays"
    return [float(value) for value in found]


@pytest.mark.parametrize(
    ("values", "longest", "expected"),
    [
        ((3, -4), 5, [3, -4]),
        ((3, -4), 6, [3, -4]),
        ((3, -4), 4.99, [3, -3]),  # at 5/6 to 7/8 of the change; then it has the length 5
        ((300, -400), 500, [300, -400]),
        ((0, 0), 1, [0, 0]),
        ((1,), 1, [1]),
        ((2, 0), 1.9, [1, 0]),
        ((0.4, 0.3), 5, [0, 0]),  # a whole change is 1 long at least
        ((0.999, 0), 5, [0, 0]),
        ((0.9, 0.6), 5, [1, 0]),
        ((-0.9, 0.6), 1, [-1, 0]),
        ((0.9, 0.6), 0.99, [0, 0]),
        ((1.2, -0.9, 0.2), 5, [1, -1, 0]),
        ((1.2, -0.9, 0.2), 1.4, [1, 0, 0]),  # the square root of 2 is longer
        ((0.5, 0.5, 0.5, 0.5), 5, [0, 0, 0, 0]),
        ((0.75, 0.25, 0.25, 0.6), 5, [1, 0, 0, 0]),
    ],
)
def test_the_longest_rounded_multiple_is_found(values: Any, longest: float, expected: list[float]) -> None:
    assert rounded(*values, longest=longest) == expected


def test_the_shape_is_kept() -> None:
    change = np.full((2, 3, 3), 0.7, np.float32)
    change[0, 0, 0] = 2.6
    assert round_change(change, 5).shape == (2, 3, 3)
    assert round_change(np.rint(change), 500).shape == (2, 3, 3)
    assert round_change(np.zeros((2, 1), np.float32), 5).tolist() == [[0], [0]]


def test_each_round_halves_the_interval() -> None:
    assert rounded(0.9, 0.6, rounds=1) == [0, 0]  # sqrt(0.556 * 1.757) = 0.988 is too much
    assert rounded(0.9, 0.6, rounds=2) == [1, 0]  # sqrt(0.556 * 0.988) = 0.741 is not
    change = np.random.default_rng(1).normal(0, 0.3, 20_000).astype(np.float32)
    usual = round_change(change, 1e6)
    assert [np.array_equal(usual, round_change(change, 1e6, rounds)) for rounds in (11, 12, 13)] == [False, True, False]


def test_a_whole_change_needs_no_search() -> None:
    assert rounded(3, -4, longest=5, rounds=0) == [3, -4]
    assert rounded(3, -4, longest=6, rounds=0) == [3, -4]
    assert rounded(3, -4, longest=4.99, rounds=0) == [0, 0]
    assert rounded(3, -4.01, longest=6, rounds=0) == [0, 0]


def test_sums_that_float32_makes_too_small_do_not_count() -> None:
    """Where a sum of squares in float32 is too small, the limit lies between it and the exact sum."""

    def sums(count: int) -> tuple[float, int]:
        values = np.full(count, 254, np.float32)
        return float(np.dot(values, values)), count * 254**2

    count = next(count for count in range(120_000, 130_000) if sums(count)[0] < sums(count)[1] - 100)
    longest = float(np.sqrt(sum(sums(count)) / 2))
    found = round_change(np.full(count, 254.6, np.float32), longest)
    assert set(found.tolist()) == {253}


def test_a_change_that_is_too_long_is_shortened_to_the_limit() -> None:
    change = RNG.normal(0, 5, 3000).astype(np.float32)
    assert 99.9 < np.linalg.norm(round_change(change, 100.0)) <= 100
    assert 90 < np.linalg.norm(round_change(np.rint(change), 100.0)) <= 100  # all fours become threes at once


def test_rounding_a_spread_change_keeps_its_length_and_direction() -> None:
    """Each value by itself would round to nothing."""
    change = RNG.normal(0, 0.15, (40, 40, 3)).astype(np.float32)
    length = float(np.linalg.norm(change))
    assert np.abs(np.rint(change)).sum() < 0.01 * change.size
    rounded = round_change(change, 1e6)
    assert 0.97 * length <= np.linalg.norm(rounded) <= length
    cosine = float((rounded * change).sum() / np.linalg.norm(rounded) / length)
    assert cosine > 0.35
    smallest = np.abs(change[rounded != 0]).min()
    assert smallest >= np.abs(change[rounded == 0]).max()


def test_rounding_long_changes_is_exact_where_float32_is_not() -> None:
    change = np.full((200, 200, 3), 254.6, np.float32)
    longest = float(np.sqrt(change.size) * 254)
    rounded = round_change(change, longest).astype(np.int64)
    assert (rounded**2).sum() <= longest**2
    assert rounded.min() >= 253
