import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import lazy_module

from tledge.core.errors import OptionError, WeightsError
from tledge.train.backbone import BACKBONES
from tledge.train.weights import build_with_weights

keras = lazy_module("keras")

KERAS_MODULE = {
    "mobilenet_v3_large": "mobilenet_v3",
    "mobilenet_v3_small": "mobilenet_v3",
    "resnet50": "resnet",
    "resnet101": "resnet",
    "resnet50_v2": "resnet_v2",
}
"""The module of keras.applications that has a backbone's preprocessing, where it is not called like the backbone."""


@pytest.mark.parametrize("name", BACKBONES.names())
def test_preprocessing_is_in_the_graph_and_is_that_of_keras(name: str) -> None:
    from tledge.train.model import build_classifier, copy_weights, feature_extractor

    backbone = BACKBONES.load(name)
    size = backbone.minimum_image_size
    network = backbone.build(size, None)
    model = build_classifier(backbone, size, classes=3)
    copy_weights(model, network)
    pixels = np.random.default_rng(0).integers(0, 256, (2, size, size, 3)).astype(np.float32)
    preprocess = importlib.import_module(f"keras.applications.{KERAS_MODULE.get(name, name)}").preprocess_input
    expects = (
        pixels / 127.5 - 1 if name.startswith("mobilenet_v3") else preprocess(pixels.copy())
    )  # V3's own is a layer
    expected = network.predict(expects, verbose=0).mean(axis=(1, 2))
    features = feature_extractor(model).predict(pixels, verbose=0)
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    assert model.input.name == "image"
    assert model.output.shape == (None, 3)
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)


@pytest.mark.unit
@pytest.mark.parametrize("name", BACKBONES.names())
def test_image_sizes_that_the_network_cannot_take_are_refused(name: str) -> None:
    backbone = BACKBONES.load(name)
    backbone.check_image_size(backbone.minimum_image_size)
    with pytest.raises(
        OptionError, match=f"does not support images of 31 px; choose an `image_size` between {32} and 1024"
    ):
        backbone.check_image_size(31)
    with pytest.raises(OptionError, match="does not support images of 5000 px"):
        backbone.check_image_size(5000)


def test_weights_from_a_file_are_the_files(tmp_path: Path) -> None:
    backbone = BACKBONES.load("mobilenet_v2")
    saved = backbone.build(32, None)
    saved.save_weights(tmp_path / "mine.weights.h5")
    loaded, record = build_with_weights(backbone, 64, weights=str(tmp_path / "mine.weights.h5"))
    for ours, theirs in zip(saved.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert len(record.sha256) == 64
    _, again = build_with_weights(backbone, 32, weights=str(tmp_path / "mine.weights.h5"))
    assert again == record


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    backbone: Any = BACKBONES.load("mobilenet_v2")
    with pytest.raises(WeightsError, match=r"no weights file '.*gone.h5'; `weights` takes imagenet, none, or a"):
        build_with_weights(backbone, 32, weights=str(tmp_path / "gone.h5"))
    (tmp_path / "broken.weights.h5").write_bytes(b"not HDF5")
    with pytest.raises(WeightsError, match="'.*broken.weights.h5' does not contain the weights of MobileNetV2"):
        build_with_weights(backbone, 32, weights=str(tmp_path / "broken.weights.h5"))
    small = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    small.save_weights(tmp_path / "other.weights.h5")
    with pytest.raises(WeightsError, match="pass the matching `backbone` or another file"):
        build_with_weights(backbone, 32, weights=str(tmp_path / "other.weights.h5"))


def test_imagenet_weights_without_a_network_name_the_file(tmp_path: Path) -> None:
    code = (
        "from tledge.train.backbone import BACKBONES\nfrom tledge.train.weights import build_with_weights\n"
        "from tledge.core.errors import WeightsError\n"
        "try:\n    build_with_weights(BACKBONES.load('mobilenet_v2'), 160, weights='imagenet')\n"
        "except WeightsError as error:\n    print('refused:', error)\n"
    )
    # A proxy that is not there: every download fails, whatever network the test machine has.
    nowhere = "http://127.0.0.1:9"
    env = {**os.environ, "KERAS_HOME": str(tmp_path), "HTTPS_PROXY": nowhere, "https_proxy": nowhere}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    message = done.stdout.splitlines()[-1]
    assert message.startswith("refused: cannot download the ImageNet weights of MobileNetV2: mobilenet_v2_weights_")
    assert "1.0_160_no_top.h5" in message
    assert f"put that file into {tmp_path / 'models'}" in message
    assert "or pass a file or 'none' as `weights`" in message
    assert not list((tmp_path / "models").glob("*.h5"))


def test_imagenet_weights_that_were_put_in_place_are_used(tmp_path: Path) -> None:
    """Keras checks no hash of MobileNetV2's files, so random weights under the file's name stand in for them."""
    (tmp_path / "models").mkdir()
    stand_in = BACKBONES.load("mobilenet_v2").build(160, None)
    name = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_160_no_top"
    legacy = _as_legacy_file(stand_in, tmp_path / "models" / f"{name}.h5")
    code = (
        "from tledge.train.backbone import BACKBONES\nfrom tledge.train.weights import build_with_weights\n"
        "network, record = build_with_weights(BACKBONES.load('mobilenet_v2'), 160, weights='imagenet')\n"
        "print(record.source, float(abs(network.get_weights()[0]).sum()))\n"
    )
    env = {**os.environ, "KERAS_HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    source, total = done.stdout.split()[-2:]
    assert source == "imagenet"
    assert float(total) == pytest.approx(legacy)


def _as_legacy_file(model: Any, path: Path) -> float:
    """Writes weights as the published files hold them; returns the sum of the first kernel's absolute values."""
    import h5py
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    with h5py.File(path, "w") as file:
        save_weights_to_hdf5_group(file, model)
    return float(np.abs(model.get_weights()[0]).sum())
