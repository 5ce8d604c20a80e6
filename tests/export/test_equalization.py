"""By how much channels are scaled up, and which heads stay float32."""

import numpy as np
import pytest

from tledge.export.equalization import equalization_factors
from tledge.export.float_head import is_small_head

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("largest", "factor"),
    [
        (0.0, 1.0),  # a dead channel
        (6.0, 1.0),
        (4.8, 1.0),  # 6 / 1.25: the headroom is used up
        (4.0, 1.2),
        (2.4, 2.0),
        (0.3, 16.0),
        (0.31, 4.8 / 0.31),
        (0.1, 16.0),
    ],
)
def test_a_channel_fills_the_range_but_for_some_headroom(largest: float, factor: float) -> None:
    factors = equalization_factors(np.array([largest, 1.2], np.float32), ceiling=6.0)
    assert factors == pytest.approx([factor, 4.0])


@pytest.mark.parametrize(("head", "others", "small"), [(5, 400, True), (5, 399, False), (5, 401, True), (1, 0, False)])
def test_a_head_of_at_most_5_percent_of_the_other_weights_is_small(head: int, others: int, small: bool) -> None:
    assert is_small_head(head, others) is small
