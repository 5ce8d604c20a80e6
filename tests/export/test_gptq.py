"""The arithmetic of weight rounding, on matrices whose rounded weights are known."""

from typing import Any

import numpy as np
import pytest

from tledge.export.gptq import damped, round_weights

pytestmark = pytest.mark.unit


def correlation_of(inputs: Any) -> Any:
    """The correlation (1, fan-in + 1, fan-in + 1) of inputs (samples, fan-in) and the constant 1."""
    with_one = np.concatenate([inputs, np.ones_like(inputs[:, :1])], axis=1)
    return (with_one.T @ with_one / len(inputs))[np.newaxis]


def test_inputs_without_correlation_are_rounded_to_the_nearest() -> None:
    inputs = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], float)  # orthogonal, mean 0
    weights = np.array([[[10.0], [4.4], [-2.6]]])
    rounded, shift = round_weights(weights, correlation_of(inputs), levels=10)
    np.testing.assert_allclose(rounded[0, :, 0], [10, 4, -3])
    np.testing.assert_allclose(shift, [[0.0]], atol=1e-12)


def test_the_bias_compensates_the_error_of_a_constant_input() -> None:
    inputs = np.array([[3.0, 1.0], [3.0, -1.0]])  # the first is always 3
    correlation = correlation_of(inputs)
    correlation[0, 0, 0] += 1e-9
    weights = np.array([[[4.4], [10.0]]])
    rounded, shift = round_weights(weights, correlation, levels=10)
    np.testing.assert_allclose(rounded[0, :, 0], [4, 10])
    np.testing.assert_allclose(shift, [[3 * 0.4]], rtol=1e-6)


def test_a_correlated_weight_compensates_the_error_of_the_one_before() -> None:
    inputs = np.array([[1.1, 1.0, 0.0], [-1.1, -1.0, 0.0], [0.0, 0.0, 9.0], [0.0, 0.0, -9.0]])
    correlation = correlation_of(inputs)
    correlation[0, range(3), range(3)] += 1e-9
    # Rounding 4.4 to 4 misses 1.1 x 0.4 = 0.44 of each output, which the second weight takes: 3.2 + 0.44 = 3.64.
    weights = np.array([[[4.4], [3.2], [10.0]]])
    rounded, shift = round_weights(weights, correlation, levels=10)
    np.testing.assert_allclose(rounded[0, :, 0], [4, 4, 10])
    np.testing.assert_allclose(shift, [[0.0]], atol=1e-6)


def test_the_largest_weight_and_zeros_stay_as_they_are() -> None:
    inputs = np.random.default_rng(0).normal(size=(50, 4)) + 1
    weights = np.array([[[0.0, 1.0], [-7.3, 0.0], [3.1, 2.2], [5.2, -9.9]]])
    rounded, _ = round_weights(weights, correlation_of(inputs), levels=127)
    np.testing.assert_array_equal(rounded[0] == 0, weights[0] == 0)
    assert rounded[0, 1, 0] == pytest.approx(-7.3)
    assert rounded[0, 3, 1] == pytest.approx(-9.9)
    for channel, largest in ((0, 7.3), (1, 9.9)):
        integers = rounded[0, :, channel] / largest * 127
        np.testing.assert_allclose(integers, np.rint(integers), atol=1e-9)
        assert np.abs(integers).max() == pytest.approx(127)


def test_groups_are_rounded_apart() -> None:
    rng = np.random.default_rng(1)
    inputs = [rng.normal(size=(60, 3)) + offset for offset in (0.0, 2.0)]
    correlation = np.concatenate([correlation_of(each) for each in inputs])
    weights = rng.normal(size=(2, 3, 2))
    rounded, shift = round_weights(weights, correlation, levels=7)
    for group in range(2):
        alone, alone_shift = round_weights(weights[[group]], correlation[[group]], levels=7)
        np.testing.assert_allclose(rounded[[group]], alone)
        np.testing.assert_allclose(shift[[group]], alone_shift)


def test_outputs_change_less_than_by_rounding_to_the_nearest() -> None:
    rng = np.random.default_rng(2)
    inputs = rng.normal(size=(500, 8)) @ rng.normal(size=(8, 8)) + 1
    weights = rng.normal(size=(1, 8, 5))
    rounded, shift = round_weights(weights, damped(correlation_of(inputs)), levels=5)
    scale = np.abs(weights[0]).max(axis=0) / 5
    nearest = np.rint(weights[0] / scale) * scale

    def error(kernel: Any, bias: Any) -> float:
        return float(np.square(inputs @ kernel + bias - inputs @ weights[0]).mean())

    assert error(rounded[0], shift[0]) < 0.5 * error(nearest, 0.0)


def test_a_channel_of_zeros_stays_zero() -> None:
    correlation = damped(correlation_of(np.array([[1.0, 2.0], [2.0, 1.0]])))
    rounded, shift = round_weights(np.zeros((1, 2, 1)), correlation, levels=7)
    assert not rounded.any()
    assert not shift.any()


def test_damping_adds_a_hundredth_of_the_mean_to_the_inputs_and_nothing_to_the_bias() -> None:
    correlation = np.array([[[2.0, 0.5, 0.1], [0.5, 4.0, 0.2], [0.1, 0.2, 1.0]], np.zeros((3, 3))])
    found = damped(correlation.copy())
    np.testing.assert_allclose(found[0] - correlation[0], np.diag([0.03, 0.03, 0.0]), atol=1e-12)
    assert 0 < found[1, 0, 0] == found[1, 1, 1] < 1e-30
    assert found[1, 2, 2] == 0
