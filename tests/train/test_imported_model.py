import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import check_one_line_error, lazy_module, random_images, tledge, write_stripes

from tledge.core.artifact import read_artifact
from tledge.core.errors import DataError, ModelError, OptionError, TledgeError, UnknownNameError
from tledge.core.run_directory import RunDirectory
from tledge.train import import_model

keras = lazy_module("keras")

IMAGES = random_images(8, 24)


def save(path: Path, *layers: Any) -> Path:
    keras.utils.set_random_seed(4)
    keras.Sequential([keras.Input((24, 24, 3)), *layers]).save(path)
    return path


def answers(path: Path, classes: int, **options: Any) -> Any:
    from tledge.train.keras_file import read_keras_file

    return read_keras_file(path, classes, **options).model.predict(IMAGES.astype(np.float32), verbose=0)


def softmax(logits: Any) -> Any:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_softmax_comes_off_and_a_nested_model_is_flattened(tmp_path: Path, suffix: str) -> None:
    inner = keras.Sequential([keras.Input((24, 24, 3)), keras.layers.Conv2D(4, 3), keras.layers.ReLU()], name="inner")
    path = save(
        tmp_path / f"model{suffix}",
        keras.layers.RandomFlip(),
        keras.layers.Rescaling(1 / 255),
        inner,
        keras.layers.Flatten(),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(3, activation="softmax"),
    )
    expected = keras.saving.load_model(path, compile=False).predict(IMAGES.astype(np.float32), verbose=0)
    np.testing.assert_allclose(softmax(answers(path, 3)), expected, atol=1e-6)
    from tledge.train.keras_file import read_keras_file

    model = read_keras_file(path, 3).model
    assert [type(layer).__name__ for layer in model.layers] == [
        "InputLayer",
        "Rescaling",
        "Conv2D",
        "ReLU",
        "Flatten",
        "Dense",
    ]
    assert (model.input.name, model.layers[-1].name) == ("image", "logits")


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_one_output_becomes_two_logits(tmp_path: Path, activation: str | None) -> None:
    path = save(tmp_path / "m.keras", keras.layers.Flatten(), keras.layers.Dense(1, activation=activation))
    expected = keras.saving.load_model(path, compile=False).predict(IMAGES.astype(np.float32), verbose=0)[:, 0]
    found = answers(path, 2)
    probability = softmax(found)[:, 1] if activation else found[:, 1] - found[:, 0]
    np.testing.assert_allclose(probability, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "scale", "offset"), [("0..1", 1 / 255, 0.0), ("-1..1", 1 / 127.5, -1.0)])
def test_pixels_are_brought_to_the_range_that_the_model_takes(
    tmp_path: Path, name: str, scale: float, offset: float
) -> None:
    path = save(tmp_path / "m.keras", keras.layers.Flatten(), keras.layers.Dense(2))
    model = keras.saving.load_model(path, compile=False)
    expected = model.predict(IMAGES.astype(np.float32) * scale + offset, verbose=0)
    np.testing.assert_allclose(answers(path, 2, input_range=name), expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(UnknownNameError, match=r"unknown input range '0..2'"):
        answers(path, 2, input_range="0..2")


def _lambda(path: Path) -> Path:
    return save(path, keras.layers.Lambda(lambda x: x / 255), keras.layers.Flatten(), keras.layers.Dense(2))


def twice() -> Any:
    @keras.saving.register_keras_serializable(package="mine")
    class Twice(keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            return 2 * inputs

    return Twice()


def registered_cubed() -> Any:
    @keras.saving.register_keras_serializable(package="mine")
    def cubed(x: Any) -> Any:
        return x**3

    return cubed


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (_lambda, "Lambda"),
        (lambda path: save(path, twice(), keras.layers.Flatten(), keras.layers.Dense(2)), "mine>Twice"),
        (
            lambda path: save(path, keras.layers.Flatten(), keras.layers.Dense(2, activation=registered_cubed())),
            "cubed",
        ),
    ],
)
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_code_in_a_file_is_not_loaded(
    tmp_path: Path, make: Callable[[Path], Path], what: str, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / f"m{suffix}")
    loaded = []
    monkeypatch.setattr(keras.saving, "load_model", lambda *_, **__: loaded.append(1))
    with pytest.raises(ModelError, match="was not loaded.*`trust_model=True`") as error:
        answers(path, 2)
    assert what.rsplit(">", maxsplit=1)[-1] in str(error.value)
    assert not loaded


def test_a_trusted_file_is_loaded(tmp_path: Path) -> None:
    path = _lambda(tmp_path / "m.keras")
    assert answers(path, 2, trust=True).shape == (8, 2)


def test_a_lambda_layer_becomes_operations_that_load_without_trust(tmp_path: Path) -> None:
    """Exporting loads the run's model, and so do attacks."""
    from tledge.train.keras_file import read_keras_file

    flatten, end = keras.layers.Flatten(), keras.layers.Dense(2)
    path = save(tmp_path / "m.keras", flatten, keras.layers.Lambda(lambda x: x * x / (1 + x)), end)
    expected = keras.saving.load_model(path, safe_mode=False).predict_on_batch(IMAGES.astype(np.float32))
    read_keras_file(path, 2, trust=True).model.save(tmp_path / "run.keras")
    found = keras.saving.load_model(tmp_path / "run.keras").predict_on_batch(IMAGES.astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_a_lambda_layer_that_calls_tensorflow_is_refused(tmp_path: Path) -> None:
    layer = keras.layers.Lambda(lambda x: __import__("tensorflow").abs(x) / 255, output_shape=lambda shape: shape)
    path = save(tmp_path / "m.keras", layer, keras.layers.Flatten(), keras.layers.Dense(2))
    with pytest.raises(ModelError, match=r"the Lambda layer 'lambda.*' of .* cannot be converted; .*only `keras.ops`"):
        answers(path, 2, trust=True)


@pytest.mark.parametrize(
    ("layers", "what"),
    [
        (lambda: (keras.layers.Flatten(), keras.layers.Dense(5)), "has 5 classes, the data has 3"),
        (lambda: (keras.layers.Flatten(), keras.layers.Dense(3, activation="sigmoid")), "independent sigmoids"),
        (lambda: (keras.layers.GlobalAveragePooling2D(),), "is GlobalAveragePooling2D"),
        (lambda: (keras.layers.Dense(3),), r"has the output shape \(None, 24, 24, 3\); expected \(None, classes\)"),
        (
            lambda: (keras.layers.Flatten(), keras.layers.Dense(3), keras.layers.Activation("sigmoid")),
            "independent sigmoids",
        ),
        (lambda: (keras.layers.Flatten(), keras.layers.Dense(3, activation="relu")), "is Dense '"),
    ],
)
def test_what_is_no_classifier_of_these_classes_is_refused(tmp_path: Path, layers: Any, what: str) -> None:
    with pytest.raises(ModelError, match=what):
        answers(save(tmp_path / "m.keras", *layers()), 3)


def test_a_model_with_its_softmax_around_it_is_taken(tmp_path: Path) -> None:
    inner = save(tmp_path / "inner.keras", keras.layers.Flatten(), keras.layers.Dense(3))
    model = keras.Sequential([keras.saving.load_model(inner, compile=False), keras.layers.Softmax()])
    model(IMAGES.astype(np.float32))
    model.save(tmp_path / "around.keras")
    np.testing.assert_allclose(answers(tmp_path / "around.keras", 3), answers(inner, 3), rtol=1e-5, atol=1e-4)


def test_two_outputs_are_refused(tmp_path: Path) -> None:
    image = keras.Input((24, 24, 3))
    flat = keras.layers.Flatten()(image)
    outputs = [keras.layers.Dense(3)(flat), keras.layers.Dense(3)(flat)]
    for number, given in enumerate((outputs, {"a": outputs[0], "b": outputs[1]})):
        keras.Model(image, given).save(tmp_path / f"{number}.keras")
        with pytest.raises(ModelError, match="has several outputs"):
            answers(tmp_path / f"{number}.keras", 3)


def test_a_loss_of_ones_own_is_no_danger(tmp_path: Path) -> None:
    @keras.saving.register_keras_serializable(package="mine")
    def loss(wanted: Any, given: Any) -> Any:
        return given - wanted

    model = keras.Sequential([keras.Input((24, 24, 3)), keras.layers.Flatten(), keras.layers.Dense(3)])
    model.compile("sgd", loss)
    model.save(tmp_path / "m.keras")
    assert answers(tmp_path / "m.keras", 3).shape == (8, 3)


@pytest.mark.parametrize(
    "part",
    [
        {"module": "keras", "class_name": "layers.Lambda", "config": {}},
        {"module": "keras.utils", "class_name": "function", "config": "get_file"},
        {"module": "keras.layers", "class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}},
        {"module": "os.path", "class_name": "join", "config": {}},
    ],
)
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, part: dict[str, Any]) -> None:
    path = save(tmp_path / "m.keras", keras.layers.Flatten(), keras.layers.Dense(2))
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    config["config"]["layers"].append(part)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**members, "config.json": json.dumps(config)}.items():
            archive.writestr(name, content)
    with pytest.raises(ModelError, match="was not loaded"):
        answers(path, 2)


def test_what_does_not_take_one_rgb_image_is_refused(tmp_path: Path) -> None:
    for shape, what in (((24, 24, 2), "expected one RGB image"), ((None, None, 3), "variable input size")):
        image = keras.Input(shape)
        keras.Model(image, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(image))).save(
            tmp_path / "m.keras"
        )
        with pytest.raises(ModelError, match=what):
            answers(tmp_path / "m.keras", 3)


@pytest.mark.parametrize("shape", [(24, 24, 1), (24, 24), (576,)])
@pytest.mark.parametrize("input_range", ["0..255", "0..1"])
def test_grey_inputs_of_any_shape_take_photos_as_pillow_greys_them(
    tmp_path: Path, shape: tuple[int, ...], input_range: str
) -> None:
    image = keras.Input(shape)
    pixels = keras.layers.Reshape((24, 24, 1))(image) if len(shape) < 3 else image
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu")(pixels)
    model = keras.Model(image, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x)))
    model.save(tmp_path / "m.keras")
    grey = np.stack([np.asarray(Image.fromarray(pixels).convert("L"), np.float32) for pixels in IMAGES])
    expected = model.predict_on_batch(grey.reshape(8, *shape) * (1 / 255 if input_range == "0..1" else 1))
    found = answers(tmp_path / "m.keras", 3, colour="grey", input_range=input_range)
    assert np.abs(found - expected).max() < 0.01 * np.abs(expected).max()  # Pillow rounds to whole values
    if len(shape) == 3:
        np.testing.assert_array_equal(answers(tmp_path / "m.keras", 3, input_range=input_range), found)
    else:
        with pytest.raises(ModelError, match="or with `colour='grey'`"):
            answers(tmp_path / "m.keras", 3)


def test_layers_of_one_name_in_several_models_are_told_apart(tmp_path: Path) -> None:
    image = keras.Input((24, 24, 3))
    parts = [keras.Sequential([keras.Input((24, 24, 3)), keras.layers.Conv2D(3, 3, name="same")]) for _ in range(2)]
    sums = keras.layers.Multiply(name="product")([keras.ops.multiply(part(image / 255), 0.5) for part in parts])
    keras.Model(image, keras.layers.Dense(3)(keras.layers.Flatten()(sums))).save(tmp_path / "m.keras")
    from tledge.train.keras_file import read_keras_file

    model = read_keras_file(tmp_path / "m.keras", 3).model
    expected = model.predict_on_batch(IMAGES.astype(np.float32))
    model.save(tmp_path / "again.keras")
    np.testing.assert_array_equal(
        keras.saving.load_model(tmp_path / "again.keras").predict_on_batch(IMAGES.astype(np.float32)), expected
    )


def test_a_model_of_bgr_takes_rgb(tmp_path: Path) -> None:
    path = save(tmp_path / "m.keras", keras.layers.Conv2D(4, 3), keras.layers.Flatten(), keras.layers.Dense(3))
    expected = keras.saving.load_model(path, compile=False).predict(IMAGES[..., ::-1].astype(np.float32), verbose=0)
    np.testing.assert_allclose(answers(path, 3, colour="bgr"), expected, rtol=1e-4, atol=1e-3)
    with pytest.raises(OptionError, match=r"`colour='grey'` contradicts '.*m.keras', which takes 3 channels"):
        answers(path, 3, colour="grey")


@pytest.mark.parametrize("name", ["MobileNet", "MobileNetV3Small"])
def test_the_tops_of_the_mobilenets_are_read(tmp_path: Path, name: str) -> None:
    keras.utils.set_random_seed(0)
    options = {"alpha": 0.25} if name == "MobileNet" else {}
    model = getattr(keras.applications, name)(weights=None, input_shape=(32, 32, 3), classes=3, **options)
    model.save(tmp_path / "m.keras")
    from tledge.train.keras_file import read_keras_file

    found = read_keras_file(tmp_path / "m.keras", 3).model
    expected = model(random_images(4, 32).astype(np.float32), training=False)
    np.testing.assert_allclose(
        softmax(found.predict_on_batch(random_images(4, 32).astype(np.float32))), expected, atol=1e-5
    )


def test_a_softmax_behind_no_dense_layer_gives_its_logits(tmp_path: Path) -> None:
    path = save(
        tmp_path / "m.keras",
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(3, 3),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Softmax(),
    )
    expected = keras.saving.load_model(path, compile=False).predict(IMAGES.astype(np.float32), verbose=0)
    np.testing.assert_allclose(softmax(answers(path, 3)), expected, atol=1e-6)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_mixed_precision_becomes_float32(tmp_path: Path, suffix: str) -> None:
    layers = keras.layers
    parts = [layers.Conv2D(4, 3, dtype="mixed_float16"), layers.Flatten(), layers.Dense(3, dtype="mixed_float16")]
    path = save(tmp_path / f"m{suffix}", layers.Rescaling(1 / 255, dtype="mixed_float16"), *parts)
    from tledge.train.keras_file import read_keras_file

    model = read_keras_file(path, 3).model
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    expected = keras.saving.load_model(path, compile=False).predict(IMAGES.astype(np.float32), verbose=0)
    np.testing.assert_allclose(answers(path, 3), expected, atol=0.02)


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        (
            "m.keras",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
            "a Git LFS pointer.*lfs pull",
        ),
        ("m.h5", b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer.*lfs pull"),
        ("m.keras", b"\x89HDF\r\n\x1a\n", "is an HDF5 file, which Keras only loads by the suffix .h5; rename it"),
        ("m.h5", b"PK\x03\x04", "only loads by the suffix .keras; rename it"),
        ("m.keras", b"\x1c\0\0\0TFL3", "is a TFLite model.*adopt it"),
        ("m.onnx", b"\x08\x08\x12\x00", "is an ONNX model.*adopt it"),
        ("m.onnx", b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer.*lfs pull"),
        ("m.keras", b"\n<!DOCTYPE html><html>", "is a web page: download the file itself"),
        ("m.h5", b"\x1f\x8b\x08\x00", "is an archive: unpack it"),
    ],
)
def test_other_files_are_named(tmp_path: Path, name: str, content: bytes, what: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=what):
        answers(tmp_path / name, 3)


def test_folders_weights_maps_and_embeddings_are_named(tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    with pytest.raises(ModelError, match="is a plain folder"):
        answers(tmp_path / "saved", 3)
    (tmp_path / "saved" / "saved_model.pb").touch()
    with pytest.raises(ModelError, match="is a SavedModel folder.*from_saved_model"):
        answers(tmp_path / "saved", 3)
    model = keras.Sequential([keras.Input((24, 24, 3)), keras.layers.Conv2D(4, 3)])
    model.save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(ModelError, match="holds weights without a model"):
        answers(tmp_path / "m.weights.h5", 3)
    model.save(tmp_path / "map.keras")
    with pytest.raises(ModelError, match="a map, as of a segmentation model"):
        answers(tmp_path / "map.keras", 3)
    with pytest.raises(ModelError, match="embeddings and other features"):
        answers(save(tmp_path / "e.keras", keras.layers.GlobalAveragePooling2D()), 3)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.keras").write_text("no zip")
    (tmp_path / "text.h5").write_text("no hdf5")
    with zipfile.ZipFile(tmp_path / "empty.keras", "w") as archive:
        archive.writestr("metadata.json", "{}")
    for name in ("text.keras", "text.h5", "empty.keras"):
        with pytest.raises(ModelError, match="is not a complete Keras model"):
            answers(tmp_path / name, 2)
    with pytest.raises(ModelError, match="no such file: "):
        answers(tmp_path / "gone.keras", 2)


def test_a_model_and_its_photos_become_a_run(tmp_path: Path, photos: Path) -> None:
    path = save(tmp_path / "mine.keras", keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax"))
    manifest = import_model(model=path, data=photos, runs=tmp_path / "runs")
    run = RunDirectory(tmp_path / "runs" / "latest")
    assert run.manifest() == manifest
    assert manifest.class_names == ("across", "upright")
    assert manifest.config["input_range"] == "0..255"
    assert manifest.data.splits == {"train": 56, "validation": 12, "test": 12}
    artifact = read_artifact(run.model)
    assert (artifact.sha256, artifact.sidecar.input_size) == (manifest.model_sha256, (24, 24))
    assert json.loads(run.evaluation.read_text())["top1"] == manifest.metrics["test_top1"]


def test_a_model_that_cannot_be_taken_leaves_no_run(tmp_path: Path, photos: Path) -> None:
    path = save(tmp_path / "m.keras", keras.layers.Flatten(), keras.layers.Dense(7))
    with pytest.raises(TledgeError, match="7 classes"):
        import_model(model=path, data=photos, runs=tmp_path / "runs")
    assert not list((tmp_path / "runs").iterdir())


def test_too_few_photos_leave_no_folder_of_runs(tmp_path: Path) -> None:
    path = save(tmp_path / "m.keras", keras.layers.Flatten(), keras.layers.Dense(2))
    with pytest.raises(DataError, match="too few distinct images"):
        import_model(model=path, data=write_stripes(tmp_path / "photos", per_class=1), runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_the_command_line_says_what_goes_together(tmp_path: Path) -> None:
    check_one_line_error(tledge("export", "--model", "m.keras", cwd=tmp_path), "--model needs --data")
    check_one_line_error(tledge("export", "--data", "photos", cwd=tmp_path), "--data can only be used with --model")
    check_one_line_error(tledge("export", "--trust-model", cwd=tmp_path), "--trust-model can only be used with --model")
