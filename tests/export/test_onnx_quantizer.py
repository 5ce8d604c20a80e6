from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from support import lazy_module, random_images

from tledge.core.errors import ConversionError

lazy_module("keras")

IMAGES = random_images(24, 16, seed=9)


@pytest.fixture(scope="module")
def quantizer(tiny_keras_model: Any) -> Any:
    from tledge.export.formats.onnx import FORMAT
    from tledge.export.weight_calibration import CalibratedModel

    return FORMAT.quantizer(CalibratedModel(tiny_keras_model, IMAGES))


def constants(model: Any) -> dict[str, Any]:
    return {weight.name: numpy_helper.to_array(weight) for weight in model.graph.initializer}


def weights(model: Any) -> list[Any]:
    """The int8 tensors: kernels of convolutions and of the head."""
    return [values for values in constants(model).values() if values.dtype == np.int8 and values.ndim > 1]


def logits(content: bytes, images: Any) -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {"image": images})[0]


def test_no_product_of_two_can_pass_16_bits(tiny_keras_model: Any, quantizer: Any) -> None:
    from tledge.export.formats.onnx import FORMAT
    from tledge.export.weight_calibration import CalibratedModel

    kernels = weights(onnx.load_from_string(quantizer.quantize(frozenset())))
    assert len(kernels) == 4
    for kernel in kernels:
        assert 255 * 2 * np.abs(kernel.astype(int)).max() <= np.iinfo(np.int16).max
        assert np.abs(kernel).max() == 64
    for_arm = FORMAT.quantizer(CalibratedModel(tiny_keras_model, IMAGES), "arm").quantize(frozenset())
    assert {int(np.abs(kernel.astype(int)).max()) for kernel in weights(onnx.load_from_string(for_arm))} == {127}


def test_integers_stand_behind_the_relus_and_not_before(quantizer: Any) -> None:
    model = onnx.load_from_string(quantizer.quantize(frozenset()))
    onnx.checker.check_model(model, full_check=True)
    producer = {output: node for node in model.graph.node for output in node.output}
    quantized = [producer.get(node.input[0]) for node in model.graph.node if node.op_type == "QuantizeLinear"]
    kinds = sorted(node.op_type for node in quantized if node is not None)
    assert kinds == ["Clip", "Clip", "Relu", "Transpose"]
    scales = [float(values) for name, values in constants(model).items() if "Relu6" in name and name.endswith("_scale")]
    assert scales
    assert max(scales) <= 6 / 255 + 1e-9


def test_pixels_are_held_exactly(quantizer: Any) -> None:
    model = onnx.load_from_string(quantizer.quantize(frozenset()))
    (first,) = [
        node for node in model.graph.node if node.op_type == "QuantizeLinear" and "Transpose" not in node.input[0]
    ][:1]
    found = constants(model)
    scale, zero = float(found[first.input[1]]), int(found[first.input[2]])
    pixels = np.arange(256)
    assert scale == pytest.approx(1 / 127.5)
    assert zero == 128
    scaled = pixels / 127.5 - 128 / 127.5
    np.testing.assert_array_equal(np.rint(scaled / scale) + zero, pixels)


def test_runtimes_compute_in_integers(quantizer: Any, tmp_path: Any) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(quantizer.quantize(frozenset()), options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]
    assert kinds.count("QLinearConv") == 3
    assert not {"Conv", "FusedConv", "Clip", "Relu"} & set(kinds)


def test_a_layer_in_float_has_its_own_weights_and_lowers_the_noise(tiny_keras_model: Any, quantizer: Any) -> None:
    from tledge.export.weight_calibration import CalibratedModel

    layers = [layer.name for layer in tiny_keras_model.layers if hasattr(layer, "kernel")]
    expected = CalibratedModel(tiny_keras_model, IMAGES).unrounded.predict(IMAGES.astype(np.float32), verbose=0)

    def noise(float_layers: set[str]) -> float:
        found = logits(quantizer.quantize(frozenset(float_layers)), IMAGES)
        return float(np.square(found - expected).sum())

    assert noise(set(layers)) < 0.01 * noise(set())
    assert len(weights(onnx.load_from_string(quantizer.quantize(frozenset({layers[0]}))))) == 3
    with pytest.raises(ConversionError, match=r"layer 'nowhere' is not found in the ONNX model"):
        quantizer.quantize(frozenset({"nowhere"}))


def test_a_head_that_costs_little_keeps_its_weights(tiny_keras_model: Any) -> None:
    import keras

    from tledge.export.formats.onnx import FORMAT
    from tledge.export.weight_calibration import CalibratedModel

    wide = keras.layers.Conv2D(256, 3, activation="relu")(tiny_keras_model.layers[-3].output)
    pooled = keras.layers.GlobalAveragePooling2D()(wide)
    model = keras.Model(tiny_keras_model.input, keras.layers.Dense(2, name="logits")(pooled))
    content = FORMAT.quantizer(CalibratedModel(model, IMAGES)).quantize(frozenset())
    kernel = model.layers[-1].get_weights()[0]
    assert any(
        values.dtype == np.float32 and sorted(values.shape) == sorted(kernel.shape) and np.isin(kernel, values).all()
        for values in constants(onnx.load_from_string(content)).values()
    )


def test_sums_and_pools_between_convolutions_are_integers() -> None:
    import keras

    from tledge.export.formats.onnx import FORMAT
    from tledge.export.weight_calibration import CalibratedModel

    keras.utils.set_random_seed(1)
    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    x = keras.layers.MaxPooling2D()(x)
    branch = keras.layers.Conv2D(8, 3, padding="same")(x)
    x = keras.layers.ReLU()(keras.layers.Add()([x, branch]))
    x = keras.layers.Conv2D(8, 1)(x)
    model = keras.Model(image, keras.layers.Dense(3, name="logits")(keras.layers.GlobalAveragePooling2D()(x)))
    content = FORMAT.quantizer(CalibratedModel(model, IMAGES)).quantize(frozenset())
    quantized = onnx.load_from_string(content)
    onnx.checker.check_model(quantized, full_check=True)
    producer = {output: node.op_type for node in quantized.graph.node for output in node.output}
    for node in quantized.graph.node:
        if node.op_type in ("Conv", "Add", "MaxPool"):
            assert producer[node.input[0]] == "DequantizeLinear", node.op_type
    images = random_images(16, 16, seed=3)
    expected = model.predict(images.astype(np.float32), verbose=0)
    assert np.abs(logits(content, images) - expected).max() < 0.1 * expected.std()
