"""Keras files that tledge did not write end in a result or in one line, whatever layers they have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support import check_one_line_error, lazy_module, stripes, tledge

keras: Any = lazy_module("keras")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Sequential model, one with a Lambda layer, and a photo."""
    from PIL import Image

    path = tmp_path_factory.mktemp("foreign")
    keras.utils.set_random_seed(0)
    layers = keras.layers
    ends = [layers.Conv2D(4, 3, strides=2), layers.GlobalAveragePooling2D(), layers.Dense(3)]
    keras.Sequential([keras.Input((16, 16, 3)), *ends]).save(path / "sequential.keras")
    image = keras.Input((16, 16, 3))
    scaled = layers.Lambda(lambda pixels: pixels / 255, output_shape=(16, 16, 3))(image)
    keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(scaled))).save(path / "lambda.keras")
    Image.fromarray(stripes(True, 0)).save(path / "a.png")
    return path


def test_a_sequential_model_is_measured(folder: Path) -> None:
    done = tledge("bench", "sequential.keras", "--rounds", 1, "--seconds", 0.1, "--output", "out", cwd=folder)
    assert done.code == 0, done
    assert (folder / "out" / "results.jsonl").exists()


@pytest.mark.parametrize(
    "command", [("bench", "lambda.keras"), ("predict", "lambda.keras", "a.png")], ids=lambda c: c[0]
)
def test_a_lambda_layer_is_refused_in_one_line(command: tuple[str, ...], folder: Path) -> None:
    check_one_line_error(tledge(*command, cwd=folder), "lambda.keras")


def test_a_model_without_a_description_is_refused_in_one_line(folder: Path) -> None:
    check_one_line_error(tledge("predict", "sequential.keras", "a.png", cwd=folder), "sequential.keras")
