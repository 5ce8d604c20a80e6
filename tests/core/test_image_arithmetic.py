"""Which part of a photo is resized and how numbers are rounded, exactly."""

import numpy as np
import pytest
from PIL import Image

from tledge.core import colour_conversion, images
from tledge.core.errors import ImageError

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
    photo = Image.fromarray(np.array([[value] * 3, [65535] * 3], np.uint16))
    assert np.asarray(colour_conversion.to_rgb(photo)).tolist() == [[[expected] * 3] * 3, [[255] * 3] * 3]


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
@pytest.mark.parametrize(
    ("most", "white"),
    [(17, 255), (255, 255), (256, 4095), (4000, 4095), (4095, 4095), (4096, 65535), (16384, 65535), (65535, 65535)],
)
def test_numbers_are_scaled_by_8_12_or_16_bits(dtype: type, most: int, white: int) -> None:
    photo = Image.fromarray(np.array([[0, most // 2, most]], dtype))
    expected = [round(255 * value / white) for value in (0, most // 2, most)]
    assert np.asarray(colour_conversion.to_rgb(photo))[0, :, 0].tolist() == expected


def test_32_bits_are_scaled() -> None:
    photo = Image.fromarray(np.array([[0, 2**30, 2**31 - 1]], np.int32))
    assert np.asarray(colour_conversion.to_rgb(photo))[0, :, 0].tolist() == [0, 128, 255]
    photo = Image.fromarray(np.array([[0, 65536, 2**24 - 1]], np.int32))
    assert np.asarray(colour_conversion.to_rgb(photo))[0, :, 0].tolist() == [0, 1, 255]


def test_several_ranges_in_one_set_are_told_once() -> None:
    def convert(*most: float) -> str:
        for value in most:
            colour_conversion.to_rgb(Image.fromarray(np.array([[value]], np.uint16)))
        return colour_conversion.describe_mixed_ranges()

    colour_conversion.describe_mixed_ranges()
    assert convert(300, 4000, 4095) == ""
    assert convert(4096, 65535) == ""
    told = convert(4000, 4200)
    assert "here from 0 to 4,095 or 65,535: photos of one camera may differ in brightness; save" in told
    assert convert() == ""


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 0.25, 1], [0, 64, 255]),
        ([0, 0.002, 0.5], [0, 1, 128]),
        ([0, 1.5, 254.6], [0, 2, 255]),
        ([0, 128, 255.4], [0, 128, 255]),
        ([0, 8, 16], [0, 8, 16]),
    ],
)
def test_floats_are_read_from_0_to_1_or_to_255(values: list[float], expected: list[int]) -> None:
    assert (
        np.asarray(colour_conversion.to_rgb(Image.fromarray(np.array([values], np.float32))))[0, :, 0].tolist()
        == expected
    )


@pytest.mark.parametrize(
    "values",
    [
        [-0.1, 0.5],
        [0, 1.01],
        [0, 15.9],
        [0, 255.5],
        [0, 300],
        [0, 65535],
        [-1, 255],
        [0, np.nan],
        [np.nan, 0],
        [0, np.inf],
        [-np.inf, 1],
    ],
)
def test_floats_that_are_no_brightness_are_refused(values: list[float]) -> None:
    with pytest.raises(ImageError, match="which are not those of a photo; save it with 8 or 16 bits"):
        colour_conversion.to_rgb(Image.fromarray(np.array([values], np.float32)))


def test_negative_integers_are_refused() -> None:
    with pytest.raises(ImageError, match="has pixel values from -1 to 255, which are not"):
        colour_conversion.to_rgb(Image.fromarray(np.array([[-1, 255]], np.int32)))


@pytest.mark.parametrize(("alpha", "expected"), [(0, [255, 255, 255]), (255, [10, 20, 30]), (51, [206, 208, 210])])
def test_transparency_shows_white(alpha: int, expected: list[int]) -> None:
    photo = Image.fromarray(np.array([[[10, 20, 30, alpha]]], np.uint8), "RGBA")
    assert np.asarray(colour_conversion.to_rgb(photo))[0, 0].tolist() == expected


@pytest.mark.parametrize("height", [1, 63, 64, 65, 129])
def test_every_strip_of_a_photo_is_converted(height: int) -> None:
    grey = (np.arange(height) % 256).astype(np.uint16)[:, np.newaxis].repeat(2, 1) * 257
    grey[-1] = 65535
    expected = np.repeat((grey // 257)[..., np.newaxis], 3, axis=2)
    np.testing.assert_array_equal(np.asarray(colour_conversion.to_rgb(Image.fromarray(grey))), expected)
