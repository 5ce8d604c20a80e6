"""Each way to convert pixels gives what the formula gives, for every pixel value, layout, colour and dtype."""

import itertools
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tledge.core.preprocessing import Preprocessing
from tledge.edge_runtime.pixel_conversion import PixelConversion, grey, quantize, real_values
from tledge.edge_runtime.tensor import TensorSpec

pytestmark = pytest.mark.unit

EVERY_VALUE = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=-1)
RANDOM = np.random.default_rng(0).integers(0, 256, (3, 6, 10, 3), np.uint8)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def check(preprocessing: Preprocessing, image: TensorSpec) -> None:
    """Compares the conversion with the formula, pixel by pixel."""
    tables = real_values(preprocessing)
    if np.issubdtype(image.dtype, np.integer):
        tables = quantize(tables, image)
    for photos in (EVERY_VALUE, RANDOM):
        pixels = {"grey": grey(photos)[..., np.newaxis], "bgr": photos[..., ::-1]}.get(preprocessing.colour, photos)
        channels = [tables[channel][pixels[..., channel]] for channel in range(preprocessing.channels)]
        wanted = np.stack(channels, axis=1 if preprocessing.layout == "nchw" else -1)
        convert = PixelConversion(preprocessing, image)
        found = convert(photos)
        out = np.empty_like(found)
        assert convert(photos, out) is out
        np.testing.assert_array_equal(out, found)
        assert found.dtype == image.dtype
        assert found.flags.c_contiguous
        assert found.shape == wanted.shape
        if np.issubdtype(image.dtype, np.integer):
            np.testing.assert_array_equal(found, wanted)
        else:
            error = 1e-3 if image.dtype == np.float16 else 2.5e-7
            np.testing.assert_allclose(found, wanted, atol=error * np.abs(wanted).max(), rtol=error)


@pytest.mark.parametrize(
    ("span", "mean", "std", "exact"),
    [
        ((0.0, 1.0), (), (), False),
        ((-1.0, 1.0), (), (), False),
        ((0.0, 1.0), MEAN, STD, False),
        ((0.0, 255.0), (127.0001,) * 3, (), False),  # a pixel value so near to the mean has few correct digits
        ((0.0, 255.0), (123.675, 116.28, 103.53), (58.395, 57.12, 57.375), False),
        ((1e6, 1e6 + 1), (), (), False),
        ((0.0, 1.0), (0.2552,) * 3, (0.8461,) * 3, True),  # 3 roundings on a line are too many here
        ((0.0, 1.0), (0.4633,) * 3, (0.5448,) * 3, True),
    ],
)
@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
def test_the_worst_float32_is_near_in_units_of_the_largest(
    layout: str, span: tuple[float, float], mean: Any, std: Any, exact: bool
) -> None:
    preprocessing = Preprocessing(layout=layout, input_range=span, mean=mean, std=std)
    wanted = real_values(preprocessing)
    found = PixelConversion(preprocessing, TensorSpec("x", (1, None, None, None), np.dtype(np.float32)))(EVERY_VALUE)
    channels = found[0].reshape(3, 256) if layout == "nchw" else found[0].reshape(256, 3).T
    wanted = np.broadcast_to(wanted, channels.shape)
    units = np.spacing(np.abs(wanted).max(axis=1).astype(np.float32))
    worst = np.abs(channels - wanted).max(axis=1) / units
    assert (worst <= 2).all()
    assert np.array_equal(channels, wanted.astype(np.float32)) is exact


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8, np.int8, np.int16])
@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
@pytest.mark.parametrize("colour", ["rgb", "bgr", "grey"])
def test_every_way_is_the_formula(dtype: Any, layout: str, colour: str) -> None:
    channels = 1 if colour == "grey" else 3
    quantizations: Any = [(0.0, 0)]
    if np.issubdtype(dtype, np.integer):
        scales = (1 / 128, 1 / 127.5, 1 / 127, 1 / 255, 0.0187, 0.0171, 1.0)
        quantizations = itertools.product(scales, (128, 127, 0, -1, -14, 114, -128))
    for scale, zero_point in quantizations:
        image = TensorSpec("x", (1, None, None, None), np.dtype(dtype), scale, zero_point)
        for span in ((0.0, 1.0), (-1.0, 1.0), (-1.0, 127 / 128), (0.0, 255.0)):
            check(Preprocessing(layout=layout, colour=colour, input_range=span), image)
        normalized = {"mean": MEAN[:channels], "std": STD[:channels]}
        check(Preprocessing(layout=layout, colour=colour, input_range=(0.0, 1.0), **normalized), image)


@pytest.mark.parametrize(
    ("low", "high", "dtype", "scale", "zero_point", "expected"),
    [
        (-1.0, 127 / 128, np.uint8, 1 / 128, 128, np.arange(256)),  # the tensor's own span: the bytes
        (-1.0, 127 / 128, np.int8, 1 / 128, 0, np.arange(256) - 128),
        (-1.0, 1.0, np.uint8, 1 / 127.5, 128, np.arange(256)),  # half-way everywhere: the bytes
        (-1.0, 1.0, np.int8, np.float32(1 / 127.5), -1, np.arange(256) - 128),
        (-1.0, 1.0, np.uint8, 1 / 128, 128, np.clip(np.rint(np.arange(256) * 128 / 127.5), 0, 255)),  # not the bytes
        (0.0, 255.0, np.uint8, 2.0, 0, np.floor(np.arange(256) / 2 + 0.5)),  # half-way: away from zero,
        (-255.0, 0.0, np.int8, 2.0, 100, 100 - np.floor(np.arange(255, -1, -1) / 2 + 0.5)),  # on both sides
    ],
)
def test_integers_are_the_nearest(
    low: float, high: float, dtype: Any, scale: float, zero_point: int, expected: Any
) -> None:
    image = TensorSpec("x", (1, 16, 16, 3), np.dtype(dtype), float(scale), zero_point)
    integers = quantize(real_values(Preprocessing(input_range=(low, high))), image)
    np.testing.assert_array_equal(integers[0], expected)
    found = PixelConversion(Preprocessing(input_range=(low, high)), image)(EVERY_VALUE)
    np.testing.assert_array_equal(found[0, ..., 0].reshape(-1), expected)


def test_bytes_are_not_copied() -> None:
    image = TensorSpec("x", (1, 16, 16, 3), np.dtype(np.uint8))
    assert np.shares_memory(PixelConversion(Preprocessing(), image)(EVERY_VALUE), EVERY_VALUE)


def test_grey_is_pillows_for_every_colour() -> None:
    steps = np.arange(0, 256, 5, dtype=np.uint8)
    colours = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 52, 3)
    np.testing.assert_array_equal(grey(colours)[0], np.asarray(Image.fromarray(colours[0]).convert("L")))
