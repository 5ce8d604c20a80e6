"""Files of Keras 2 become runs of the same outputs; what cannot be converted is named."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras2_files import KINDS, write_keras2
from support import lazy_module, random_images, write_stripes

from tledge.core.errors import MissingExtraError, ModelError
from tledge.core.progress import Progress
from tledge.core.run_directory import RunDirectory
from tledge.train import import_model
from tledge.train.keras_file_check import TENSORFLOW_FUNCTIONS

lazy_module("tf_keras")
keras = lazy_module("keras")

REFUSED = ("custom", "lambda", "other_lambda", "per_image")
BOTH = ("augmented", "compiled", "mixed", "sequential", "teachable_machine", "torch", "custom", "lambda", "per_image")
"""Kinds that are tried in both formats; tf_keras cannot write all to a .keras file."""

NAMES = [*(f"{kind}.h5" for kind in KINDS), *(f"{kind}.keras" for kind in BOTH)]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return dict(zip(NAMES, write_keras2(tmp_path_factory.mktemp("keras2"), *NAMES), strict=True))


def read(path: Path, **options: Any) -> Any:
    from tledge.train.keras_file import read_keras_file

    return read_keras_file(path, 3, **options)


read_once = cache(read)
"""Each file costs a child process."""


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith(REFUSED)])
def test_a_keras_2_file_gives_the_same_outputs(files: dict[str, Path], name: str) -> None:
    """Reading compares the outputs with those of tf_keras, and fails if they differ by more than 1e-5."""
    imported = read_once(files[name])
    assert imported.keras2_difference is not None
    assert imported.keras2_difference <= 1e-5
    assert (imported.model.input.name, imported.model.output.shape) == ("image", (None, 3))
    assert not [layer for layer in imported.model.layers if isinstance(layer, keras.Model)]
    assert {layer.compute_dtype for layer in imported.model.layers} == {"float32"}


@pytest.mark.parametrize("kind", ["tf", "torch", "caffe", "adapted", "given"])
def test_arithmetic_on_pixels_becomes_one_rescaling(files: dict[str, Path], kind: str) -> None:
    layers = read_once(files[f"{kind}.h5"]).model.layers
    assert [type(layer).__name__ for layer in layers[:3]] == ["InputLayer", "Rescaling", "Conv2D"]


def test_a_difference_is_found(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from tledge.train import keras2_layers

    def other(call: Any, weights: Any) -> Any:
        layer = keras2_layers.make_layer(call, weights)
        return keras.layers.ReLU(max_value=0.01) if call["kind"] == "ReLU" else layer

    monkeypatch.setattr("tledge.train.keras2_conversion.make_layer", other)
    with pytest.raises(ModelError, match=r"cannot be converted: the outputs would differ by .* \(limit 1e-05\)"):
        read(files["tf.h5"])


@pytest.mark.parametrize("name", ["lambda.h5", "lambda.keras"])
def test_a_lambda_layer_needs_trust_and_becomes_what_it_calls(files: dict[str, Path], name: str) -> None:
    with pytest.raises(ModelError, match="contains 'Lambda', which can execute"):
        read(files[name])
    imported = read(files[name], trust=True)
    assert imported.keras2_difference <= 1e-5
    assert "Lambda" not in {type(layer).__name__ for layer in imported.model.layers}


def test_a_lambda_layer_of_other_functions_is_refused(files: dict[str, Path]) -> None:
    with pytest.raises(ModelError, match=r"calls TensorFlow's '.*floor_?div', which has no counterpart"):
        read(files["other_lambda.h5"], trust=True)


def test_what_is_unknown_is_named_and_not_called_an_attack(files: dict[str, Path]) -> None:
    for name, what in (
        ("custom.h5", "Unknown layer: 'Mine'"),
        ("custom.keras", "cannot load it: .*`Mine`"),
        ("per_image.h5", "calls TensorFlow's 'image.per_image_standardization' between its layers"),
        ("per_image.keras", "calls TensorFlow's 'image.per_image_standardization' between its layers"),
    ):
        with pytest.raises(ModelError, match=what) as error:
            read(files[name])
        assert "execute" not in str(error.value)


def test_what_tensorflow_functions_are_called_is_converted() -> None:
    from tledge.train.keras2_layers import FUNCTIONS

    assert set(FUNCTIONS) == set(TENSORFLOW_FUNCTIONS)
    assert not {name for name in FUNCTIONS if name.startswith(("io.", "raw_ops.", "py_function", "numpy_function"))}


def without_tf_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("core.extras", "train.keras_file"):
        monkeypatch.setattr(f"tledge.{module}.is_installed", lambda module: module != "tf_keras")


@pytest.mark.parametrize("name", ["activations.h5", "tf.h5", "teachable_machine.keras"])
def test_the_extra_that_is_missing_is_named(files: dict[str, Path], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras 3 loads none of these, or (activations) gives other outputs."""
    without_tf_keras(monkeypatch)
    with pytest.raises(MissingExtraError, match=r"Keras 2 file.*tf_keras.*\[export\]"):
        read(files[name])


@pytest.mark.filterwarnings("error::UserWarning")
def test_what_keras_3_loads_needs_no_extra(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    warned: list[str] = []
    progress = Progress()
    monkeypatch.setattr(progress, "warn", warned.append)
    pixels = random_images(4, 32).astype(np.float32)
    expected = read_once(files["compiled.h5"]).model.predict_on_batch(pixels)
    without_tf_keras(monkeypatch)
    imported = read(files["compiled.h5"], progress=progress)
    assert imported.keras2_difference is None
    np.testing.assert_allclose(imported.model.predict_on_batch(pixels), expected, atol=1e-5)
    assert [text.endswith("its outputs were not compared with Keras 2's") for text in warned] == [True]


def test_a_keras_2_file_becomes_a_run_that_says_so(files: dict[str, Path], tmp_path: Path) -> None:
    photos = write_stripes(tmp_path / "photos", per_class=10)
    (write_stripes(tmp_path / "more", per_class=10, first=50) / "across").rename(photos / "third")
    manifest = import_model(model=files["teachable_machine.h5"], data=photos, runs=tmp_path / "runs")
    assert manifest.config["keras2_difference"] <= 1e-5
    model = keras.saving.load_model(RunDirectory(tmp_path / "runs" / "latest").model, compile=False)
    pixels = random_images(4, 32).astype(np.float32)
    np.testing.assert_allclose(
        model.predict_on_batch(pixels),
        read_once(files["teachable_machine.h5"]).model.predict_on_batch(pixels),
        atol=1e-5,
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ConvNeXtTiny", "EfficientNetV2B0", "MobileNetV3Small"])
def test_keras_2s_own_applications_are_converted(tmp_path: Path, name: str) -> None:
    """These three have the layers and functions that the others lack; ``KINDS["layers"]`` has the rest."""
    (path,) = write_keras2(tmp_path, f"application:{name}.keras")
    assert read(path).keras2_difference <= 1e-5
