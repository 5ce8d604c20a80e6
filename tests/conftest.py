"""Real photos, real models and one real run that the tests share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from digit_sample import PHOTOS, Digits
from support import TINY_SIDECAR, Demo, tledge, write_stripes

from tledge.core.artifact import write_artifact

pytest_plugins = ["suite"]

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """80 JPEG files in two classes; not to be changed."""
    return write_stripes(tmp_path_factory.mktemp("photos") / "stripes", per_class=40)


@pytest.fixture(scope="session")
def tiny_keras_model() -> Any:
    """A real, tiny classifier with every kind of layer that matters: 16 px, three classes, random weights."""
    import keras

    keras.utils.set_random_seed(3)
    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    x = keras.layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.ReLU(6.0)(x)
    x = keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.ReLU(6.0)(x)
    x = keras.layers.Conv2D(64, 1)(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(image, keras.layers.Dense(3, kernel_initializer="he_normal", name="logits")(x))


@pytest.fixture(scope="session")
def tiny_artifacts(tiny_keras_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny model as float32.tflite, float32.onnx and float32.keras; not to be changed."""
    from tledge.export.format import FORMATS
    from tledge.export.recipes import RECIPES

    folder = tmp_path_factory.mktemp("tiny")
    for name in FORMATS.names():
        content = FORMATS.load(name).convert(tiny_keras_model, RECIPES[0], None)
        write_artifact(folder / f"float32.{name}", content, TINY_SIDECAR)
    tiny_keras_model.save(folder / "plain.keras")
    write_artifact(folder / "float32.keras", (folder / "plain.keras").read_bytes(), TINY_SIDECAR)
    return folder


@pytest.fixture(scope="session")
def large_tflite(tiny_keras_model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model at 128 px: its operators take longer than the microsecond that profilers count in."""
    import keras

    from tledge.export.format import FORMATS
    from tledge.export.recipes import RECIPES

    model = keras.models.clone_model(tiny_keras_model, input_tensors=keras.Input((128, 128, 3), name="image"))
    model.set_weights(tiny_keras_model.get_weights())
    path = tmp_path_factory.mktemp("large") / "float32.tflite"
    content = FORMATS.load("tflite").convert(model, RECIPES[0], None)
    write_artifact(path, content, replace(TINY_SIDECAR, input_size=(128, 128)))
    return path


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """``tledge demo``, run once as the README says; not to be changed."""
    folder = tmp_path_factory.mktemp("demo")
    return Demo(tledge("demo", cwd=folder), folder)


@pytest.fixture(scope="session")
def digit_sets() -> Sequence[Digits]:
    """1,600 digits to learn from, and 24 to attack."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    small = (40 + pixels.reshape(-1, 8, 8, 1) * 10).astype(np.uint8)
    images = np.ascontiguousarray(np.broadcast_to(small.repeat(4, axis=1).repeat(4, axis=2), (len(labels), 32, 32, 3)))
    return Digits(images[:1600], labels[:1600]), Digits(images[-PHOTOS:], labels[-PHOTOS:])


@pytest.fixture(scope="session")
def network(digit_sets: Sequence[Digits]) -> Any:
    """A ``keras.Model`` from pixel values to 10 logits, right about nearly all digits."""
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    image = keras.Input((32, 32, 3), name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    x = keras.layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Conv2D(32, 3, strides=2, padding="same", activation="relu")(x)
    x = keras.layers.Flatten()(x)
    model = keras.Model(image, keras.layers.Dense(10, name="logits")(x))
    model.compile(
        optimizer=keras.optimizers.Adam(3e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    learned, _ = digit_sets
    model.fit(learned.images.astype(np.float32), learned.labels, batch_size=32, epochs=4, verbose=0)
    return model
