"""Differences that a softmax or sigmoid at the end hides are found."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tledge.train.model_comparison import end_removed, find_difference, probe_images

pytestmark = pytest.mark.unit


def softmax(values: Any) -> Any:
    return values


def tanh(values: Any) -> Any:
    return values


class Softmax:
    def call(self, values: Any) -> Any:
        return 2 * values


def model_of(layer: Any) -> Any:
    """A model in a model, whose last layer is this one."""
    inner = SimpleNamespace(layers=[layer], outputs=[SimpleNamespace(_keras_history=(layer, 0, 0))])
    return SimpleNamespace(layers=[inner], outputs=[SimpleNamespace(_keras_history=(inner, 0, 0))])


@pytest.mark.parametrize(("activation", "expected"), [(softmax, True), (tanh, False), (None, False)])
def test_an_activation_is_removed_and_put_back(activation: Any, expected: bool) -> None:
    layer = SimpleNamespace(activation=activation)
    with end_removed(model_of(layer)) as removed:
        assert removed is expected
        assert (layer.activation is activation) is not expected
        assert layer.activation(3) == 3 if expected else True
    assert layer.activation is activation


def test_a_layer_that_is_a_softmax_passes_its_input_on() -> None:
    layer = Softmax()
    with end_removed(model_of(layer)) as removed:
        assert removed
        assert layer.call(3) == 3
    assert layer.call(3) == 6


@pytest.mark.parametrize(("symbol", "expected"), [("nn.softmax", 3), ("math.sigmoid", 3), ("nn.relu", 6)])
def test_a_tensorflow_function_is_found_by_its_symbol(symbol: str, expected: int) -> None:
    layer = SimpleNamespace(symbol=symbol, call=lambda values: 2 * values)
    with end_removed(model_of(layer)):
        assert layer.call(3) == expected
    assert layer.call(3) == 6


@pytest.mark.parametrize("shape", [(8, 6, 3), (8, 6), (48,)])
def test_probe_images_are_of_several_kinds(shape: tuple[int, ...]) -> None:
    images = probe_images(shape, -1.0, 1.0)
    assert images.shape == (6 + min(len(shape), 2) + 1, *shape)
    assert images.dtype == np.float32
    assert images.min() >= -1
    assert images.max() <= 1
    spans = [float(np.ptp(image)) for image in images]
    assert min(spans) == 0
    assert sum(0 < span <= 0.11 for span in spans) == 2
    assert sum(span > 1.8 for span in spans) == len(spans) - 3


@pytest.mark.parametrize(("expected", "difference"), [(0.5, 0.25), (1.0, 0.25), (50.0, 0.005)])
def test_a_difference_is_relative_above_1(expected: float, difference: float) -> None:
    values = np.array([[expected, 0.0]], np.float32)
    assert find_difference(values + np.float32(0.25), values) == pytest.approx(difference)
