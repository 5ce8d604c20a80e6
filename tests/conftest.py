"""Real photos, real models and one real run that the tests share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from support import TINY_SIDECAR, Demo, tledge, write_stripes

from tledge.core.artifact import write_artifact

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
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """``tledge demo``, run once as the README says; not to be changed."""
    folder = tmp_path_factory.mktemp("demo")
    return Demo(tledge("demo", cwd=folder), folder)
