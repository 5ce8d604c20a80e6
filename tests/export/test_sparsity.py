"""Magnitude pruning: a real model, pruned in a real child process."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import TINY_SIDECAR, lazy_module

from tledge.core.errors import OptionError
from tledge.core.fingerprint import sha256_of_file
from tledge.core.image_batches import batches
from tledge.core.splits import Sample, Splits
from tledge.export.export_record import compressed_size
from tledge.export.tfmot import PrunedModel, TuningOptions, prune, with_weights

lazy_module("tensorflow")
lazy_module("tensorflow_model_optimization")

SIZE = (16, 16)
SPARSITY = 0.6
OPTIONS = TuningOptions(size=SIZE, resize="stretch", seed=0, epochs=16, learning_rate=3e-3)


@pytest.fixture(scope="module")
def splits(photos: Path) -> Splits:
    samples = [
        Sample(path.relative_to(photos).as_posix(), label, sha256_of_file(path))
        for label, name in enumerate(("across", "upright"))
        for path in sorted((photos / name).iterdir())
    ]
    return Splits(
        root=photos,
        class_names=TINY_SIDECAR.class_names,
        train=tuple(samples[::2]),
        validation=tuple(samples[1::2]),
        test=(),
    )


@pytest.fixture(scope="module")
def pixels(splits: Splits) -> Any:
    loaded = np.concatenate(list(batches(splits.paths(splits.train), SIZE, "stretch", 32)))
    return loaded.astype(np.float32)


@pytest.fixture(scope="module")
def model(splits: Splits, pixels: Any) -> Any:
    """A model that classifies the stripes, with MobileNetV3's activation built from sums and products."""
    import keras

    keras.utils.set_random_seed(3)
    layers = keras.layers
    image = keras.Input((*SIZE, 3), name="image")
    swap = layers.Conv2D(3, 1, name="swap")
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(swap(image))
    swap.set_weights([np.eye(3, dtype=np.float32)[::-1].reshape(1, 1, 3, 3), np.zeros(3, np.float32)])
    swap.trainable = False
    x = layers.Activation("hard_silu")(layers.Conv2D(64, 3, strides=2, padding="same", name="stem")(x))
    x = layers.BatchNormalization(momentum=0.8, name="norm")(
        layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    )
    x = layers.ReLU(6.0)(x + 3.0) * (1.0 / 6.0)
    x = layers.Conv2D(128, 1, name="project", kernel_regularizer="l2")(x)
    x = layers.PReLU(shared_axes=[1, 2], name="prelu")(x)
    x = layers.Dropout(0.1)(layers.GlobalAveragePooling2D(name="features")(x))
    built = keras.Model(image, layers.Dense(3, name="logits")(x))
    built.compile(keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    labels = np.array([sample.label for sample in splits.train])
    built.fit(pixels, labels, epochs=40, verbose=0)
    return built


@pytest.fixture(scope="module")
def pruned(model: Any, splits: Splits) -> PrunedModel:
    return prune(model, splits, OPTIONS, sparsity=SPARSITY)


def test_each_pruned_kernel_has_its_fraction_of_zeros(pruned: PrunedModel, model: Any) -> None:
    assert pruned.report.pruned == ("stem", "project", "logits")
    for name in pruned.report.pruned:
        kernel = pruned.weights[name][0]
        assert abs(np.mean(kernel == 0) - SPARSITY) <= 1 / kernel.size, name
    assert pruned.sparsity == pytest.approx(SPARSITY, abs=1e-3)


def test_other_weights_stay_dense(pruned: PrunedModel, model: Any) -> None:
    assert not (pruned.weights["depthwise"][0] == 0).any()
    for name in ("swap", "prelu"):
        for before, after in zip(model.get_layer(name).get_weights(), pruned.weights[name], strict=True):
            np.testing.assert_array_equal(before, after)
    for before, after in zip(model.get_layer("norm").get_weights()[2:], pruned.weights["norm"][2:], strict=True):
        np.testing.assert_array_equal(before, after)


def test_training_compensates_the_zeros(pruned: PrunedModel, model: Any, pixels: Any, splits: Splits) -> None:
    expected = model.predict(pixels, verbose=0)
    found = with_weights(model, pruned.weights).predict(pixels, verbose=0)
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.95
    untrained = {
        name: [np.where(pruned.weights[name][0] == 0, 0, kernel), *bias]
        for name in pruned.report.pruned
        for kernel, *bias in [model.get_layer(name).get_weights()]
    }
    bare = with_weights(model, untrained).predict(pixels, verbose=0)
    assert _loss(found, splits) < _loss(bare, splits)


def _loss(logits: Any, splits: Splits) -> float:
    import keras

    labels = np.array([sample.label for sample in splits.train])
    return float(keras.losses.SparseCategoricalCrossentropy(from_logits=True)(labels, logits))


def test_the_kept_epoch_is_a_sparse_one(pruned: PrunedModel) -> None:
    assert [entry.epoch for entry in pruned.report.history] == list(range(1, 17))
    (kept,) = (entry for entry in pruned.report.history if entry.kept)
    assert kept.epoch > 8
    assert kept.loss == min(entry.loss for entry in pruned.report.history[8:])


def test_the_copy_leaves_the_model_as_it_is(pruned: PrunedModel, model: Any) -> None:
    with_weights(model, pruned.weights)
    assert not (model.get_layer("project").get_weights()[0] == 0).any()


def test_the_file_compresses_better(pruned: PrunedModel, model: Any, tmp_path: Path) -> None:
    import tensorflow as tf

    from tledge.export.concrete_function import freeze

    sizes = {}
    for name, chosen in (("dense", model), ("sparse", with_weights(model, pruned.weights))):
        path = tmp_path / f"{name}.tflite"
        function = freeze(chosen, "float32", batch=1).get_concrete_function()
        path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module()).convert())
        sizes[name] = (path.stat().st_size, compressed_size(path))
    assert sizes["dense"][0] == sizes["sparse"][0]
    assert (
        sizes["dense"][1] - sizes["sparse"][1] > 0.5 * SPARSITY * 4 * model.get_layer("project").kernel.shape[2] * 128
    )


@pytest.mark.parametrize("sparsity", [0.0, 1.0, -0.5])
def test_a_sparsity_out_of_range_is_an_error(model: Any, splits: Splits, sparsity: float) -> None:
    with pytest.raises(OptionError, match=f"`sparsity` must be above 0 and below 1; received {sparsity:g}"):
        prune(model, splits, OPTIONS, sparsity=sparsity)
