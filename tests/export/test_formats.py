from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter
from support import TINY_SIDECAR, lazy_module, random_images

from tledge.core.artifact import write_artifact
from tledge.edge_runtime import Classifier
from tledge.export.format import FORMATS
from tledge.export.recipes import RECIPES, Recipe

lazy_module("tensorflow")

PAIRS = [
    (name, recipe)
    for name in FORMATS.names()
    for recipe in RECIPES
    if recipe.name in FORMATS.load(name).recipes and not recipe.trained
]


@pytest.fixture(scope="module")
def converted(tiny_keras_model: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """Every recipe of every format, as artifacts on disk."""
    from tledge.export.weight_calibration import CalibratedModel

    folder = tmp_path_factory.mktemp("converted")
    found = {}
    for name, recipe in PAIRS:
        calibration = CalibratedModel(tiny_keras_model, random_images(30, 16, seed=9) // 2)
        content = FORMATS.load(name).convert(tiny_keras_model, recipe, calibration if recipe.calibrated else None)
        found[name, recipe.name] = write_artifact(folder / f"{recipe.name}.{name}", content, TINY_SIDECAR).path
    return found


LARGEST_DIFFERENCE = {"float32": 1e-4, "float16": 0.02, "dynamic": 0.1, "int16x8": 0.1, "int8": 0.25}
"""Largest difference of a logit, as a fraction of the logits' standard deviation."""


@pytest.mark.parametrize(("name", "recipe"), PAIRS)
def test_every_recipe_keeps_the_logits(
    converted: dict[tuple[str, str], Path], tiny_keras_model: Any, name: str, recipe: Recipe
) -> None:
    images = random_images(64, 16, seed=1) // 2
    expected = tiny_keras_model.predict(images.astype(np.float32), verbose=0)
    with Classifier(converted[name, recipe.name]) as classifier:
        difference = np.abs(classifier.logits(images) - expected).max()
    assert difference <= LARGEST_DIFFERENCE[recipe.name] * expected.std()
    if recipe.name != "float32":
        assert difference > 1e-6 * expected.std(), "nothing was quantized"


@pytest.mark.parametrize("name", FORMATS.names())
def test_every_recipe_but_the_first_stores_its_weights_smaller(tiny_keras_model: Any, name: str) -> None:
    import keras

    from tledge.export.weight_calibration import CalibratedModel

    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Conv2D(256, 3, padding="same", activation="relu")(image)
    x = keras.layers.Conv2D(256, 1, activation="relu")(x)
    logits = keras.layers.Dense(64, name="logits")(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(image, logits)
    calibrated = CalibratedModel(model, random_images(3, 16))
    sizes = {
        recipe.name: len(FORMATS.load(name).convert(model, recipe, calibrated if recipe.calibrated else None))
        for kind, recipe in PAIRS
        if kind == name
    }
    assert sizes["float16"] < 0.56 * sizes["float32"]
    for recipe in sizes.keys() & {"dynamic", "int8", "int16x8"}:
        assert sizes[recipe] < 0.32 * sizes["float32"]


@pytest.mark.parametrize("recipe", [recipe.name for name, recipe in PAIRS if name == "tflite"])
def test_tflite_takes_uint8_pixels_as_they_are(converted: dict[tuple[str, str], Path], recipe: str) -> None:
    interpreter = Interpreter(model_path=str(converted["tflite", recipe]))
    (image,) = interpreter.get_input_details()
    (logits,) = interpreter.get_output_details()
    assert image["dtype"] is np.uint8
    assert image["shape"].tolist() == [1, 16, 16, 3]
    assert image["quantization"] == (1.0, 0)
    assert logits["dtype"] is np.float32
    assert interpreter.get_signature_list() == {"serving_default": {"inputs": ["image"], "outputs": ["logits"]}}


@pytest.mark.parametrize("recipe", [recipe.name for name, recipe in PAIRS if name == "onnx"])
def test_onnx_has_the_names_and_open_batch_that_devices_expect(
    converted: dict[tuple[str, str], Path], recipe: str
) -> None:
    model = onnx.load(converted["onnx", recipe])
    onnx.checker.check_model(model, full_check=True)
    (image,), (logits,) = model.graph.input, model.graph.output
    shapes = [[dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in (image, logits)]
    assert (image.name, logits.name) == ("image", "logits")
    assert shapes == [["batch", 16, 16, 3], ["batch", 3]]
    assert image.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert logits.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert {opset.version for opset in model.opset_import if opset.domain == ""} == {17}


def test_int8_computes_in_integers(converted: dict[tuple[str, str], Path]) -> None:
    operators = [node.op_type for node in onnx.load(converted["onnx", "int8"]).graph.node]
    assert operators.count("DequantizeLinear") > operators.count("Conv") > 0
    interpreter = Interpreter(model_path=str(converted["tflite", "int8"]))
    convolutions = [detail for detail in interpreter.get_tensor_details() if detail["dtype"] is np.int8]
    assert len(convolutions) > 6
