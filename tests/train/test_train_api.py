import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import lazy_module, write_random_weights, write_stripes

from tledge.core.artifact import read_artifact
from tledge.core.errors import DataError, OptionError, TledgeError, UnknownNameError, WeightsError
from tledge.core.images import load_pixels
from tledge.core.run_directory import RunDirectory, find_run
from tledge.edge_runtime import Classifier
from tledge.train import train
from tledge.train.backbone import BACKBONES

lazy_module("keras")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of VGG16's weights, random ones: even those tell stripes apart."""
    return write_random_weights(tmp_path_factory.mktemp("weights") / "random.weights.h5", "vgg16")


@pytest.fixture(scope="module")
def probed(photos: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    runs = tmp_path_factory.mktemp("probed")
    manifest = train(
        data=photos, backbone="vgg16", weights=str(weights), image_size=48, runs=runs, seed=1, fine_tune=False
    )
    return RunDirectory(runs / manifest.name)


def test_a_linear_probe_leaves_the_backbone_as_it_was(probed: RunDirectory, weights: Path) -> None:
    import keras

    model = keras.saving.load_model(probed.model)
    original = BACKBONES.load("vgg16").build(48, None)
    original.load_weights(weights)
    for layer in (layer for layer in original.layers if layer.weights):
        for ours, theirs in zip(layer.get_weights(), model.get_layer(layer.name).get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_the_record_tells_what_the_saved_model_does(probed: RunDirectory, photos: Path, weights: Path) -> None:
    manifest = probed.manifest()
    splits = probed.splits()
    assert manifest.metrics["test_top1"] >= 0.9
    with Classifier(probed.model) as classifier:
        right = [
            classifier.classify(path, top=1)[0].index == sample.label
            for path, sample in zip(splits.paths(splits.test), splits.test, strict=True)
        ]
        image = load_pixels(photos / "upright" / "000.jpg", manifest.input_size, manifest.resize)
        assert classifier.logits(image[np.newaxis]).shape == (1, 2)
    assert np.mean(right) == manifest.metrics["test_top1"]
    assert manifest.weights.source == str(weights)
    assert manifest.class_names == ("across", "upright")
    assert manifest.data.splits == {"train": 56, "validation": 12, "test": 12}
    assert manifest.config["image_size"] == 48
    assert manifest.model_sha256 == read_artifact(probed.model).sha256
    assert find_run(runs=probed.path.parent).path.name == manifest.name


def test_the_history_has_a_row_an_epoch(probed: RunDirectory) -> None:
    with probed.history.open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(1, len(rows) + 1))
    assert {row["phase"] for row in rows} == {"linear probe"}
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])


def test_the_same_seed_gives_the_same_model(probed: RunDirectory, photos: Path, weights: Path, tmp_path: Path) -> None:
    again = train(
        data=photos, backbone="vgg16", weights=str(weights), image_size=48, runs=tmp_path, seed=1, fine_tune=False
    )
    with Classifier(probed.model) as first, Classifier(tmp_path / again.name / "model.keras") as second:
        images = np.stack([first.load(path) for path in sorted((photos / "across").iterdir())[:4]])
        np.testing.assert_array_equal(first.logits(images), second.logits(images))


def test_the_head_does_not_depend_on_the_scale_of_the_features(photos: Path, tmp_path: Path) -> None:
    import keras

    keras.utils.set_random_seed(0)
    vgg16 = BACKBONES.load("vgg16").build(32, None)
    first = vgg16.get_layer("block5_conv3")
    first.set_weights([weight * 1000 for weight in first.get_weights()])
    vgg16.save_weights(tmp_path / "loud.weights.h5")
    manifest = train(
        data=photos,
        backbone="vgg16",
        weights=str(tmp_path / "loud.weights.h5"),
        image_size=32,
        runs=tmp_path / "runs",
        fine_tune=False,
    )
    assert manifest.metrics["test_top1"] >= 0.9


def test_photos_that_cannot_be_split_leave_nothing_behind(tmp_path: Path) -> None:
    write_stripes(tmp_path / "photos", per_class=1)
    with pytest.raises(DataError, match="too few|at least"):
        train(data=tmp_path / "photos", runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_bad_options_leave_nothing_behind(photos: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    with pytest.raises(UnknownNameError, match="unknown backbone 'mobilnet_v2'. Did you mean 'mobilenet_v2'"):
        train(data=photos, backbone="mobilnet_v2", runs=runs)
    with pytest.raises(UnknownNameError, match="unknown resize rule 'squash'"):
        train(data=photos, resize="squash", runs=runs)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"image_size": 16}, "does not support images of 16 px"),
        ({"epochs": 0}, "`epochs` must be 1 or more; received 0"),
        ({"batch_size": 0}, "`batch_size` must be 1 or more; received 0"),
        ({"learning_rate": 0.0}, "`learning_rate` must be above 0 and at most 1; received 0.0"),
        ({"seed": -1}, "`seed` must be between 0"),
        ({"patience": 0}, "`patience` must be 1 or more"),
        ({"warm_up": 1.0}, "`warm_up` must be between 0 and 0.9"),
        ({"label_smoothing": -0.1}, "`label_smoothing` must be between 0 and 0.9"),
        ({"weight_decay": 2.0}, "`weight_decay` must be between 0 and 1"),
        ({"test_fraction": 0.6}, "`test_fraction` must be between 0.01 and 0.45"),
        ({"crop": 0.0}, "`crop` must be between 0.1 and 1"),
        ({"alpha": 0.7}, "no ImageNet weights of MobileNetV2 at `alpha=0.7`; choose one of 0.35, 0.5,"),
        ({"alpha": -1.0, "weights": "none"}, "`alpha` must be above 0"),
        ({"alpha": 0.5, "backbone": "vgg16"}, "VGG16 has one width; received `alpha=0.5`"),
        ({"fine_tune": True, "weights": "none"}, "`fine_tune=True` needs pretrained weights"),
        ({"fine_tune_from": "6"}, "has no stage 6; `fine_tune_from` takes 1 to 5"),
        ({"devices": 0}, "`devices` must be 1 or more"),
        ({"batch_size": 30, "devices": 4}, "cannot be divided among 1 hosts x 4 devices: choose a multiple of 4"),
        ({"hosts": 2}, "several hosts need both `hosts=COUNT` and `coordinator="),
        ({"host": 1}, "`host` must be between 0 and 0; received 1"),
    ]
    for options, message in wrong:
        with pytest.raises(OptionError, match=message):
            train(**{"data": photos, "runs": runs, **options})
    with pytest.raises(UnknownNameError, match="unknown precision 'float64'"):
        train(data=photos, precision="float64", runs=runs)
    with pytest.raises(UnknownNameError, match="unknown stage 'block_6_expnd'. Did you mean 'block_6_expand'"):
        train(data=photos, fine_tune_from="block_6_expnd", runs=runs)
    with pytest.raises(TypeError, match=r"train\(\): unknown option 'epoch'"):
        train(data=photos, epoch=3, runs=runs)  # type: ignore[call-arg]
    with pytest.raises(WeightsError, match="no weights file"):
        train(data=photos, weights=str(tmp_path / "none.h5"), image_size=32, runs=runs)
    with pytest.raises(DataError):
        train(data=tmp_path / "no photos", weights="none", runs=runs)
    assert not runs.exists() or not list(runs.iterdir())


def test_a_folder_called_digits_is_not_the_built_in_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_stripes(tmp_path / "digits", per_class=4)
    monkeypatch.chdir(tmp_path)
    small: dict[str, Any] = {"backbone": "mobilenet", "alpha": 0.25, "image_size": 32, "epochs": 1}
    manifest = train(data="digits", weights="none", runs=tmp_path / "runs", **small)
    assert manifest.class_names == ("across", "upright")


def test_a_loss_that_is_no_number_stops_and_leaves_nothing(tmp_path: Path) -> None:
    photos = write_stripes(tmp_path / "photos", per_class=4)
    network = BACKBONES.load("mobilenet_v2").build(32, None)
    conv = network.get_layer("Conv_1")
    conv.set_weights([weight * np.nan for weight in conv.get_weights()])
    network.save_weights(tmp_path / "nan.weights.h5")
    with pytest.raises(TledgeError, match="the loss became nan in the linear probe: the backbone's features are not"):
        train(data=photos, weights=str(tmp_path / "nan.weights.h5"), image_size=32, runs=tmp_path / "runs")
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [".cache"]
