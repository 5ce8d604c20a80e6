import csv
from pathlib import Path

import numpy as np
import pytest
from support import write_stripes

from tledge.core.artifact import read_artifact
from tledge.core.errors import DataError, OptionError, TledgeError, UnknownNameError, WeightsError
from tledge.core.images import load
from tledge.core.run_directory import RunDirectory, find_run
from tledge.edge_runtime import Classifier
from tledge.train import train
from tledge.train.backbone import BACKBONES

pytest.importorskip("keras")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of VGG16's weights, random ones: even those tell stripes apart."""
    import keras

    keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.weights.h5"
    BACKBONES.load("vgg16").build(32, None).save_weights(path)
    return path


@pytest.fixture(scope="module")
def probed(photos: Path, weights: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    runs = tmp_path_factory.mktemp("probed")
    manifest = train(data=photos, backbone="vgg16", weights=str(weights), image_size=48, runs=runs, seed=1)
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
        image = load(photos / "upright" / "000.jpg", manifest.input_size, manifest.resize)
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
    again = train(data=photos, backbone="vgg16", weights=str(weights), image_size=48, runs=tmp_path, seed=1)
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
        data=photos, backbone="vgg16", weights=str(tmp_path / "loud.weights.h5"), image_size=32, runs=tmp_path / "runs"
    )
    assert manifest.metrics["test_top1"] >= 0.9


def test_bad_options_leave_nothing_behind(photos: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    with pytest.raises(UnknownNameError, match="unknown backbone 'mobilnet_v2'. Did you mean 'mobilenet_v2'"):
        train(data=photos, backbone="mobilnet_v2", runs=runs)
    with pytest.raises(UnknownNameError, match="unknown resize rule 'squash'"):
        train(data=photos, resize="squash", runs=runs)
    for options in ({"image_size": 16}, {"epochs": 0}, {"batch_size": 0}, {"learning_rate": 0.0}, {"seed": -1}):
        with pytest.raises(OptionError):
            train(data=photos, runs=runs, **options)
    with pytest.raises(WeightsError, match="no weights file"):
        train(data=photos, weights=str(tmp_path / "none.h5"), image_size=32, runs=runs)
    with pytest.raises(DataError):
        train(data=tmp_path / "no photos", weights="none", runs=runs)
    assert not runs.exists() or not list(runs.iterdir())


def test_a_folder_called_digits_is_not_the_built_in_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_stripes(tmp_path / "digits", per_class=4)
    monkeypatch.chdir(tmp_path)
    manifest = train(data="digits", weights="none", image_size=32, epochs=1, runs=tmp_path / "runs")
    assert manifest.class_names == ("across", "upright")


def test_a_loss_that_is_no_number_stops_and_leaves_nothing(tmp_path: Path) -> None:
    import keras

    photos = write_stripes(tmp_path / "photos", per_class=4)
    network = BACKBONES.load("mobilenet_v2").build(32, None)
    conv = network.get_layer("Conv_1")
    conv.set_weights([weight * np.nan for weight in conv.get_weights()])
    network.save_weights(tmp_path / "nan.weights.h5")
    with pytest.raises(TledgeError, match="the loss became nan in epoch 1 of the linear probe"):
        train(data=photos, weights=str(tmp_path / "nan.weights.h5"), image_size=32, runs=tmp_path / "runs")
    assert list((tmp_path / "runs").iterdir()) == []
    keras.backend.clear_session()
