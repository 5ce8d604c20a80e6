"""The learning rate of each step, and the moving average of the weights."""

import math

import pytest
from support import lazy_module

from tledge.train.step_schedules import cosine_schedule

lazy_module("keras")


def test_it_rises_in_a_line_and_falls_as_a_cosine() -> None:
    schedule = cosine_schedule(0.01, steps=100, warm_up=0.2)
    rates = [float(schedule(step)) for step in range(101)]
    for step in (0, 5, 10, 20):
        assert rates[step] == pytest.approx(0.01 * step / 20, abs=1e-7)
    for step in (20, 40, 60, 99, 100):
        assert rates[step] == pytest.approx(0.01 * (1 + math.cos(math.pi * (step - 20) / 80)) / 2, abs=1e-7)
    assert max(rates) == rates[20]


def test_without_a_warm_up_it_falls_from_the_first_step() -> None:
    schedule = cosine_schedule(0.01, steps=10, warm_up=0.0)
    assert [float(schedule(step)) for step in (0, 5, 10)] == pytest.approx([0.01, 0.005, 0.0], abs=1e-7)


@pytest.mark.parametrize(("steps", "momentum"), [(1, 0.8), (5, 0.8), (10, 0.9), (1000, 0.999), (5000, 0.999)])
def test_weights_are_averaged_over_about_one_epoch(steps: int, momentum: float) -> None:
    from tledge.train.trainable_model import average_momentum

    assert average_momentum(steps) == pytest.approx(momentum)
