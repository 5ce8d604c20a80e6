"""Which part of a photo is resized and how numbers are rounded, exactly."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tledge.core import images

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("box", "height", "width", "expected"),
    [
        ((0, 0, 300, 100), 50, 50, (100, 0, 200, 100)),
        ((0, 0, 100, 300), 50, 50, (0, 100, 100, 200)),
        ((0, 0, 300, 100), 50, 100, (50, 0, 250, 100)),
        ((0, 0, 100, 100), 7, 7, (0, 0, 100, 100)),
        ((10, 20, 110, 80), 30, 30, (30, 20, 90, 80)),
        ((0, 0, 101, 100), 10, 10, (0.5, 0, 100.5, 100)),
        ((0, 0, 200, 100), 200, 100, (75, 0, 125, 100)),
    ],
)
def test_a_crop_is_the_largest_centred_part(
    box: tuple[float, ...], height: int, width: int, expected: tuple[float, ...]
) -> None:
    assert images._crop(box, height, width) == pytest.approx(expected)
    assert images._RULES["stretch"](box, height, width) == box


def test_a_crop_stays_inside_in_spite_of_rounding() -> None:
    rng = np.random.default_rng(0)
    for outer_width, outer_height, height, width in rng.integers(1, 3000, (2000, 4)).tolist():
        box = (0.125, 0.25, outer_width + 0.3, outer_height + 0.7)
        left, top, right, bottom = images._crop(box, height, width)
        assert box[0] <= left < right <= box[2]
        assert box[1] <= top < bottom <= box[3]


def test_a_crop_keeps_the_middle_pixels() -> None:
    pixels = np.arange(6 * 4 * 3, dtype=np.uint8).reshape(4, 6, 3)
    photo = Image.fromarray(pixels)
    np.testing.assert_array_equal(images.resize(photo, (4, 4), "crop"), pixels[:, 1:5])
    np.testing.assert_array_equal(images.resize(photo, (4, 6), "stretch"), pixels)
    np.testing.assert_array_equal(images.resize(photo, (4, 2), "crop"), pixels[:, 2:4])


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (1, (0, 0, 10.25, 5.5)),
        (2, (0.75, 0, 11, 5.5)),
        (3, (0.75, 0.5, 11, 6)),
        (4, (0, 0.5, 10.25, 6)),
        (5, (0, 0, 5.5, 10.25)),
        (6, (0.5, 0, 6, 10.25)),
        (7, (0.5, 0.75, 6, 11)),
        (8, (0, 0.75, 5.5, 11)),
    ],
)
def test_the_part_of_a_reduced_photo_that_is_filled(orientation: int, expected: tuple[float, ...]) -> None:
    """41 x 22 pixels at a quarter are 11 x 6, of which 10.25 x 5.5 are filled."""
    upright = Image.new("RGB", (11, 6) if orientation < 5 else (6, 11))
    assert images._filled(upright, (41, 22), 4, orientation) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, 0), (128, 0), (129, 1), (257, 1), (385, 1), (386, 2), (65535, 255), (65535 - 128, 255), (65535 - 129, 254)],
)
def test_16_bits_are_rounded_to_8(value: int, expected: int) -> None:
    photo = Image.fromarray(np.full((2, 3), value, np.uint16))
    assert np.asarray(images.to_rgb(photo)).tolist() == [[[expected] * 3] * 3] * 2


@pytest.mark.parametrize(("value", "expected"), [(-5.0, 0), (0.5, 0), (1.5, 2), (254.6, 255), (900.0, 255)])
def test_floats_are_rounded_and_clipped(value: float, expected: int) -> None:
    photo = Image.fromarray(np.full((1, 1), value, np.float32))
    assert np.asarray(images.to_rgb(photo)).tolist() == [[[expected] * 3]]


@pytest.mark.parametrize(("alpha", "expected"), [(0, [255, 255, 255]), (255, [10, 20, 30]), (51, [206, 208, 210])])
def test_transparency_shows_white(alpha: int, expected: list[int]) -> None:
    photo = Image.fromarray(np.array([[[10, 20, 30, alpha]]], np.uint8), "RGBA")
    assert np.asarray(images.to_rgb(photo))[0, 0].tolist() == expected


@pytest.mark.parametrize("height", [1, 63, 64, 65, 129])
def test_every_strip_of_a_photo_is_converted(height: int) -> None:
    grey = (np.arange(height) % 256).astype(np.uint16)[:, np.newaxis].repeat(2, 1) * 257
    expected = np.repeat((grey // 257)[..., np.newaxis], 3, axis=2)
    np.testing.assert_array_equal(np.asarray(images.to_rgb(Image.fromarray(grey))), expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.jpg", True), ("a.JPEG", True), ("a.tiff", True), (".a.jpg", False), ("a.txt", False), ("jpg", False)],
)
def test_images_are_known_by_their_suffix(name: str, expected: bool) -> None:
    assert images.is_image_name(Path("folder") / name) is expected
