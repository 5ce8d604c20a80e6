"""Backbones as they were published: their own preprocessing, their head if the weights have one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import lazy_module, random_images, stripes

from tledge.core.errors import OptionError, UnknownNameError, WeightsError
from tledge.core.progress import Progress
from tledge.visualize import visualize
from tledge.visualize.pretrained import _class_names, model_of_backbone

keras: Any = lazy_module("keras")

SIDE = 64


@pytest.fixture(scope="module")
def with_head(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of MobileNet, whose head of 1,000 classes is a convolution."""
    keras.utils.set_random_seed(1)
    path: Path = tmp_path_factory.mktemp("weights") / "mobilenet.weights.h5"
    keras.applications.MobileNet(weights=None, input_shape=(SIDE, SIDE, 3)).save_weights(path)
    return path


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("photo") / "photo.png"
    Image.fromarray(stripes(True, 0)).save(path)
    return path


def test_a_file_with_the_head_gives_the_logits_of_the_published_network(with_head: Path) -> None:
    network = model_of_backbone("mobilenet", str(with_head), image_size=SIDE)
    assert len(network.class_names) == 1000
    assert network.input_size == (SIDE, SIDE)
    published = keras.applications.MobileNet(weights=None, input_shape=(SIDE, SIDE, 3), classifier_activation="softmax")
    published.load_weights(with_head)
    images = random_images(3, SIDE)
    expected = published.predict_on_batch(keras.applications.mobilenet.preprocess_input(images.astype(np.float32)))
    logits = network.logits(images)
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    np.testing.assert_allclose(scores / scores.sum(axis=1, keepdims=True), expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", ["vgg16", "resnet50", "mobilenet_v2"])
def test_preprocessing_is_inside_the_graph(name: str, tmp_path: Path) -> None:
    functions = {
        "vgg16": (keras.applications.VGG16, keras.applications.vgg16),
        "resnet50": (keras.applications.ResNet50, keras.applications.resnet50),
        "mobilenet_v2": (keras.applications.MobileNetV2, keras.applications.mobilenet_v2),
    }
    build, family = functions[name]
    keras.utils.set_random_seed(2)
    published = build(weights=None, include_top=False, input_shape=(32, 32, 3))
    published.save_weights(tmp_path / "notop.weights.h5")
    network = model_of_backbone(name, str(tmp_path / "notop.weights.h5"), image_size=32)
    assert not network.has_head
    images = random_images(2, 32).astype(np.float32)
    expected = published.predict_on_batch(family.preprocess_input(images.copy()))
    np.testing.assert_allclose(network.model.predict_on_batch(images), expected, rtol=1e-3, atol=1e-4)


def test_one_class_of_a_thousand_has_an_ideal_image(with_head: Path, tmp_path: Path) -> None:
    names = tmp_path / "labels.txt"
    names.write_text("\n".join(f"thing {index}" for index in range(1000)))
    record = visualize(
        ["ideal"],
        backbone="mobilenet",
        weights=str(with_head),
        image_size=SIDE,
        labels=names,
        output=tmp_path / "out",
        classes=["thing 281"],
        steps=6,
    )
    (figures,) = record.sections["ideal"].figures["classes"]
    assert figures["class"] == "thing 281"
    assert (tmp_path / "out" / "ideal-thing-281.png").exists()
    with pytest.raises(UnknownNameError, match="unknown class 'thing 2810'. Did you mean"):
        visualize(
            ["ideal"],
            backbone="mobilenet",
            weights=str(with_head),
            image_size=SIDE,
            labels=names,
            output=tmp_path / "out",
            classes=["thing 2810"],
        )


def test_a_photo_is_enough_for_the_kinds_that_need_no_test_photos(with_head: Path, photo: Path, tmp_path: Path) -> None:
    record = visualize(
        backbone="mobilenet",
        weights=str(with_head),
        image_size=SIDE,
        output=tmp_path,
        photos=[photo],
        steps=6,
        max_eps=1,
    )
    assert set(record.sections) == {"adversarial", "features", "ideal", "saliency"}
    assert set(record.left_out) == {"confusions", "embedding"}
    assert "has no test photos: name a trained run with `run`" in record.left_out["embedding"]


def test_without_a_head_there_are_features_and_no_classes(photo: Path, tmp_path: Path) -> None:
    keras.applications.MobileNet(weights=None, include_top=False, input_shape=(SIDE, SIDE, 3)).save_weights(
        tmp_path / "notop.weights.h5"
    )
    chosen: dict[str, Any] = {
        "backbone": "mobilenet",
        "weights": str(tmp_path / "notop.weights.h5"),
        "image_size": SIDE,
        "output": tmp_path / "out",
    }
    record = visualize(["features"], photos=[photo], layers=["conv_pw_13_relu"], **chosen)
    (figures,) = record.sections["features"].figures["photos"]
    assert figures["layers"][0]["channels"] == 1024
    with pytest.raises(OptionError, match="ideal: 'MobileNet .*' has no classification head"):
        visualize(["ideal"], **chosen)


def test_a_head_that_does_not_fit_is_not_thrown_away(tmp_path: Path) -> None:
    network = keras.applications.MobileNetV2(weights=None, classes=10, input_shape=(SIDE, SIDE, 3))
    for name in ("ten.weights.h5", "ten.keras"):
        network.save(tmp_path / name) if name.endswith(".keras") else network.save_weights(tmp_path / name)
        with pytest.raises(WeightsError, match=r"does not hold the weights of MobileNetV2 at 64 px.*\(1280, 10\)"):
            model_of_backbone("mobilenet_v2", str(tmp_path / name), image_size=SIDE)


def test_the_state_of_an_optimizer_is_no_head(tmp_path: Path) -> None:
    network = keras.applications.EfficientNetB0(weights=None, include_top=False, input_shape=(32, 32, 3))
    network.compile(keras.optimizers.Adam())
    network.optimizer.build(network.trainable_variables)
    network.save_weights(tmp_path / "notop.weights.h5")
    assert not model_of_backbone("efficientnetb0", str(tmp_path / "notop.weights.h5"), image_size=32).has_head


def test_random_weights_are_the_same_each_time() -> None:
    first, second = (model_of_backbone("mobilenet", "none", image_size=32).model.get_weights() for _ in range(2))
    for own, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(own, other)


@pytest.mark.parametrize("weights", ["none", "imagenet"])
def test_an_image_too_small_for_a_backbone_is_an_error_of_the_option(weights: str) -> None:
    with pytest.raises(OptionError, match="`image_size=32` does not suit InceptionV3.*; leave it out or pass another"):
        model_of_backbone("inception_v3", weights, image_size=32)


def test_the_names_of_classes_are_in_keras_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    listed = {str(index): [f"n{index}", "crane" if index in (134, 517) else f"name {index}"] for index in range(1000)}
    monkeypatch.setattr(keras.src.applications.imagenet_utils, "CLASS_INDEX", listed)
    names = _class_names(None, 1000, "imagenet", Progress())
    assert names[:2] == ("name 0", "name 1")
    assert (names[134], names[517], names[999]) == ("crane_134", "crane_517", "name 999")


def test_without_a_network_classes_have_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(keras.src.applications.imagenet_utils, "CLASS_INDEX", None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert _class_names(None, 3, "imagenet", Progress()) == ("0", "1", "2")


def test_what_is_no_backbone_or_no_weights_is_an_error(with_head: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown backbone 'vg16'\. Did you mean 'vgg16'\?"):
        model_of_backbone("vg16", "none")
    with pytest.raises(WeightsError, match="no weights file 'absent.h5'; `weights` takes imagenet, none"):
        model_of_backbone("mobilenet", "absent.h5", image_size=SIDE)
    with pytest.raises(
        WeightsError, match="does not hold the weights of MobileNetV2 at 64 px, with or without its head"
    ):
        model_of_backbone("mobilenet_v2", str(with_head), image_size=SIDE)
    (tmp_path / "broken.h5").write_text("no weights")
    with pytest.raises(WeightsError, match="does not hold the weights of MobileNet "):
        model_of_backbone("mobilenet", str(tmp_path / "broken.h5"), image_size=SIDE)
    with pytest.raises(OptionError, match="`image_size` must be between 32 and 1024 pixels; received 8"):
        model_of_backbone("mobilenet", "none", image_size=8)
    (tmp_path / "few.txt").write_text("cat\ndog\n")
    with pytest.raises(OptionError, match="holds 2 different class names; the network has 1000 outputs"):
        model_of_backbone("mobilenet", "none", image_size=SIDE, labels=tmp_path / "few.txt")
