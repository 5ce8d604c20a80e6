"""Balls, and whole pixel values in them."""

from typing import Any

import numpy as np
import pytest

from tledge.attacks.integer_change import round_change
from tledge.attacks.threat_model import ThreatModel
from tledge.core.errors import OptionError, UnknownNameError

pytestmark = pytest.mark.unit

RNG = np.random.default_rng(0)
ORIGINALS = RNG.integers(0, 256, (6, 20, 24, 3), np.uint8)


@pytest.mark.parametrize(
    ("norm", "eps", "message"),
    [
        ("linf", 0, "1 or more"),
        ("linf", 0.5, "1 or more, .* received 0.5"),
        ("linf", 1.5, "whole number from 1 to 255, .* received 1.5"),
        ("linf", 256, "whole number"),
        ("linf", float("nan"), "1 or more"),
        ("l2", 0.9, "1 or more"),
        ("l2", float("inf"), "1 or more"),
        ("l2", -3, "1 or more"),
    ],
)
def test_an_eps_that_no_image_of_bytes_can_hold_is_refused(norm: str, eps: float, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        ThreatModel(norm, eps)


def test_an_unknown_norm_suggests_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown norm 'l_inf'. Did you mean 'linf'"):
        ThreatModel("l_inf", 8)


@pytest.mark.parametrize(
    ("norm", "eps"), [("linf", 1), ("linf", 8), ("linf", 255), ("l2", 1), ("l2", 30.5), ("l2", 5e3)]
)
@pytest.mark.parametrize("scale", [0.2, 3, 400])
def test_projected_and_rounded_images_are_inside(norm: str, eps: float, scale: float) -> None:
    threat = ThreatModel(norm, eps)
    wild = (ORIGINALS + RNG.normal(0, scale, ORIGINALS.shape)).astype(np.float32)
    projected = threat.project(wild, ORIGINALS)
    assert projected.min() >= 0
    assert projected.max() <= 255
    assert threat.distance(projected, ORIGINALS).max() <= eps * (1 + 1e-5)  # type: ignore[arg-type]
    rounded = threat.round(wild, ORIGINALS)
    assert rounded.dtype == np.uint8
    assert threat.distance(rounded, ORIGINALS).max() <= eps
    np.testing.assert_array_equal(threat.round(rounded, ORIGINALS), rounded)


def test_a_point_inside_stays_and_one_outside_goes_to_the_nearest() -> None:
    threat = ThreatModel("l2", 100)
    originals = np.full((1, 16, 16, 3), 128, np.uint8)
    near = originals + np.float32(3)
    np.testing.assert_array_equal(threat.project(near, originals), near)
    far = originals + np.float32(30)
    np.testing.assert_allclose(threat.project(far, originals) - originals, 100 / np.sqrt(768), rtol=1e-5)


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


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_random_points_fill_the_ball(norm: str) -> None:
    threat = ThreatModel(norm, 50)
    original = np.zeros((2, 1, 3), np.uint8)
    rng = np.random.default_rng(1)
    drawn = np.stack([threat.draw(original, rng) for _ in range(4000)]).reshape(4000, 6)
    sizes = np.abs(drawn).max(axis=1) if norm == "linf" else np.linalg.norm(drawn, axis=1)
    assert sizes.max() <= 50.01
    np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=2.5)
    # Uniform over a ball of 6 dimensions: the 6th power of the radius is uniform.
    np.testing.assert_allclose(np.quantile((sizes / 50) ** 6, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.04)


def test_steepest_directions_have_length_one() -> None:
    gradients: Any = RNG.normal(size=(3, 4, 5, 3)).astype(np.float32)
    gradients[1] = 0
    np.testing.assert_array_equal(ThreatModel("linf", 8).steepest(gradients), np.sign(gradients))
    lengths = np.linalg.norm(ThreatModel("l2", 8).steepest(gradients).reshape(3, -1), axis=1)
    np.testing.assert_allclose(lengths, [1, 0, 1], rtol=1e-5)
