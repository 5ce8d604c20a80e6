"""From photos to tensors and from outputs to logits, in exact numbers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import TINY_SIDECAR

from tledge.core.errors import ArtifactError
from tledge.core.preprocessing import Preprocessing
from tledge.edge_runtime.adapter import Adapter
from tledge.edge_runtime.tensor import TensorSpec, softmax

pytestmark = pytest.mark.unit

OWN_IMAGE = TensorSpec("image", (1, 16, 16, 3), np.dtype(np.uint8))
OWN_OUTPUT = TensorSpec("logits", (1, 3), np.dtype(np.float32))
PIXELS = np.array([[[[0, 51, 255], [10, 20, 30]]]], np.uint8)  # one photo of one row of two pixels
TINY = np.finfo(np.float32).tiny
TWO_PIXELS = replace(TINY_SIDECAR, input_size=(1, 2))


def adapter(
    preprocessing: Preprocessing,
    dtype: Any = np.float32,
    *,
    scale: float = 0.0,
    zero_point: int = 0,
    output: TensorSpec = OWN_OUTPUT,
    classes: int = 3,
) -> Adapter:
    """An adapter of a model that takes images of 1 x 2 pixels."""
    channels = preprocessing.channels
    shape = (1, 1, 2, channels) if preprocessing.layout == "nhwc" else (1, channels, 1, 2)
    names = tuple(f"c{index}" for index in range(classes))
    sidecar = replace(TWO_PIXELS, preprocessing=preprocessing, class_names=names)
    return Adapter(Path("m"), sidecar, TensorSpec("x", shape, np.dtype(dtype), scale, zero_point), output)


def test_models_of_our_own_get_the_pixels_themselves() -> None:
    own = Adapter(Path("m"), TINY_SIDECAR, OWN_IMAGE, OWN_OUTPUT)
    photos = np.arange(2 * 16 * 16 * 3, dtype=np.uint8).reshape(2, 16, 16, 3)
    assert own.to_tensor(photos) is photos
    turned = own.to_tensor(photos[:, ::-1])
    assert turned.flags.c_contiguous
    np.testing.assert_array_equal(turned, photos[:, ::-1])
    logits = np.array([[1, 2, 3]], np.float32)
    assert own.to_logits(logits) is logits
    assert own.to_logits(logits.astype(np.float16)).dtype == np.float32


@pytest.mark.parametrize(
    ("preprocessing", "expected"),
    [
        (Preprocessing(), [[0, 51, 255], [10, 20, 30]]),
        (Preprocessing(input_range=(0.0, 1.0)), [[0, 0.2, 1], [10 / 255, 20 / 255, 30 / 255]]),
        (Preprocessing(input_range=(-1.0, 1.0)), [[-1, -0.6, 1], [20 / 255 - 1, 40 / 255 - 1, 60 / 255 - 1]]),
        (Preprocessing(mean=(1.0, 2.0, 3.0)), [[-1, 49, 252], [9, 18, 27]]),
        (Preprocessing(std=(1.0, 2.0, 5.0)), [[0, 25.5, 51], [10, 10, 6]]),
        (Preprocessing(mean=(1.0, 1.0, 5.0), std=(2.0, 2.0, 5.0)), [[-0.5, 25, 50], [4.5, 9.5, 5]]),
        (Preprocessing(colour="bgr", mean=(5.0, 1.0, 0.0)), [[250, 50, 0], [25, 19, 10]]),
    ],
)
def test_each_channel_is_scaled_by_its_own_numbers(preprocessing: Preprocessing, expected: list[list[float]]) -> None:
    tensor = adapter(preprocessing).to_tensor(PIXELS)
    assert tensor.dtype == np.float32
    assert tensor.shape == (1, 1, 2, 3)
    np.testing.assert_allclose(tensor[0, 0], expected, atol=1e-5)
    planes = adapter(replace(preprocessing, layout="nchw")).to_tensor(PIXELS)
    assert planes.shape == (1, 3, 1, 2)
    assert planes.flags.c_contiguous
    np.testing.assert_array_equal(planes, tensor.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
def test_grey_is_pillows(layout: str) -> None:
    photos = np.random.default_rng(0).integers(0, 256, (5, 1, 2, 3), np.uint8)
    photos[0] = [[[255, 255, 255], [0, 0, 0]]]
    tensor = adapter(Preprocessing(colour="grey", layout=layout)).to_tensor(photos)
    expected = np.stack([np.asarray(Image.fromarray(photo).convert("L")) for photo in photos])
    assert tensor.shape == ((5, 1, 2, 1) if layout == "nhwc" else (5, 1, 1, 2))
    np.testing.assert_array_equal(tensor.reshape(5, 1, 2), expected)


@pytest.mark.parametrize(
    ("dtype", "scale", "zero_point", "expected"),
    [
        (np.uint8, 0.0, 0, [0, 0, 1]),  # 0, 0.2 and 1 are rounded to whole numbers
        (np.uint8, 1 / 255, 0, [0, 51, 255]),
        (np.int8, 1 / 255, -128, [-128, -77, 127]),
        (np.int8, 1 / 100, -10, [-10, 10, 90]),
        (np.int8, 1 / 1000, 0, [0, 127, 127]),  # clipped
        (np.int8, 1 / 255, -200, [-128, -128, 55]),
        (np.uint8, 0.4, 1, [1, 2, 4]),  # 1.5 and 3.5 to the even one
    ],
)
def test_integers_are_rounded_and_clipped(dtype: Any, scale: float, zero_point: int, expected: list[int]) -> None:
    tensor = adapter(Preprocessing(input_range=(0.0, 1.0)), dtype, scale=scale, zero_point=zero_point).to_tensor(PIXELS)
    assert tensor.dtype == dtype
    assert tensor[0, 0, 0].tolist() == expected


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        ("logits", [[3.0, -1.0, 0.0]], [[3.0, -1.0, 0.0]]),
        ("probabilities", [[0.5, 0.5, 0.0]], [[np.log(0.5), np.log(0.5), np.log(TINY)]]),
        ("probabilities", [[1.0, 1e-12, 1e-30]], [[0.0, np.log(1e-12), np.log(1e-30)]]),
        ("sigmoid", [[0.75]], [[0.0, np.log(3)]]),
        ("sigmoid", [[0.0]], [[0.0, np.log(TINY)]]),
        ("sigmoid", [[1e-20]], [[0.0, np.log(1e-20)]]),
        ("sigmoid", [[1.0]], [[0.0, 16.635532]]),  # the largest float32 below 1
        ("logit", [[-2.5]], [[0.0, -2.5]]),
    ],
)
def test_outputs_become_logits(kind: str, given: list[list[float]], expected: list[list[float]]) -> None:
    count = len(given[0])
    output = TensorSpec("y", (1, count), np.dtype(np.float32))
    logits = adapter(Preprocessing(output=kind), output=output, classes=len(expected[0])).to_logits(
        np.array(given, np.float32)
    )
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected, rtol=1e-5)


def test_quantized_outputs_are_dequantized_and_flattened() -> None:
    output = TensorSpec("y", (1, 1, 1, 3), np.dtype(np.int8), 0.5, -3)
    found = adapter(Preprocessing(), output=output).to_logits(np.array([[[[1, -3, 127]]], [[[0, 0, 0]]]], np.int8))
    assert found.tolist() == [[2.0, 0.0, 65.0], [1.5, 1.5, 1.5]]


@pytest.mark.parametrize(
    ("image", "output"),
    [
        (replace(OWN_IMAGE, dtype=np.dtype(np.float32)), OWN_OUTPUT),
        (replace(OWN_IMAGE, shape=(1, 16, 16, 1)), OWN_OUTPUT),
        (replace(OWN_IMAGE, shape=(1, 16, 16)), OWN_OUTPUT),
        (OWN_IMAGE, replace(OWN_OUTPUT, shape=(1, 3, 1))),
        (OWN_IMAGE, replace(OWN_OUTPUT, shape=(3,))),
    ],
)
def test_what_tledge_does_not_export_needs_a_description(image: TensorSpec, output: TensorSpec) -> None:
    with pytest.raises(ArtifactError, match="'m' is not an image classifier as tledge exports it: input .*adopt"):
        Adapter(Path("m"), TINY_SIDECAR, image, output)


@pytest.mark.parametrize(
    ("shape", "outputs", "fits"),
    [
        ((1, 16, 16, 3), (1, 3), True),
        ((None, None, None, 3), (None, 3), True),
        ((1, 16, 16, 3), (1, None), True),  # how many outputs there are is not known yet
        ((1, 16, 15, 3), (1, 3), False),
        ((1, 17, 16, 3), (1, 3), False),
        ((1, 16, 16, 3, 1), (1, 3), False),
        ((1, 16, 16, 3), (1, 2), False),
        ((1, 16, 16, 3), (1, 4), False),
    ],
)
def test_the_tensors_must_be_those_of_the_sidecar(shape: Any, outputs: Any, fits: bool) -> None:
    image, output = replace(OWN_IMAGE, shape=shape), replace(OWN_OUTPUT, shape=outputs)
    if fits:
        Adapter(Path("m"), TINY_SIDECAR, image, output)
        return
    with pytest.raises(ArtifactError, match="the sidecar of 'm' does not match its model|not an image classifier"):
        Adapter(Path("m"), TINY_SIDECAR, image, output)


@pytest.mark.parametrize(
    ("layout", "colour", "shape", "fits"),
    [
        ("nhwc", "rgb", (1, 16, 8, 3), True),
        ("nchw", "rgb", (1, 3, 16, 8), True),
        ("nchw", "grey", (1, 1, 16, 8), True),
        ("nchw", "rgb", (1, None, None, None), True),
        ("nchw", "rgb", (1, 16, 8, 3), False),
        ("nhwc", "rgb", (1, 3, 16, 8), False),
        ("nhwc", "grey", (1, 16, 8, 3), False),
        ("nhwc", "rgb", (1, 16, 8), False),
        ("nhwc", "rgb", (1, 8, 16, 3), False),
    ],
)
def test_a_description_must_fit_the_input(layout: str, colour: str, shape: Any, fits: bool) -> None:
    sidecar = replace(TINY_SIDECAR, input_size=(16, 8), preprocessing=Preprocessing(layout=layout, colour=colour))
    image = TensorSpec("x", shape, np.dtype(np.float32))
    if fits:
        Adapter(Path("m"), sidecar, image, OWN_OUTPUT)
        return
    with pytest.raises(ArtifactError, match=r"it describes an input of \[.*\] and 3 classes, but the model has x"):
        Adapter(Path("m"), sidecar, image, OWN_OUTPUT)


@pytest.mark.parametrize(
    ("kind", "outputs", "classes", "fits"),
    [
        ("sigmoid", 1, 2, True),
        ("logit", 1, 2, True),
        ("sigmoid", 1, 1, False),
        ("logit", 1, 3, False),
        ("sigmoid", 2, 2, True),
        ("logits", 1, 1, True),
        ("logits", 1, 2, False),
        ("probabilities", 2, 2, True),
        ("probabilities", 1, 2, False),
    ],
)
def test_a_lone_output_stands_for_two_classes(kind: str, outputs: int, classes: int, fits: bool) -> None:
    output = TensorSpec("y", (1, outputs), np.dtype(np.float32))
    if fits:
        adapter(Preprocessing(output=kind), output=output, classes=classes)
        return
    with pytest.raises(ArtifactError, match=f"and {classes} classes, but the model has"):
        adapter(Preprocessing(output=kind), output=output, classes=classes)


def test_softmax_is_exact_and_does_not_overflow() -> None:
    scores = softmax(np.array([[0.0, np.log(3.0)], [1000.0, 1000.0], [-1000.0, 0.0], [5.0, 5.0]], np.float32))
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, [[0.25, 0.75], [0.5, 0.5], [0, 1], [0.5, 0.5]], rtol=1e-6)
    batch = softmax(np.zeros((2, 3, 4), np.float32))
    np.testing.assert_array_equal(batch, np.full((2, 3, 4), 0.25, np.float32))
