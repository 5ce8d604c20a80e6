from typing import Any

import numpy as np
import pytest
from support import lazy_module, stripes

keras = lazy_module("keras")

IMAGES = np.stack([stripes(bool(index % 2), index, (16, 16)) for index in range(48)])


def on_grid(kernel: Any, axes: tuple[int, ...], levels: int) -> Any:
    """The kernel rounded to the nearest point of each output channel's grid."""
    scale = np.abs(kernel).max(axis=axes, keepdims=True) / levels
    return np.rint(kernel / scale) * scale


def kernels(model: Any) -> list[tuple[Any, tuple[int, ...]]]:
    found = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            found.append((layer.get_weights()[0], (0, 1)))
        elif isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            kernel = layer.get_weights()[0]
            found.append((kernel, tuple(range(kernel.ndim - 1))))
    return found


@pytest.fixture
def trained_like_model(tiny_keras_model: Any) -> Any:
    """The tiny model with batch norms that are not the identity."""
    model = keras.models.clone_model(tiny_keras_model)
    model.set_weights(tiny_keras_model.get_weights())
    rng = np.random.default_rng(5)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 2, values.shape) for values in layer.get_weights()])
    return model


@pytest.mark.parametrize("levels", [127, 64])
def test_every_kernel_is_on_the_grid_that_a_converter_makes(trained_like_model: Any, levels: int) -> None:
    from tledge.export.weight_calibration import CalibratedModel

    for kernel, axes in kernels(CalibratedModel(trained_like_model, IMAGES).rounded(levels)):
        np.testing.assert_allclose(kernel, on_grid(kernel, axes, levels), rtol=1e-5, atol=1e-7)


def test_outputs_stay_closer_than_by_rounding_to_the_nearest(trained_like_model: Any) -> None:
    from tledge.export.folded_norms import fold_batch_norms
    from tledge.export.weight_calibration import CalibratedModel

    held_out = np.stack([stripes(bool(index % 2), 500 + index, (16, 16)) for index in range(32)]).astype(np.float32)
    expected = trained_like_model.predict(held_out, verbose=0)
    nearest = keras.models.clone_model(trained_like_model)
    nearest.set_weights(trained_like_model.get_weights())
    fold_batch_norms(nearest)
    np.testing.assert_allclose(nearest.predict(held_out, verbose=0), expected, rtol=1e-3, atol=1e-3)
    levels = 15  # coarse, so that the errors are large
    for layer in nearest.layers:
        if layer.weights and not isinstance(layer, keras.layers.BatchNormalization):
            kernel, *rest = layer.get_weights()
            axes = (0, 1) if isinstance(layer, keras.layers.DepthwiseConv2D) else tuple(range(kernel.ndim - 1))
            layer.set_weights([on_grid(kernel, axes, levels), *rest])
    rounded = CalibratedModel(trained_like_model, IMAGES).rounded(levels)

    def error(model: Any) -> float:
        return float(np.sqrt(np.mean((model.predict(held_out, verbose=0) - expected) ** 2)))

    assert error(rounded) < 0.6 * error(nearest)


def test_the_model_itself_stays_as_it_was(trained_like_model: Any) -> None:
    from tledge.export.weight_calibration import CalibratedModel

    before = trained_like_model.get_weights()
    CalibratedModel(trained_like_model, IMAGES).rounded(127)
    for old, new in zip(before, trained_like_model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_channels_of_a_depthwise_convolution_use_the_whole_range_and_mean_the_same(tiny_keras_model: Any) -> None:
    from tledge.export.equalization import HEADROOM, equalize
    from tledge.export.folded_norms import fold_batch_norms

    model = keras.models.clone_model(tiny_keras_model)
    model.set_weights(tiny_keras_model.get_weights())
    depthwise = next(layer for layer in model.layers if isinstance(layer, keras.layers.DepthwiseConv2D))
    before = keras.Model(model.input, depthwise.input)
    norms = fold_batch_norms(model)
    pixels = IMAGES.astype(np.float32)
    expected, narrow = model.predict(pixels, verbose=0), before.predict(pixels, verbose=0).max(axis=(0, 1, 2))
    factors = equalize(model, norms, {depthwise.name: narrow})[depthwise.name]
    assert factors.max() > 1
    wide = before.predict(pixels, verbose=0).max(axis=(0, 1, 2))
    alive = (narrow > 0.4) & (narrow < 5)
    assert alive.sum() > 3
    np.testing.assert_allclose(wide[alive], 6 / HEADROOM, rtol=1e-3)
    assert wide.max() <= 6 + 1e-5
    np.testing.assert_allclose(model.predict(pixels, verbose=0), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "layers",
    [
        lambda: [keras.layers.Conv2D(6, 3, activation="relu"), keras.layers.BatchNormalization()],
        lambda: [keras.layers.Conv2D(6, 3), keras.layers.BatchNormalization(scale=False), keras.layers.ReLU()],
        lambda: [keras.layers.Conv2D(6, 3, use_bias=False), keras.layers.BatchNormalization(center=False)],
        lambda: [keras.layers.DepthwiseConv2D(3, depth_multiplier=2), keras.layers.BatchNormalization()],
        lambda: [keras.layers.Conv2D(6, 3, activation="tanh"), keras.layers.ReLU(), keras.layers.DepthwiseConv2D(3)],
        lambda: [keras.layers.Dense(6, use_bias=False), keras.layers.BatchNormalization()],
        lambda: [keras.layers.Flatten(), keras.layers.Dense(2000), keras.layers.Dense(8)],
    ],
)
@pytest.mark.parametrize("name", ["tflite", "onnx"])
def test_any_plain_graph_means_the_same_before_it_is_rounded_and_nearly_so_after(layers: Any, name: str) -> None:
    from tledge.export.format import FORMATS
    from tledge.export.recipes import find_recipe
    from tledge.export.weight_calibration import CalibratedModel

    keras.utils.set_random_seed(2)
    image = keras.Input((16, 16, 3), name="image")
    value = keras.layers.Rescaling(1 / 255)(image)
    for layer in layers():
        value = layer(value)
    model = keras.Model(image, keras.layers.Dense(3, name="logits")(keras.layers.Flatten()(value)))
    rng = np.random.default_rng(5)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 2, values.shape) for values in layer.get_weights()])
    expected = model.predict(IMAGES.astype(np.float32), verbose=0)
    calibrated = CalibratedModel(model, IMAGES)
    found = calibrated.unrounded.predict(IMAGES.astype(np.float32), verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * expected.std())
    content = FORMATS.load(name).convert(model, find_recipe("int8"), calibrated)
    if name == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        found = session.run(None, {"image": IMAGES})[0]
        assert np.square(found - expected).mean() < 0.02 * expected.var()
