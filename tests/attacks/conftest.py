"""Models and photos for the tests of attacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from digit_sample import Digits

from tledge.attacks.loss_gradients import GradientModel


@pytest.fixture(scope="session")
def digits(digit_sets: Sequence[Digits]) -> Digits:
    return digit_sets[1]


@pytest.fixture(scope="session")
def model(network: Any) -> GradientModel:
    return GradientModel(network)


@pytest.fixture(scope="session")
def stairs(network: Any) -> GradientModel:
    """The same network with logits that are rounded to steps: as accurate, as easily fooled, and without gradients."""
    import keras

    return GradientModel(keras.Model(network.input, keras.ops.round(network.output * 4) / 4))
