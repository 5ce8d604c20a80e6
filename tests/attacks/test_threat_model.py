"""Balls, and whole pixel values in them."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

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
        ("linf", 1.5, "whole number of pixel values, from 1 to 255; received 1.5"),
        ("linf", 256, "whole number"),
        ("linf", float("nan"), "1 or more"),
        ("l2", 0.9, "1 or more"),
        ("l2", float("inf"), "1 or more"),
        ("l2", -3, "1 or more"),
    ],
)
def test_an_eps_that_no_image_of_bytes_can_hold_is_rejected(norm: str, eps: float, message: str) -> None:
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


def row(*values: float) -> Any:
    """One image of one pixel per three values: float32 (1, 1, n / 3, 3)."""
    return np.array(values, np.float32).reshape(1, 1, -1, 3)


def pixels(*values: int) -> Any:
    return row(*values).astype(np.uint8)


def test_the_usual_ball_is_8_of_255_in_linf() -> None:
    assert ThreatModel() == ThreatModel("linf", 8)
    assert str(ThreatModel("linf", 8)) == "linf 8/255"
    assert str(ThreatModel("l2", 1.5)) == "l2 1.5/255"


def test_errors_say_what_was_received() -> None:
    with pytest.raises(OptionError) as least:
        ThreatModel("l2", 0.75)
    assert str(least.value) == (
        "eps must be 1 or more, in pixel values from 0 to 255: 8-bit images cannot hold smaller changes; received 0.75"
    )
    with pytest.raises(OptionError) as whole:
        ThreatModel("linf", 2.5)
    assert str(whole.value) == (
        "eps in the norm linf must be a whole number of pixel values, from 1 to 255; received 2.5"
    )


def test_linf_projection_clips_each_value_to_the_ball_and_to_bytes() -> None:
    originals = pixels(100, 100, 100, 3, 250, 0)
    inside = row(92, 108, 100.25, 0, 255, 7.5)
    beyond = row(91.9, 108.1, 300, -9, 300, 8.5)
    threat = ThreatModel("linf", 8)
    np.testing.assert_array_equal(threat.project(inside, originals), inside)
    np.testing.assert_array_equal(threat.project(beyond, originals), row(92, 108, 108, 0, 255, 8))
    assert beyond.max() == 300, "the images given are not changed"


def test_l2_projection_shortens_each_image_by_itself() -> None:
    originals = np.concatenate([pixels(100, 100, 100), pixels(100, 100, 100), pixels(250, 0, 5)])
    images = np.concatenate([row(130, 140, 100), row(103, 104, 100), row(280, -40, 5)])
    projected = ThreatModel("l2", 5).project(images, originals)
    np.testing.assert_allclose(projected, np.concatenate([row(103, 104, 100), row(103, 104, 100), row(253, 0, 5)]))
    np.testing.assert_allclose(
        ThreatModel("l2", 10).project(images, originals),
        np.concatenate([row(106, 108, 100), row(103, 104, 100), row(255, 0, 5)]),
    )


def test_images_on_the_edge_of_the_l2_ball_are_not_touched() -> None:
    originals, edge = pixels(10, 10, 10), row(13, 14, 10)
    assert ThreatModel("l2", 5).project(edge, originals).tolist() == edge.tolist()
    np.testing.assert_array_equal(
        ThreatModel("l2", 255).project(row(0, 255, 128), pixels(0, 255, 128)), row(0, 255, 128)
    )


def test_linf_images_are_rounded_half_to_even_within_the_ball() -> None:
    rounded = ThreatModel("linf", 2).round(row(98.5, 101.49, 99.5, 300, 97, 100), pixels(*[100] * 6))
    assert rounded.dtype == np.uint8
    np.testing.assert_array_equal(rounded, pixels(98, 101, 100, 102, 98, 100))


def test_l2_images_are_rounded_as_a_whole() -> None:
    originals = np.concatenate([pixels(100, 100, 100), pixels(0, 255, 7)])
    images = np.concatenate([row(100.9, 100.6, 100), row(0, 255, 7)])
    rounded = ThreatModel("l2", 5).round(images, originals)
    np.testing.assert_array_equal(rounded, np.concatenate([pixels(101, 100, 100), pixels(0, 255, 7)]))
    np.testing.assert_array_equal(
        ThreatModel("l2", 300).round(row(-300, 400, 255), pixels(0, 250, 255)), pixels(0, 255, 255)
    )


def test_distances_are_the_largest_change_or_the_length() -> None:
    first = np.concatenate([pixels(10, 20, 30), pixels(0, 255, 0)])
    second = np.concatenate([pixels(13, 16, 30), pixels(0, 0, 0)])
    assert ThreatModel("linf", 8).distance(first, second).tolist() == [4, 255]
    assert ThreatModel("l2", 8).distance(first, second).tolist() == [5, 255]


def test_steepest_directions_are_exact() -> None:
    gradients = np.concatenate([row(3e-3, -4e-3, 0), row(0, 0, 0)])
    linf = ThreatModel("linf", 8).steepest(gradients)
    np.testing.assert_array_equal(linf, np.concatenate([row(1, -1, 0), row(0, 0, 0)]))
    l2 = ThreatModel("l2", 8).steepest(gradients)
    np.testing.assert_allclose(l2, np.concatenate([row(0.6, -0.8, 0), row(0, 0, 0)]), rtol=1e-6)


def test_draws_follow_the_generator() -> None:
    original = pixels(50, 60, 255)[0]
    asked: list[Any] = []

    def uniform(low: float, high: float, shape: Any) -> Any:
        asked.append((low, high, shape))
        return np.array([-2.5, 0, 3]).reshape(shape)

    generator: Any = SimpleNamespace(uniform=uniform)
    drawn = ThreatModel("linf", 4).draw(original, generator)
    assert asked == [(-4, 4, (1, 1, 3))]
    np.testing.assert_array_equal(drawn, row(47.5, 60, 258)[0])
    assert drawn.dtype == np.float32
    generator = SimpleNamespace(
        standard_normal=lambda shape: np.array([3.0, -4.0, 0.0]).reshape(shape), random=lambda: 0.125
    )
    np.testing.assert_allclose(ThreatModel("l2", 20).draw(original, generator), row(56, 52, 255)[0])
