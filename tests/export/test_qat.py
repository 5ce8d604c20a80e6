"""Quantization-aware training: a real model, trained in a real child process."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import TINY_SIDECAR, lazy_module, write_stripes

from tledge.core.artifact import write_artifact
from tledge.core.errors import ConversionError, OptionError, RunError
from tledge.core.fingerprint import sha256_of_file
from tledge.core.image_batches import batches
from tledge.core.splits import Sample, Splits
from tledge.edge_runtime import Classifier
from tledge.export.tfmot import QuantizedModel, TuningOptions, train_quantized, with_weights
from tledge.export.tfmot.job import Job, JobPhotos, TrainingRequest
from tledge.export.tfmot.trained_models import run_training

lazy_module("tensorflow")
lazy_module("tensorflow_model_optimization")

SIZE = (16, 16)
EPOCHS = 3
OPTIONS = TuningOptions(size=SIZE, resize="stretch", seed=0, epochs=EPOCHS, learning_rate=1e-3, flip=True)


def splits_of(root: Path) -> Splits:
    samples = [
        Sample(path.relative_to(root).as_posix(), label, sha256_of_file(path))
        for label, name in enumerate(("across", "upright"))
        for path in sorted((root / name).iterdir())
    ]
    return Splits(
        root=root,
        class_names=TINY_SIDECAR.class_names,
        train=tuple(samples[::2]),
        validation=tuple(samples[1::2]),
        test=(),
    )


@pytest.fixture(scope="module")
def splits(photos: Path) -> Splits:
    return splits_of(photos)


@pytest.fixture(scope="module")
def pixels(splits: Splits) -> Any:
    return np.concatenate(list(batches(splits.paths(splits.train), SIZE, "stretch", 32)))


def build() -> Any:
    """A model with each kind of layer that has a rule, some of them in a nested model."""
    import keras

    keras.utils.set_random_seed(3)
    layers = keras.layers
    block_input = keras.Input((8, 8, 16))
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(block_input)
    x = layers.BatchNormalization(momentum=0.8, name="depthwise_norm")(x)
    x = layers.Activation("relu6", name="relu6")(x)
    x = layers.Conv2D(16, 1, name="project")(x)
    block = keras.Model(block_input, layers.BatchNormalization(momentum=0.8, name="project_norm")(x), name="block")

    image = keras.Input((*SIZE, 3), name="image")
    swap = layers.Conv2D(3, 1, name="swap")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(swap(image))
    swap.set_weights([np.eye(3, dtype=np.float32)[::-1].reshape(1, 1, 3, 3), -np.array([5, 6, 7], np.float32)])
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = layers.Conv2D(16, 3, strides=2, use_bias=False, name="stem")(x)
    x = layers.BatchNormalization(momentum=0.8, name="stem_norm")(x)
    x = layers.ReLU(6.0, name="stem_relu")(x)
    x = layers.Add(name="add")([x, block(x)])
    x = layers.MaxPooling2D(name="pool")(x)
    x = layers.ReLU(name="norm_relu")(layers.BatchNormalization(momentum=0.8, name="norm_alone")(x))
    x = layers.Conv2D(32, 3, activation="relu", name="wide")(x)
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D(name="features")(x))
    return keras.Model(image, layers.Dense(3, name="logits")(x))


@pytest.fixture(scope="module")
def model(splits: Splits, pixels: Any) -> Any:
    """A model that classifies the stripes; half of the weights of ``wide`` are zero."""
    import keras

    built = build()
    labels = np.array([sample.label for sample in splits.train])
    built.get_layer("swap").trainable = False
    built.compile(keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    built.fit(pixels.astype(np.float32), labels, epochs=40, verbose=0)
    kernel, bias = built.get_layer("wide").get_weights()
    built.get_layer("wide").set_weights([np.where(np.abs(kernel) > np.median(np.abs(kernel)), kernel, 0), bias])
    return built


@pytest.fixture(scope="module")
def quantized(model: Any, splits: Splits) -> QuantizedModel:
    return train_quantized(model, splits, OPTIONS)


@pytest.fixture(scope="module")
def interpreter(quantized: QuantizedModel) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(model_content=quantized.tflite)


def _integers(interpreter: Any, operation: str, shape: tuple[int, ...]) -> Any:
    """The int8 kernel of the only operation of that kind and kernel shape."""
    tensors = {tensor["index"]: tensor for tensor in interpreter.get_tensor_details()}
    (kernel,) = (
        details["inputs"][1]
        for details in interpreter._get_ops_details()
        if details["op_name"] == operation and tuple(tensors[details["inputs"][1]]["shape"]) == shape
    )
    return interpreter.get_tensor(kernel)


def test_the_file_holds_integers_alone(interpreter: Any) -> None:
    names = [details["op_name"] for details in interpreter._get_ops_details() if details["op_name"] != "DELEGATE"]
    assert (names[0], names[-1]) == ("DEQUANTIZE", "DEQUANTIZE")
    assert sorted(names[1:-1]) == sorted(
        ["QUANTIZE"] + ["CONV_2D"] * 4 + ["DEPTHWISE_CONV_2D"] * 3 + ["ADD", "MAX_POOL_2D", "MEAN", "FULLY_CONNECTED"]
    )
    (image,), (logits,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (image["dtype"], image["quantization"]) == (np.uint8, (1.0, 0))
    assert logits["dtype"] is np.float32
    assert interpreter.get_signature_list() == {"serving_default": {"inputs": ["image"], "outputs": ["logits"]}}
    floats = [tensor for tensor in interpreter.get_tensor_details() if tensor["dtype"] is np.float32]
    between = interpreter._get_ops_details()[0]["outputs"][0]  # the pixel values, from uint8 and to int8
    assert [tensor["index"] for tensor in floats] == [between, logits["index"]]


def test_its_integers_are_the_trained_weights_rounded(interpreter: Any, quantized: QuantizedModel, model: Any) -> None:
    for name, norm, operation, shape in (
        ("stem", "stem_norm", "CONV_2D", (16, 3, 3, 3)),
        ("block.depthwise", "block.depthwise_norm", "DEPTHWISE_CONV_2D", (1, 3, 3, 16)),
        ("wide", None, "CONV_2D", (32, 3, 3, 16)),
        ("logits", None, "FULLY_CONNECTED", (3, 32)),
    ):
        kernel = quantized.weights[name][0]
        rows = kernel.reshape(-1, 16 if operation.startswith("DEPTHWISE") else kernel.shape[-1])
        signs = np.sign(quantized.weights[norm][0]) if norm else 1.0  # of the scales that are folded in
        expected = np.rint(rows / np.abs(rows).max(axis=0) * 127 * signs)
        found = _integers(interpreter, operation, shape)
        outputs_last = found if operation.startswith("DEPTHWISE") else np.moveaxis(found, 0, -1)
        np.testing.assert_array_equal(outputs_last.reshape(rows.shape), expected, err_msg=name)
    assert set(quantized.weights) == {
        f"{'block.' if name.startswith(('depthwise', 'project')) else ''}{name}"
        for name in (
            *("swap", "stem", "stem_norm", "depthwise", "depthwise_norm", "project", "project_norm"),
            *("norm_alone", "wide", "logits"),
        )
    }


def test_weights_are_trained_and_fixed_layers_are_not(quantized: QuantizedModel, model: Any) -> None:
    for name, arrays in quantized.weights.items():
        layer = model
        for part in name.split("."):
            layer = layer.get_layer(part)
        before = layer.get_weights()
        if name in {"swap", "norm_alone"}:
            assert all(np.array_equal(old, new) for old, new in zip(before, arrays, strict=True)), name
        else:
            assert np.abs(before[0] - arrays[0]).max() > 1e-5, name
        if name.endswith("norm"):
            assert all(np.array_equal(old, new) for old, new in zip(before[2:], arrays[2:], strict=True)), name
    before = model.get_layer("wide").get_weights()[0]
    np.testing.assert_array_equal(quantized.weights["wide"][0] == 0, before == 0)


def test_the_least_validation_loss_is_kept(quantized: QuantizedModel) -> None:
    assert [entry.epoch for entry in quantized.report.history] == list(range(EPOCHS + 1))
    assert [entry.train_loss is None for entry in quantized.report.history] == [True] + [False] * EPOCHS
    (kept,) = (entry for entry in quantized.report.history if entry.kept)
    assert kept.loss == min(entry.loss for entry in quantized.report.history)
    assert kept.epoch > 0
    assert kept.agreement >= 0.9


def test_it_predicts_as_the_float_model_does(
    quantized: QuantizedModel, model: Any, pixels: Any, tmp_path: Path
) -> None:
    path = write_artifact(tmp_path / "qat.tflite", quantized.tflite, TINY_SIDECAR).path
    with Classifier(path) as classifier:
        found = classifier.logits(pixels)
    expected = model.predict(pixels.astype(np.float32), verbose=0)
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.95
    trained = with_weights(model, quantized.weights).predict(pixels.astype(np.float32), verbose=0)
    assert np.abs(found - trained).mean() <= 0.05 * trained.std()
    assert np.abs(trained - expected).max() > 1e-3, "nothing was trained"


def test_ranges_are_those_of_the_file(quantized: QuantizedModel, interpreter: Any) -> None:
    assert quantized.report.ranges["image"] == (0, 255)
    assert quantized.report.ranges["swap"] == (-7, 250)
    low, high = quantized.report.ranges["rescaling"]
    assert (low, high) == pytest.approx((-7 / 127.5 - 1, 250 / 127.5 - 1), rel=1e-5)
    assert set(quantized.report.ranges) == {
        *("image", "swap", "rescaling", "stem_relu", "block.relu6", "block.project_norm", "add"),
        *("norm_relu", "wide", "features", "logits"),
    }
    scales = [float(tensor["quantization"][0]) for tensor in interpreter.get_tensor_details()]
    for name, (low, high) in quantized.report.ranges.items():
        assert np.isclose(scales, (high - low) / 255, rtol=1e-4).any(), name


@pytest.mark.slow
def test_the_same_seed_gives_the_same_file(quantized: QuantizedModel, model: Any, splits: Splits) -> None:
    again = train_quantized(model, splits, OPTIONS)
    assert again.report.history == quantized.report.history
    assert again.tflite == quantized.tflite


def _refused(tail: Any, splits: Splits) -> str:
    import keras

    image = keras.Input((*SIZE, 3), name="image")
    features = keras.layers.GlobalAveragePooling2D()(tail(keras.layers.Conv2D(4, 3, name="first")(image)))
    with pytest.raises(ConversionError) as caught:
        train_quantized(keras.Model(image, keras.layers.Dense(2)(features)), splits, OPTIONS)
    return str(caught.value)


def test_a_layer_that_cannot_be_quantized_is_named(splits: Splits) -> None:
    import keras

    layers = keras.layers
    assert _refused(layers.Activation("silu", name="swish"), splits) == (
        "layer 'swish' (Activation) has the activation 'silu': the recipe qat cannot train it; use int8 instead"
    )
    assert "layer 'up' (UpSampling2D) does not support fake quantization" in _refused(
        layers.UpSampling2D(name="up"), splits
    )
    assert "'norm' (BatchNormalization) does not normalize channels" in _refused(
        layers.BatchNormalization(axis=1, name="norm"), splits
    )
    assert "is the operation keras.src.ops.nn.Gelu: use int8 instead" in _refused(keras.ops.gelu, splits)
    twice = layers.Conv2D(4, 1, name="twice")
    assert "each layer used once; 'twice' is used several times" in _refused(lambda x: twice(twice(x)), splits)


def test_bad_options_and_changed_photos_start_nothing(model: Any, tmp_path: Path) -> None:
    splits = splits_of(write_stripes(tmp_path / "photos", per_class=3))

    def train(splits: Splits, **options: Any) -> None:
        train_quantized(model, splits, replace(OPTIONS, **options))

    with pytest.raises(OptionError, match="needs 1 epoch or more; received 0"):
        train(splits, epochs=0)
    with pytest.raises(OptionError, match="a learning rate above 0 and below 1; received 3"):
        train(splits, learning_rate=3.0)
    splits.paths(splits.validation)[0].write_bytes(b"other")
    with pytest.raises(RunError, match="has changed since this run was trained"):
        train(splits)


def test_a_child_that_fails_is_one_of_our_errors(tmp_path: Path) -> None:
    photos = JobPhotos(paths=(), labels=())
    job = Job(sparsity=0.5, train=photos, validation=photos, options=OPTIONS)
    with pytest.raises(ConversionError, match=r"Pruning ended with exit code 1: FileNotFoundError: .*weights.npz"):
        run_training(TrainingRequest(folder=str(tmp_path), job=job, size=SIZE, nodes=()))
