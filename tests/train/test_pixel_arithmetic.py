"""What a model does to its pixels at its input, measured and folded, with sums that are known."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support import lazy_module, random_images

keras = lazy_module("keras")

IMAGES = random_images(8, 16).astype(np.float32)


def model_of(first: Callable[[Any], Any], *, convolution: bool = True, channels: int = 3) -> Any:
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3), name="image")
    x = first(image)
    assert x.shape[-1] == channels
    if convolution:
        x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    return keras.Model(image, keras.layers.Dense(3)(keras.layers.Flatten()(x)))


def folded(model: Any) -> Any:
    from tledge.train.pixel_arithmetic import fold_pixel_arithmetic

    found = fold_pixel_arithmetic(model)
    expected = model.predict_on_batch(IMAGES)
    assert np.abs(found.predict_on_batch(IMAGES) - expected).max() < 1e-5 * np.abs(expected).max()
    return found


def kinds(model: Any) -> list[str]:
    return [type(node.operation).__name__ for depth in model._nodes_by_depth.values() for node in depth][::-1]


def grey(x: Any) -> Any:
    return keras.ops.sum(x * np.array([0.5, 0.25, 0.25], np.float32), axis=-1, keepdims=True) / 255.0


def adapted(x: Any) -> Any:
    layer = keras.layers.Normalization()
    layer.adapt(IMAGES * np.array([0.5, 1, 0.25], np.float32))
    return layer(x)


@pytest.mark.parametrize(
    ("first", "scale", "offset"),
    [
        (lambda x: x / 127.5 - 1.0, 1 / 127.5, -1.0),
        (lambda x: keras.layers.Rescaling(2.0)(keras.layers.Rescaling(1 / 255, -0.5)(x)), 2 / 255, -1.0),
        (lambda x: keras.ops.clip(x, 0, 255) / 255, 1 / 255, 0.0),
        (lambda x: x * np.array([1.0, 2.0, 4.0], np.float32) - 3.0, [1, 2, 4], [-3, -3, -3]),
        (
            lambda x: keras.layers.Normalization(mean=[1, 2, 3], variance=[4, 16, 64])(x * 1.0),
            [0.5, 0.25, 0.125],
            [-0.5, -0.5, -0.375],
        ),
        # Reversed channels, minus the mean of blue, green and red: red is the last one.
        (lambda x: x[..., ::-1] - np.array([1, 2, 3], np.float32), [1, 1, 1], [-3, -2, -1]),
        (lambda x: keras.layers.ReLU()(grey(x)), 1 / 255, 0.0),
    ],
)
def test_pixel_arithmetic_becomes_one_rescaling(first: Any, scale: Any, offset: Any) -> None:
    model = model_of(first, channels=first(keras.Input((16, 16, 3))).shape[-1])
    found = folded(model)
    assert kinds(found) == ["InputLayer", "Rescaling", "Conv2D", "Flatten", "Dense"]
    np.testing.assert_allclose(found.layers[1].scale, scale, rtol=1e-5)
    np.testing.assert_allclose(found.layers[1].offset, offset, rtol=1e-4, atol=1e-5)


def test_an_adapted_normalization_and_zero_padding_are_folded() -> None:
    found = folded(model_of(lambda x: keras.layers.ZeroPadding2D(1)(adapted(x[..., ::-1]))))
    assert kinds(found) == ["InputLayer", "Rescaling", "ZeroPadding2D", "Conv2D", "Flatten", "Dense"]


@pytest.mark.parametrize("first", [lambda x: x[..., ::-1] / 255, grey])
def test_channels_that_no_convolution_takes_are_mixed_by_one(first: Any) -> None:
    channels = first(keras.Input((16, 16, 3))).shape[-1]
    found = folded(model_of(first, convolution=False, channels=channels))
    assert kinds(found) == ["InputLayer", "Rescaling", "Conv2D", "Flatten", "Dense"]
    assert found.get_layer("channel_mix").get_weights()[0].shape == (1, 1, 3, channels)


@pytest.mark.parametrize(
    "first",
    [
        lambda x: x,
        lambda x: x * x,
        lambda x: x - keras.ops.mean(x, axis=(1, 2), keepdims=True),
        lambda x: keras.ops.clip(x, 0, 250),
        lambda x: keras.ops.flip(x, axis=1),
        lambda x: keras.layers.DepthwiseConv2D(3, padding="same")(x) / 255,
    ],
)
def test_other_beginnings_are_left_as_they_are(first: Any) -> None:
    model = model_of(first)
    assert folded(model) is model


def test_a_lone_rescaling_is_left_as_it_is() -> None:
    scaling = keras.layers.Rescaling(1 / 255, -0.5)
    model = model_of(scaling)
    assert folded(model) is model


def test_a_path_around_the_arithmetic_keeps_its_pixels() -> None:
    def first(image: Any) -> Any:
        scaled = image / 255
        return keras.ops.concatenate([keras.layers.Conv2D(2, 3, padding="same")(scaled), image], axis=-1)

    model = model_of(first, channels=5)
    assert folded(model) is model


def test_a_convolution_that_is_used_twice_is_not_changed() -> None:
    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3), name="image")
    conv = keras.layers.Conv2D(3, 3, padding="same")
    x = conv(conv(image[..., ::-1] / 255))
    found = folded(keras.Model(image, keras.layers.Dense(3)(keras.layers.Flatten()(x))))
    assert kinds(found) == ["InputLayer", "Rescaling", "Conv2D", "Conv2D", "Conv2D", "Flatten", "Dense"]
