"""int8 is as close to the Keras model however the author wrote the scaling of the pixels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import lazy_module, random_images

from tledge.export.recipes import Recipe

keras = lazy_module("keras")

PIXELS = random_images(60, 24, seed=9)


def adapted(x: Any) -> Any:
    layer = keras.layers.Normalization()
    layer.adapt(PIXELS.astype(np.float32))
    return layer(x)


def given(x: Any) -> Any:
    values = PIXELS.reshape(-1, 3).astype(np.float64)
    return keras.layers.Normalization(mean=values.mean(axis=0), variance=values.var(axis=0))(x)


def as_rescaling(x: Any) -> Any:
    values = PIXELS.reshape(-1, 3).astype(np.float64)
    deviation, mean = values.std(axis=0), values.mean(axis=0)
    return keras.layers.Rescaling((1 / deviation).tolist(), (-mean / deviation).tolist())(x)


def nested(x: Any) -> Any:
    layers = keras.layers
    inner = keras.Sequential([keras.Input((24, 24, 3)), layers.RandomFlip(), layers.Rescaling(1.0, -1.0)])
    return keras.Sequential([keras.Input((24, 24, 3)), layers.Rescaling(1 / 127.5), inner])(x)


def of_all_channels(x: Any) -> Any:
    return keras.layers.Normalization(axis=None, mean=127.5, variance=127.5**2)(x)


def caffe(x: Any) -> Any:
    """Blue first, less ImageNet's means."""
    return keras.applications.resnet50.preprocess_input(x)


def caffe_as_rescaling(x: Any) -> Any:
    """The same means of red, green and blue, which stay in this order."""
    return keras.layers.Rescaling(1.0, [-123.68, -116.779, -103.939])(x)


def scaled(x: Any) -> Any:
    return keras.layers.Rescaling(1 / 127.5, -1.0)(x)


def imported(path: Path, first: Callable[[Any], Any], dtype: str = "float32") -> Any:
    from tledge.train.keras_file import read_keras_file

    keras.utils.set_random_seed(0)
    image = keras.Input((24, 24, 3))
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        x = keras.layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")(first(image))
        x = keras.layers.Conv2D(16, 3, activation="relu")(x)
        model = keras.Model(image, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x)))
    finally:
        keras.config.set_dtype_policy(before)
    model.save(path)
    return read_keras_file(path, 3).model


def inner_statistics(x: Any) -> Any:
    layer = keras.layers.Normalization()
    layer.adapt(np.random.default_rng(0).normal(0.5, 0.25, (32, 4, 4, 4)).astype(np.float32))
    return layer(x)


def decibels(model: Any, kind: str) -> float:
    """The signal-to-noise ratio of an int8 file's logits, less each photo's mean, as the export measures it."""
    from tledge.export.format import FORMATS
    from tledge.export.weight_calibration import CalibratedModel

    content = FORMATS.load(kind).convert(model, Recipe("int8", calibrated=True), CalibratedModel(model, PIXELS))
    wanted, found = (_centred(values) for values in (model.predict_on_batch(PIXELS.astype(np.float32)), run(content)))
    return float(10 * np.log10(np.square(wanted).sum() / np.square(found - wanted).sum()))


def run(content: bytes) -> Any:
    if content[4:8] != b"TFL3":
        import onnxruntime

        return onnxruntime.InferenceSession(content).run(None, {"image": PIXELS})[0]
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    image = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(image, PIXELS.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(image, PIXELS)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def _centred(logits: Any) -> Any:
    return logits - logits.mean(axis=1, keepdims=True)


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
@pytest.mark.parametrize(
    ("first", "reference", "dtype"),
    [
        (lambda x: x / 127.5 - 1.0, scaled, "float32"),
        (lambda x: keras.applications.mobilenet_v2.preprocess_input(x * 1.0), scaled, "float32"),
        (scaled, scaled, "mixed_float16"),
        (adapted, as_rescaling, "float32"),
        (given, as_rescaling, "float32"),
        (nested, scaled, "float32"),
        (of_all_channels, scaled, "float32"),
        (caffe, caffe_as_rescaling, "float32"),
    ],
    ids=["arithmetic", "preprocess_input", "mixed", "adapted", "given", "nested", "all", "caffe"],
)
def test_int8_is_as_close_as_with_a_rescaling(
    first: Callable[[Any], Any], reference: Callable[[Any], Any], dtype: str, kind: str, tmp_path: Path
) -> None:
    expected = decibels(imported(tmp_path / "r.keras", reference), kind)
    found = decibels(imported(tmp_path / "m.keras", first, dtype), kind)
    assert expected > 20
    assert found > expected - 1


def test_an_adapted_normalization_within_the_model_keeps_its_state(tmp_path: Path) -> None:
    """Behind a convolution it stays a layer of its own."""
    model = imported(tmp_path / "m.keras", lambda x: inner_statistics(keras.layers.Conv2D(4, 3)(x / 255)))
    assert any(isinstance(layer, keras.layers.Normalization) for layer in model.layers)
    for kind in ("tflite", "onnx"):
        assert decibels(model, kind) > 20


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
@pytest.mark.parametrize("shape", [(24, 24, 1), (24, 24), (576,)])
def test_models_of_grey_pixels_take_colour_photos_in_int8(shape: tuple[int, ...], kind: str, tmp_path: Path) -> None:
    from tledge.train.keras_file import read_keras_file

    keras.utils.set_random_seed(0)
    image = keras.Input(shape)
    x = keras.layers.Flatten()(image) / 255
    if len(shape) == 3:
        x = keras.layers.Flatten()(keras.layers.Conv2D(8, 3, strides=2, activation="relu")(image / 255))
    x = keras.layers.Dense(32, activation="relu")(x)
    keras.Model(image, keras.layers.Dense(3, activation="softmax")(x)).save(tmp_path / "m.keras")
    model = read_keras_file(tmp_path / "m.keras", 3, colour="grey").model
    assert model.input.shape == (None, 24, 24, 3)
    assert decibels(model, kind) > 20
