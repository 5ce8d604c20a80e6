"""Models made elsewhere give the results of preprocessing done by hand."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from foreign_models import IMAGENET_MEAN, IMAGENET_STD, keras_classifier, write_onnx, write_tflite
from PIL import Image
from support import random_images, stripes

from tledge.core.artifact import path_beside, read_artifact, read_exported
from tledge.core.errors import ArtifactError, OptionError, UnknownNameError
from tledge.core.label_file import read_labels
from tledge.core.sidecar import Sidecar
from tledge.edge_runtime import Classifier
from tledge.edge_runtime.adoption import adopt_model, make_sidecar, missing_fields
from tledge.edge_runtime.bare import BareModel
from tledge.edge_runtime.description import Description, read_range, read_size
from tledge.edge_runtime.inspection import inspect
from tledge.edge_runtime.tensor import softmax
from tledge.edge_runtime.tflite_metadata import TFLiteMetadata, read_metadata

TEN = tuple(f"class{index}" for index in range(10))
FOUR = ("a", "b", "c", "d")


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Foreign model files, none adopted; not to be changed."""
    folder = tmp_path_factory.mktemp("zoo")
    rng = np.random.default_rng(1)
    colour, grey = (rng.random((8, size, size, n), np.float32) for size, n in ((96, 3), (28, 1)))
    softmax96 = keras_classifier(96, 3, 10, "softmax")
    softmax96.save(folder / "softmax96.keras")
    write_tflite(folder / "float.tflite", softmax96)
    write_tflite(folder / "int8.tflite", softmax96, colour)
    write_tflite(folder / "grey.tflite", keras_classifier(28, 1, 10, "softmax"), grey)
    write_tflite(folder / "sigmoid.tflite", keras_classifier(32, 3, 1, "sigmoid"))
    write_tflite(folder / "logit.tflite", keras_classifier(32, 3, 1, None))
    write_tflite(folder / "open.tflite", _open_classifier())
    write_onnx(folder / "torch.onnx")
    write_onnx(folder / "open.onnx", size="size", batch="batch", last="Softmax")
    return folder


def _open_classifier() -> Any:
    import keras

    image = keras.Input((None, None, 3))
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 5)(image))
    return keras.Model(image, keras.layers.Dense(3)(x))


@pytest.fixture
def copy(zoo: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Copies a foreign model, to be adopted."""
    return lambda name: Path(shutil.copy(zoo / name, tmp_path / name))


def _adopted(path: Path, **known: Any) -> Classifier:
    adopt_model(inspect(path, known.get("input_size")), Description(**known))
    return Classifier(path)


def _by_hand(path: Path, prepared: Any) -> Any:
    """The outputs of LiteRT's interpreter or ONNX Runtime, image by image, without our code."""
    if path.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return np.concatenate([session.run(None, {"input": image[np.newaxis]})[0] for image in prepared])
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    place, result = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    outputs = []
    for image in prepared:
        interpreter.set_tensor(place, image[np.newaxis])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(result))
    return np.concatenate(outputs)


def test_a_pytorch_export_gets_its_mean_deviation_and_layout(copy: Callable[[str], Path]) -> None:
    path, photos = copy("torch.onnx"), random_images(6, 24)
    with _adopted(path, labels=FOUR, input_range=(0, 1), mean=IMAGENET_MEAN, std=IMAGENET_STD) as classifier:
        logits = classifier.logits(photos)
        assert np.allclose(classifier.logits(photos[2:3]), logits[2:3], atol=1e-6)
    prepared = ((photos / 255 - IMAGENET_MEAN) / IMAGENET_STD).transpose(0, 3, 1, 2).astype(np.float32)
    expected = _by_hand(path, prepared)
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    assert (logits.argmax(1) == expected.argmax(1)).all()
    preprocessing = read_artifact(path).sidecar.preprocessing
    assert preprocessing is not None
    assert (preprocessing.layout, preprocessing.output) == ("nchw", "logits")


def test_blue_comes_first_where_it_is_told(copy: Callable[[str], Path]) -> None:
    path, photos = copy("torch.onnx"), random_images(3, 24)
    with _adopted(path, labels=FOUR, input_range=(0, 255), mean=(104.0, 117.0, 123.0), colour="bgr") as classifier:
        logits = classifier.logits(photos)
    prepared = (photos[..., ::-1] - np.array([104.0, 117.0, 123.0])).transpose(0, 3, 1, 2).astype(np.float32)
    np.testing.assert_allclose(logits, _by_hand(path, prepared), rtol=1e-4, atol=1e-3)


def test_softmax_in_float_becomes_log_probabilities(copy: Callable[[str], Path], zoo: Path) -> None:
    import keras

    photos = random_images(5, 96)
    with _adopted(copy("float.tflite"), labels=TEN, input_range=(0, 1)) as classifier:
        logits = classifier.logits(photos)
    expected = keras.saving.load_model(zoo / "softmax96.keras").predict(photos / np.float32(255), verbose=0)
    np.testing.assert_allclose(softmax(logits), expected, atol=1e-5)
    assert np.isfinite(logits).all()


def test_int8_takes_and_gives_integers_by_its_own_scales(copy: Callable[[str], Path]) -> None:
    path, photos = copy("int8.tflite"), random_images(8, 96)
    inspection = inspect(path)
    image, output = inspection.image, inspection.output
    assert image.dtype == output.dtype == np.int8
    assert inspection.declared.input_range == (0.0, 1.0)
    assert inspection.sources["input_range"] == "its quantization"
    with _adopted(path, labels=TEN) as classifier:
        logits = classifier.logits(photos)
    prepared = np.clip(np.rint(photos / 255 / image.scale + image.zero_point), -128, 127).astype(np.int8)
    outputs = (_by_hand(path, prepared).astype(np.float32) - output.zero_point) * output.scale
    np.testing.assert_allclose(logits, np.log(np.maximum(outputs, np.finfo(np.float32).tiny)), atol=1e-5)
    assert (logits.argmax(1) == outputs.argmax(1)).all()


def test_grey_is_what_pillow_makes_of_colours(copy: Callable[[str], Path]) -> None:
    path, photos = copy("grey.tflite"), random_images(4, 28)
    image, output = inspect(path).image, inspect(path).output
    with _adopted(path, labels=TEN) as classifier:
        logits = classifier.logits(photos)
    grey = np.stack([np.asarray(Image.fromarray(photo).convert("L")) for photo in photos])[..., np.newaxis]
    prepared = np.clip(np.rint(grey / 255 / image.scale + image.zero_point), -128, 127).astype(np.int8)
    outputs = (_by_hand(path, prepared).astype(np.float32) - output.zero_point) * output.scale
    np.testing.assert_allclose(logits, np.log(np.maximum(outputs, np.finfo(np.float32).tiny)), atol=1e-5)


@pytest.mark.parametrize(("name", "kind"), [("sigmoid.tflite", "sigmoid"), ("logit.tflite", "logit")])
def test_a_lone_output_is_that_of_the_second_class(copy: Callable[[str], Path], name: str, kind: str) -> None:
    path, photos = copy(name), random_images(6, 32)
    with _adopted(path, labels=("no", "yes"), input_range=(-1, 1), output=kind) as classifier:
        logits, probabilities = classifier.logits(photos), classifier.probabilities(photos)
    outputs = _by_hand(path, (photos / 127.5 - 1).astype(np.float32))
    expected = outputs if kind == "sigmoid" else 1 / (1 + np.exp(-outputs))
    assert logits.shape == (6, 2)
    assert (logits[:, 0] == 0).all()
    np.testing.assert_allclose(probabilities[:, 1:], expected, atol=1e-5)


@pytest.mark.parametrize(("name", "labels"), [("open.tflite", FOUR[:3]), ("open.onnx", FOUR)])
def test_an_open_size_is_that_which_is_given(copy: Callable[[str], Path], name: str, labels: tuple[str, ...]) -> None:
    path, photos = copy(name), np.random.default_rng(0).integers(0, 256, (3, 40, 56, 3), np.uint8)
    with pytest.raises(OptionError, match=r"`input_size` \(such as 96x96\)"):
        adopt_model(inspect(path), Description(labels=labels, input_range=(0, 1)))
    with _adopted(path, labels=labels, input_range=(0, 1), input_size=(40, 56)) as classifier:
        assert classifier.input_size == (40, 56)
        assert classifier.logits(photos).shape == (3, len(labels))
        np.testing.assert_allclose(classifier.logits(photos)[1:2], classifier.logits(photos[1:2]), atol=1e-5)


def test_the_photo_is_classified_and_what_was_assumed_is_said(copy: Callable[[str], Path], tmp_path: Path) -> None:
    path = copy("float.tflite")
    Image.fromarray(stripes(vertical=True, seed=1)).save(tmp_path / "photo.png")
    before = path.read_bytes()
    adoption = adopt_model(inspect(path), Description(labels=TEN, input_range=(0, 1)), photo=tmp_path / "photo.png")
    assert list(adoption.predictions) == Classifier(path).classify(tmp_path / "photo.png")
    assert path.read_bytes() == before
    assert adoption.sources == {
        "labels": "given",
        "input_range": "given",
        "layout": "its shape",
        "input_size": "its shape",
        "output": "its outputs",
        "colour": "assumed",
        "resize": "assumed",
    }


def test_a_sidecar_beside_holds_for_this_very_file(copy: Callable[[str], Path], zoo: Path) -> None:
    path = copy("float.tflite")
    _adopted(path, labels=TEN, input_range=(0, 1)).close()
    fields = json.loads(path_beside(path).read_text())
    assert fields.pop("artifact_sha256") == read_artifact(path).sha256
    assert Sidecar.from_dict(fields, "x") == read_artifact(path).sidecar
    with pytest.raises(ArtifactError, match=r"exists; pass `overwrite=True` to replace it"):
        adopt_model(inspect(path), Description(labels=TEN, input_range=(0, 1)))
    adopt_model(inspect(path), Description(labels=TEN, input_range=(-1, 1)), overwrite=True)
    shutil.copy(zoo / "grey.tflite", path)
    with pytest.raises(ArtifactError, match="does not match"):
        Classifier(path)


def test_an_adopted_file_is_no_export_of_a_run(copy: Callable[[str], Path], tiny_artifacts: Path) -> None:
    path = copy("float.tflite")
    _adopted(path, labels=TEN, input_range=(0, 1)).close()
    with pytest.raises(ArtifactError, match="was made elsewhere"):
        read_exported(path, read_artifact(tiny_artifacts / "float32.keras"))


def test_metadata_of_tensorflow_lite_is_read(tiny_artifacts: Path, zoo: Path, tmp_path: Path) -> None:
    from tledge.export.tflite_metadata_writer import add_metadata

    path = tmp_path / "described.tflite"
    content = add_metadata((zoo / "float.tflite").read_bytes(), TEN, description="ten kinds of noise")
    path.write_bytes(content)
    assert read_metadata(path) == TFLiteMetadata("ten kinds of noise", "rgb", (0.0,), (1.0,), ())
    place = content.index(b"M001")
    path.write_bytes(content[: place - 4] + b"\xff\xff\xff\x7f" + content[place:])
    assert read_metadata(path) == TFLiteMetadata()
    assert read_metadata(tiny_artifacts / "float32.tflite").labels == ("cat", "dog", "emu")
    assert read_metadata(zoo / "float.tflite") == TFLiteMetadata()


def test_labels_and_normalization_inside_the_file_are_taken(tmp_path: Path) -> None:
    from tledge.core.sidecar_storage import LABELS, embed
    from tledge.export.tflite_metadata_writer import add_metadata

    path = write_tflite(tmp_path / "described.tflite", keras_classifier(32, 3, 3, None))
    names = ("x", "y", "z")
    path.write_bytes(embed(add_metadata(path.read_bytes(), names), "tflite", {LABELS: b"x\ny\nz\n"}))
    inspection = inspect(path)
    assert missing_fields(inspection, Description()) == ([], ["resize"])
    sidecar, sources = make_sidecar(inspection, Description())
    assert sidecar.class_names == names
    assert sidecar.preprocessing is not None
    assert sidecar.preprocessing.input_range == (0.0, 255.0)
    assert {sources[name] for name in ("labels", "colour", "input_range")} == {"its metadata"}


@pytest.mark.parametrize("properties", [{"names": "{0: 'a', 1: 'b', 2: 'c', 3: 'd'}"}, {"labels.txt": "a\nb\nc\nd\n"}])
def test_labels_in_the_properties_of_onnx_are_taken(copy: Callable[[str], Path], properties: dict[str, str]) -> None:
    path = copy("torch.onnx")
    model = onnx.load(path)
    onnx.helper.set_model_props(model, properties)
    onnx.save(model, path)
    assert inspect(path).declared.labels == FOUR


def test_one_error_names_all_that_is_not_said(copy: Callable[[str], Path], tmp_path: Path) -> None:
    unknown = write_onnx(tmp_path / "unknown.onnx", size="size", batch="batch", last="Tanh")
    with pytest.raises(
        OptionError,
        match=r"does not declare its preprocessing or output; pass `labels` .*, `input_range` .*, `output`",
    ):
        adopt_model(inspect(unknown), Description())
    assert missing_fields(inspect(copy("torch.onnx")), Description()) == (
        ["labels", "input_range"],
        ["colour", "mean", "std", "resize"],
    )


@pytest.mark.parametrize(
    ("name", "known", "message"),
    [
        ("float.tflite", {"labels": FOUR}, r"4 labels for '.*', which has 10 outputs"),
        ("float.tflite", {"labels": ("background", *TEN)}, r"11 labels for .* one of them may be a 'background' class"),
        ("sigmoid.tflite", {"labels": FOUR, "output": "sigmoid"}, r"4 labels .*one output, for two classes"),
        ("sigmoid.tflite", {"labels": FOUR[:2], "output": "logits"}, r"it has 1 output; expected sigmoid or logit"),
        ("float.tflite", {"labels": TEN, "output": "sigmoid"}, r"it has 10 outputs; expected logits or prob"),
        ("float.tflite", {"labels": TEN, "output": "logits"}, r"judging by its outputs, it returns probabilities"),
        ("torch.onnx", {"labels": FOUR, "output": "probabilities"}, r"judging by its outputs, it returns logits"),
        ("torch.onnx", {"labels": FOUR, "layout": "nhwc"}, r"`layout='nhwc'` contradicts .*: 24 channels"),
        ("torch.onnx", {"labels": FOUR, "input_size": (32, 32)}, r"`input_size='32x32'` contradicts"),
        ("torch.onnx", {"labels": FOUR, "colour": "grey"}, r"`colour='grey'` contradicts .*: 3 channels"),
        ("torch.onnx", {"labels": FOUR, "mean": (1.0, 2.0)}, r"mean has 2 values for 3 channels"),
        ("torch.onnx", {"labels": FOUR, "std": (0.0,)}, r"std must be above 0; received 0"),
        (
            "int8.tflite",
            {"labels": TEN, "input_range": (0, 255)},
            r"map to 0..255, but the quantized input has the range 0..1",
        ),
        ("int8.tflite", {"labels": TEN, "input_range": (-1, 1)}, r"map to -1..1, but the quantized input"),
    ],
)
def test_what_contradicts_the_file_is_an_error(
    copy: Callable[[str], Path], name: str, known: dict[str, Any], message: str
) -> None:
    path = copy(name)
    with pytest.raises(OptionError, match=message):
        adopt_model(inspect(path), Description(**{"input_range": (0, 1), **known}))
    assert not path_beside(path).exists()


def test_a_logit_is_no_sigmoid(copy: Callable[[str], Path]) -> None:
    path = copy("logit.tflite")
    with pytest.raises((OptionError, ArtifactError), match="logit"):
        adopt_model(inspect(path), Description(labels=("no", "yes"), input_range=(-100, 100), output="sigmoid"))


@pytest.mark.unit
def test_outputs_that_are_not_finite_are_an_error(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "infinite.onnx")
    model = onnx.load(path)
    (bias,) = [item for item in model.graph.initializer if item.name == "fc.bias"]
    bias.CopyFrom(onnx.numpy_helper.from_array(np.full(4, np.inf, np.float32), "fc.bias"))
    onnx.save(model, path)
    with pytest.raises(ArtifactError, match="does not match its description: values are not finite"):
        adopt_model(inspect(path), Description(labels=FOUR, input_range=(0, 1), output="logits"))
    assert not path_beside(path).exists()


@pytest.mark.unit
def test_a_model_that_ignores_its_input_is_reported(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "ignorant.onnx")
    model = onnx.load(path)
    (weight,) = [item for item in model.graph.initializer if item.name == "fc.weight"]
    weight.CopyFrom(onnx.numpy_helper.from_array(np.zeros((8, 4), np.float32), "fc.weight"))
    onnx.save(model, path)
    assert adopt_model(inspect(path), Description(labels=FOUR, input_range=(0, 1), output="logits")).ignores_input
    assert not adopt_model(
        inspect(write_onnx(tmp_path / "hears.onnx")), Description(labels=FOUR, input_range=(0, 1))
    ).ignores_input


def test_what_is_no_image_classifier_is_an_error(tmp_path: Path, tiny_artifacts: Path) -> None:
    several = write_onnx(tmp_path / "several.onnx", inputs=2)
    with pytest.raises(ArtifactError, match=r"expected one input, found 2: input: float32 .*; more1: float32 \[1, 7\]"):
        inspect(several)
    with pytest.raises(ArtifactError, match="only takes batches of 8"):
        inspect(write_onnx(tmp_path / "batch.onnx", batch=8))
    (tmp_path / "no.onnx").write_bytes(b"no model at all")
    with pytest.raises(ArtifactError):
        inspect(tmp_path / "no.onnx")
    (tmp_path / "no.tflite").write_bytes(b"1234TFL3 and nothing more")
    with pytest.raises(ArtifactError):
        inspect(tmp_path / "no.tflite")
    with pytest.raises(ArtifactError, match="no model file"):
        inspect(tmp_path / "gone.onnx")
    with pytest.raises(OptionError, match="there is no need to adopt it"):
        inspect(tiny_artifacts / "float32.tflite")
    with pytest.raises(OptionError, match="is a Keras file"):
        inspect(tiny_artifacts / "plain.keras")


@pytest.mark.unit
def test_texts_are_read_or_refused(tmp_path: Path) -> None:
    assert read_range("-1..1") == (-1.0, 1.0)
    assert read_range("0..255") == (0.0, 255.0)
    assert read_size("96x128") == (96, 128)
    (tmp_path / "labels.txt").write_text("cat\n hot dog \n\n")
    assert read_labels(str(tmp_path / "labels.txt")) == ("cat", "hot dog")
    for text in ("1", "1..0", "a..b", "0..1..2", "0..inf", "nan..1"):
        with pytest.raises(OptionError, match=f"`input_range` must be .*; received '{text}'"):
            read_range(text)
    for text in ("", "0x3", "96x96x3", "axb"):
        with pytest.raises(OptionError, match="`input_size` must be HEIGHTxWIDTH"):
            read_size(text)
    for content in ("", "a\n\nb\n"):
        (tmp_path / "bad.txt").write_text(content)
        with pytest.raises(OptionError, match="is empty"):
            read_labels(str(tmp_path / "bad.txt"))
    with pytest.raises(OptionError, match="cannot read the labels"):
        read_labels(str(tmp_path / "gone.txt"))
    with pytest.raises(OptionError, match="`mean` must be one number .*; received 'a,b'"):
        Description().with_field("mean", "a,b")
    with pytest.raises(UnknownNameError, match="Did you mean 'nchw'"):
        Description().with_field("layout", "nchv")


@pytest.mark.parametrize("name", ["float.tflite", "int8.tflite", "torch.onnx", "open.onnx", "open.tflite"])
def test_any_model_runs_on_random_input_without_a_sidecar(zoo: Path, name: str) -> None:
    model = BareModel(zoo / name)
    image = model.random_input(3)
    np.testing.assert_array_equal(image, model.random_input(3))
    assert image.dtype == model.image.dtype
    output = model.run(image)
    assert output.dtype == model.output.dtype
    assert output.shape == (1, model.output.outputs)
    assert model.provider in ("XNNPACK", "XNNPACK (4 of 5 nodes)", "CPUExecutionProvider")
