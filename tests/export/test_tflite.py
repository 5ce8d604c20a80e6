import mmap
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from support import TINY_SIDECAR, lazy_module, random_images

from tledge.core.artifact import write_artifact
from tledge.core.errors import ArtifactError, ConversionError
from tledge.edge_runtime import Classifier
from tledge.edge_runtime.delegation import Delegation, find_undelegated
from tledge.export.recipes import Recipe
from tledge.export.tflite_metadata_writer import add_metadata

lazy_module("tensorflow")

RECIPES = ("float32", "float16", "dynamic", "int8", "int16x8")
CLASSES = ("cat", "dog", "fox")


@pytest.fixture(scope="module")
def calibrated(tiny_keras_model: Any) -> Any:
    from tledge.export.weight_calibration import CalibratedModel

    return CalibratedModel(tiny_keras_model, random_images(30, 16, seed=9) // 2)


@pytest.fixture(scope="module")
def converted(tiny_keras_model: Any, calibrated: Any) -> dict[str, bytes]:
    """The tiny model in every recipe."""
    return {recipe: convert(tiny_keras_model, recipe, calibrated) for recipe in RECIPES}


def convert(model: Any, recipe: str, calibrated: Any) -> bytes:
    from tledge.export.formats.tflite import FORMAT

    wants = recipe in ("int8", "int16x8")
    return FORMAT.convert(model, Recipe(recipe, calibrated=wants), calibrated if wants else None)


def logits(model: bytes | str, images: Any, batch: int = 1) -> Any:
    """Runs a TFLite file without tledge."""
    given = {"model_content": model} if isinstance(model, bytes) else {"model_path": model}
    interpreter = Interpreter(**given)
    image = interpreter.get_input_details()[0]["index"]
    if batch > 1:
        interpreter.resize_tensor_input(image, [batch, *images.shape[1:]], strict=False)
    interpreter.allocate_tensors()
    found = []
    for start in range(0, len(images), batch):
        interpreter.set_tensor(image, images[start : start + batch])
        interpreter.invoke()
        found.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).copy())
    return np.concatenate(found)


def tensor_types(model: bytes) -> dict[str, list[int]]:
    """The types of the input and output tensors, by operator."""
    graph = schema.ModelT.InitFromPackedBuf(model)
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    found: dict[str, list[int]] = {}
    for operator in graph.subgraphs[0].operators:
        name = names[graph.operatorCodes[operator.opcodeIndex].builtinCode]
        tensors = [*operator.inputs, *operator.outputs]
        found[name] = [graph.subgraphs[0].tensors[tensor].type for tensor in tensors]
    return found


def test_int16x8_takes_pixels_and_is_closer_to_the_model_than_int8(
    converted: dict[str, bytes], tiny_keras_model: Any, tmp_path: Path
) -> None:
    images = random_images(64, 16, seed=1) // 2
    expected = tiny_keras_model.predict(images.astype(np.float32), verbose=0)
    difference = {}
    for recipe in ("int8", "int16x8"):
        artifact = write_artifact(tmp_path / f"{recipe}.tflite", converted[recipe], TINY_SIDECAR)
        with Classifier(artifact.path) as classifier:
            difference[recipe] = np.abs(classifier.logits(images) - expected).mean()
    assert difference["int16x8"] < 0.6 * difference["int8"]
    assert difference["int16x8"] < 0.02 * expected.std()


def test_int16x8_has_16_bit_activations_8_bit_kernels_and_the_biases_of_the_fast_kernel(
    converted: dict[str, bytes],
) -> None:
    kind = schema.TensorType
    types = tensor_types(converted["int16x8"])
    assert types["CONV_2D"] == [kind.INT16, kind.INT8, kind.INT32, kind.INT16]
    assert types["FULLY_CONNECTED"] == [kind.INT16, kind.INT8, kind.INT32, kind.INT16]
    # LiteRT's depthwise kernel takes no other bias.
    assert types["DEPTHWISE_CONV_2D"] == [kind.INT16, kind.INT8, kind.INT64, kind.INT16]


def test_a_bias_stays_wide_where_a_sum_could_overflow() -> None:
    import keras

    from tledge.export.weight_calibration import CalibratedModel

    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Conv2D(8, 1, activation="relu")(image)
    x = keras.layers.Conv2D(64, 3, strides=2, activation="relu")(x)
    # 3136 weights that are each the largest of their channel: 3136 x 127 x 2^15 is more than 2^31.
    constant = keras.initializers.Constant(0.01)
    head = keras.layers.Dense(3, kernel_initializer=constant, bias_initializer="ones")
    model = keras.Model(image, head(keras.layers.Flatten()(x)))
    content = convert(model, "int16x8", CalibratedModel(model, random_images(8, 16)))
    types = tensor_types(content)
    assert types["CONV_2D"][2] == schema.TensorType.INT32
    assert types["FULLY_CONNECTED"][2] == schema.TensorType.INT64
    images = random_images(8, 16, seed=2)
    expected = model.predict(images.astype(np.float32), verbose=0)
    assert np.abs(logits(content, images) - expected).max() < 0.01 * np.abs(expected).max()


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_batch_gives_the_logits_of_its_images(converted: dict[str, bytes], recipe: str) -> None:
    images = random_images(8, 16, seed=2) // 2
    assert np.ptp(logits(converted[recipe], images), axis=0).min() > 0
    np.testing.assert_allclose(
        logits(converted[recipe], images, batch=4), logits(converted[recipe], images), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_batch_runs_through_layers_that_reshape(recipe: str) -> None:
    import keras

    from tledge.export.weight_calibration import CalibratedModel

    keras.utils.set_random_seed(1)
    image = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Reshape((4, 16, 3))(keras.layers.Rescaling(1 / 255)(image))
    x = keras.layers.Conv2D(4, 3, activation="relu")(x)
    model = keras.Model(image, keras.layers.Dense(3)(keras.layers.Flatten()(x)))
    content = convert(model, recipe, CalibratedModel(model, random_images(8, 8)))
    images = random_images(6, 8, seed=2)
    np.testing.assert_allclose(logits(content, images, batch=3), logits(content, images), rtol=1e-5, atol=1e-6)
    expected = model.predict(images.astype(np.float32), verbose=0)
    assert np.abs(logits(content, images) - expected).max() < 0.3 * np.abs(expected).max()


@pytest.mark.parametrize("recipe", ["float32", "float16", "dynamic", "int8"])
def test_xnnpack_takes_the_whole_model(converted: dict[str, bytes], recipe: str, tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(add_metadata(converted[recipe], CLASSES))
    found = find_undelegated(tmp_path / "model.tflite")
    assert found.undelegated == ()
    assert found.partitions == 1
    assert found.nodes == len(schema.ModelT.InitFromPackedBuf(converted[recipe]).subgraphs[0].operators)


def test_operators_that_xnnpack_leaves_are_named(converted: dict[str, bytes], tmp_path: Path) -> None:
    import tensorflow as tf

    (tmp_path / "wide.tflite").write_bytes(converted["int16x8"])
    wide = find_undelegated(tmp_path / "wide.tflite")
    assert wide.undelegated.count("DEPTHWISE_CONV_2D") == 1
    assert wide.undelegated.count("CONV_2D") == 2

    @tf.function(input_signature=[tf.TensorSpec((1, 4, 4, 3), tf.uint8)])  # type: ignore[untyped-decorator]
    def classify(image: Any) -> Any:
        middle = tf.nn.relu(tf.cast(image, tf.float32)) + 1.0
        return tf.reduce_mean(tf.cumsum(middle, axis=1) * 2.0, (1, 2))

    converter = tf.lite.TFLiteConverter.from_concrete_functions([classify.get_concrete_function()], tf.Module())
    (tmp_path / "mixed.tflite").write_bytes(converter.convert())
    found = find_undelegated(tmp_path / "mixed.tflite")
    assert found == Delegation(nodes=6, partitions=2, undelegated=("CAST", "CUMSUM"))


@pytest.mark.unit
def test_delegation_of_a_file_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(b"no model at all")
    with pytest.raises(ArtifactError, match="LiteRT cannot load '.*model.tflite'"):
        find_undelegated(tmp_path / "model.tflite")


class Table:
    """A reader of FlatBuffer tables by slot, independent of our code."""

    def __init__(self, content: bytes, position: int) -> None:
        self._table = flatbuffers.table.Table(content, position)

    @classmethod
    def root(cls, content: bytes) -> "Table":
        return cls(content, int(np.frombuffer(content, "<u4", 1)[0]))

    def _at(self, slot: int) -> int:
        offset = self._table.Offset(4 + 2 * slot)
        assert offset, f"slot {slot} is absent"
        return int(offset + self._table.Pos)

    def byte(self, slot: int) -> int:
        return int(self._table.Bytes[self._at(slot)])

    def number(self, slot: int) -> int:
        return int(np.frombuffer(self._table.Bytes, "<u4", 1, self._at(slot))[0])

    def text(self, slot: int) -> str:
        return str(self._table.String(self._at(slot)).decode())

    def table(self, slot: int) -> "Table":
        return Table(self._table.Bytes, self._table.Indirect(self._at(slot)))

    def only(self, slot: int) -> "Table":
        """The one table of a vector."""
        offset = self._table.Offset(4 + 2 * slot)
        assert self._table.VectorLen(offset) == 1
        return Table(self._table.Bytes, self._table.Indirect(self._table.Vector(offset)))

    def floats(self, slot: int) -> list[float]:
        offset = self._table.Offset(4 + 2 * slot)
        return np.frombuffer(
            self._table.Bytes, "<f4", self._table.VectorLen(offset), self._table.Vector(offset)
        ).tolist()


def metadata_of(model: bytes) -> bytes:
    unpacked = schema.ModelT.InitFromPackedBuf(model)
    (entry,) = [entry for entry in unpacked.metadata if entry.name == b"TFLITE_METADATA"]
    return bytes(unpacked.buffers[entry.buffer].data.tobytes())


def test_metadata_describe_input_and_output(converted: dict[str, bytes]) -> None:
    content = metadata_of(add_metadata(converted["int8"], CLASSES, name="animals", description="three of them"))
    assert content[4:8] == b"M001"
    # Slots as in metadata_schema.fbs.
    model = Table.root(content)
    assert (model.text(0), model.text(1), model.text(7)) == ("animals", "three of them", "1.0.0")
    image, found = model.only(3).only(2), model.only(3).only(3)
    assert image.text(0) == "image"
    assert image.table(3).byte(0) == 2  # ContentProperties.ImageProperties
    properties = image.table(3).table(1)
    assert properties.byte(0) == 1  # RGB
    assert (properties.table(1).number(0), properties.table(1).number(1)) == (16, 16)
    assert image.only(4).byte(0) == 1  # ProcessUnitOptions.NormalizationOptions
    assert (image.only(4).table(1).floats(0), image.only(4).table(1).floats(1)) == ([0.0], [1.0])
    assert (image.table(5).floats(0), image.table(5).floats(1)) == ([255.0], [0.0])
    assert found.text(0) == "logits"
    assert found.only(6).text(0) == "labels.txt"
    assert found.only(6).byte(2) == 2  # TENSOR_AXIS_LABELS


@pytest.mark.parametrize("recipe", RECIPES)
def test_metadata_change_no_logit(converted: dict[str, bytes], recipe: str, tmp_path: Path) -> None:
    images = random_images(8, 16, seed=3)
    content = add_metadata(converted[recipe], CLASSES)
    artifact = write_artifact(tmp_path / "model.tflite", content, TINY_SIDECAR)
    np.testing.assert_array_equal(logits(str(artifact.path), images), logits(converted[recipe], images))
    interpreter = Interpreter(model_path=str(artifact.path))
    assert interpreter.get_signature_list() == {"serving_default": {"inputs": ["image"], "outputs": ["logits"]}}


def test_metadata_are_the_same_each_time_and_written_once(converted: dict[str, bytes]) -> None:
    first = add_metadata(converted["float32"], CLASSES, name="first")
    assert add_metadata(converted["float32"], CLASSES, name="first") == first
    assert len(first) < len(converted["float32"]) + 1200
    again = add_metadata(add_metadata(converted["float32"], CLASSES, name="other"), CLASSES, name="first")
    assert Table.root(metadata_of(again)).text(0) == "first"


@pytest.mark.parametrize("recipe", RECIPES)
def test_constants_are_aligned_for_a_memory_map(converted: dict[str, bytes], recipe: str, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(add_metadata(converted[recipe], CLASSES))
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        model = schema.Model.GetRootAs(mapped)
        tables = [model.Buffers(index)._tab for index in range(model.BuffersLength())]
        offsets = [table.Vector(table.Offset(4)) for table in tables if table.Offset(4)]
    assert len(offsets) > 8
    assert {offset % 16 for offset in offsets} == {0}


def test_metadata_of_another_model_is_an_error(converted: dict[str, bytes]) -> None:
    with pytest.raises(ConversionError, match="the model has 3 classes; received 2 class names"):
        add_metadata(converted["float32"], ("cat", "dog"))


def test_layers_stay_in_float32_by_their_keras_names(tiny_keras_model: Any, calibrated: Any) -> None:
    from tledge.export.formats.tflite import FORMAT

    (depthwise,) = [layer.name for layer in tiny_keras_model.layers if "depthwise" in layer.name]
    quantizer = FORMAT.quantizer(calibrated)
    kind = schema.TensorType
    everything = tensor_types(quantizer.quantize(frozenset()))
    assert everything["DEPTHWISE_CONV_2D"] == [kind.INT8, kind.INT8, kind.INT32, kind.INT8]
    found = tensor_types(quantizer.quantize(frozenset({depthwise, "logits"})))
    assert found["DEPTHWISE_CONV_2D"] == [kind.FLOAT32] * 4
    assert found["FULLY_CONNECTED"] == [kind.FLOAT32] * 4
    assert found["CONV_2D"] == [kind.INT8, kind.INT8, kind.INT32, kind.INT8]
    with pytest.raises(ConversionError, match="layer 'none' is not found"):
        quantizer.quantize(frozenset({"none"}))


def test_each_pixel_value_has_an_integer_of_its_own(converted: dict[str, bytes]) -> None:
    model = schema.ModelT.InitFromPackedBuf(converted["int8"]).subgraphs[0]
    first = next(operator for operator in model.operators if len(operator.inputs) == 3)  # the first convolution
    interpreter = Interpreter(
        model_content=converted["int8"],
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    image = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    taken = interpreter.get_tensor(first.inputs[0])
    assert taken.dtype == np.int8
    np.testing.assert_array_equal(taken.astype(int), image.astype(int) - 128)


def test_a_small_head_and_the_pooling_before_it_stay_float32(tiny_keras_model: Any) -> None:
    import keras

    from tledge.export.float_head import float_head, float_tail
    from tledge.export.formats.tflite import FORMAT
    from tledge.export.weight_calibration import CalibratedModel

    assert float_head(tiny_keras_model) == frozenset(), "its 195 weights are many beside 1,500"
    features = keras.layers.Conv2D(256, 3, activation="relu", name="wide")(tiny_keras_model.layers[-3].output)
    pooled = keras.layers.GlobalAveragePooling2D(name="pooled")(features)
    dropped = keras.layers.Dropout(0.2)(pooled)
    model = keras.Model(tiny_keras_model.input, keras.layers.Dense(2, name="logits")(dropped))
    assert float_head(model) == {"logits"}
    assert float_tail(model) == {"logits", "pooled"}
    images = random_images(30, 16, seed=9)
    quantizer = FORMAT.quantizer(CalibratedModel(model, images))
    found, kind = tensor_types(quantizer.quantize(frozenset())), schema.TensorType
    assert found["FULLY_CONNECTED"][:2] == [kind.FLOAT32] * 2
    assert found["MEAN"] == [kind.FLOAT32, kind.INT32, kind.FLOAT32]
    assert found["CONV_2D"] == [kind.INT8, kind.INT8, kind.INT32, kind.INT8]
    assert not np.array_equal(
        logits(quantizer.quantize(frozenset({"wide"})), images), logits(quantizer.quantize(frozenset()), images)
    )


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_batch_runs_through_feature_maps_of_one_pixel(recipe: str) -> None:
    import keras

    from tledge.export.weight_calibration import CalibratedModel

    keras.utils.set_random_seed(6)
    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Conv2D(8, 3, strides=16, padding="same", activation="relu")(image)
    y = keras.layers.Conv2D(8, 1, use_bias=False)(keras.layers.ReLU(6.0)(keras.layers.Conv2D(24, 1)(x)))
    x = keras.layers.Conv2D(12, 1, activation="relu")(keras.layers.Add()([x, y]))
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, keras.layers.Dense(3, name="logits")(x))
    converted = convert(model, recipe, CalibratedModel(model, random_images(12, 16)))
    images = random_images(8, 16, seed=1)
    np.testing.assert_allclose(logits(converted, images, batch=4), logits(converted, images), rtol=1e-5, atol=1e-5)
