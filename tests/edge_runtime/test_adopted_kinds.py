"""Every kind of input and output of a model made elsewhere: the scores are those of the bare runtime."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_graphs import Tensor, write_dense_onnx, write_dense_tflite
from PIL import Image
from support import random_images

from tledge.core.artifact import path_beside
from tledge.core.errors import ArtifactError, OptionError
from tledge.edge_runtime import Classifier
from tledge.edge_runtime.adoption import adopt_model, make_sidecar
from tledge.edge_runtime.bare import BareModel
from tledge.edge_runtime.description import Description
from tledge.edge_runtime.inspection import inspect
from tledge.edge_runtime.output_operator import output_operator
from tledge.edge_runtime.tensor import softmax

pytestmark = pytest.mark.unit

FOUR = ("a", "b", "c", "d")
SIDE = 8
PHOTOS = random_images(5, SIDE)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NORMALIZED = {"input_range": (0.0, 1.0), "mean": MEAN, "std": STD}
REAL = PHOTOS.astype(np.float64)


def adopt(path: Path, **known: Any) -> Classifier:
    adopt_model(inspect(path), Description(**{"labels": FOUR, **known}))
    return Classifier(path)


def bare(path: Path, prepared: Any) -> Any:
    """The outputs of LiteRT's interpreter or ONNX Runtime, image by image, without our code: (N, outputs)."""
    if path.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return np.stack([session.run(None, {"input": image[np.newaxis]})[0].reshape(-1) for image in prepared])
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    rows = []
    for image in prepared:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[np.newaxis])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).reshape(-1))
    return np.stack(rows)


def planes(values: Any) -> Any:
    return values.transpose(0, 3, 1, 2)


@pytest.mark.parametrize(
    ("image", "known", "expected"),
    [
        (Tensor((1, SIDE, SIDE, 3), "uint8", 1 / 128, 128), {}, PHOTOS),
        (Tensor((1, SIDE, SIDE, 3), "uint8", 0.0078125, 127), {}, PHOTOS),
        (Tensor((1, SIDE, SIDE, 3), "uint8", 1 / 127.5, 127), {}, PHOTOS),
        (Tensor((1, SIDE, SIDE, 3), "uint8", 1 / 127.5, 128), {"input_range": (-1.0, 1.0)}, PHOTOS),
        (Tensor((1, SIDE, SIDE, 3), "uint8", 1 / 255, 0), {}, PHOTOS),
        (Tensor((1, SIDE, SIDE, 3), "uint8", 1.0, 0), {}, PHOTOS),
        (Tensor((1, SIDE, SIDE, 3), "int8", 1 / 255, -128), {}, PHOTOS.astype(np.int16) - 128),
        (Tensor((1, SIDE, SIDE, 3), "int8", 1 / 128, 0), {}, PHOTOS.astype(np.int16) - 128),
        (Tensor((1, SIDE, SIDE, 3), "int8", 1 / 127.5, -1), {}, PHOTOS.astype(np.int16) - 128),
        (
            Tensor((1, SIDE, SIDE, 3), "int8", 1 / 127.5, -1),
            {"colour": "bgr"},
            PHOTOS[..., ::-1].astype(np.int16) - 128,
        ),
        (Tensor((1, SIDE, SIDE, 3), "int16", 1 / 32768, 0), {}, PHOTOS.astype(np.int32) * 257 - 32768),
        (
            Tensor((1, SIDE, SIDE, 3), "int8", 0.0187, -14),
            NORMALIZED,
            np.clip(np.rint((REAL / 255 - MEAN) / STD / 0.0187) - 14, -128, 127),
        ),
        (
            Tensor((1, SIDE, SIDE, 3), "uint8", 1 / 128, 128),
            {"input_range": (-1.0, 1.0)},  # of the user: the formula holds, not the bytes
            np.clip(np.rint((REAL / 127.5 - 1) * 128) + 128, 0, 255),
        ),
    ],
)
def test_quantized_inputs_and_probabilities_are_the_runtimes_own(
    tmp_path: Path, image: Tensor, known: dict[str, Any], expected: Any
) -> None:
    zero, scale = {"uint8": (0, 1 / 256), "int8": (-128, 1 / 256), "int16": (0, 1 / 32768)}[image.dtype]
    output = Tensor((1, 4), image.dtype, scale, zero)
    logits_scale = 0.002 if image.dtype == "int16" else 0.06
    path = write_dense_tflite(tmp_path / "m.tflite", image, output, "SOFTMAX", logits=logits_scale)
    with adopt(path, **known) as classifier:
        scores, logits = classifier.probabilities(PHOTOS), classifier.logits(PHOTOS)
        predictions = classifier.classify(PHOTOS[0])
    wanted = (bare(path, expected.astype(image.dtype)).astype(np.float64) - zero) * scale
    np.testing.assert_array_equal(scores, wanted.astype(np.float32))
    assert len(np.unique(scores)) > 4 or image.scale == 1  # they depend on the photos, unless 0..255 is too much
    np.testing.assert_allclose(logits[wanted > 0], np.log(wanted[wanted > 0]), atol=1e-6)
    assert [item.score for item in predictions] == sorted(scores[0].tolist(), reverse=True)


def test_rounded_probabilities_are_not_scaled_to_a_sum_of_one(tmp_path: Path) -> None:
    labels = tuple(f"c{index}" for index in range(600))
    image, output = Tensor((1, SIDE, SIDE, 3), "uint8", 1 / 128, 128), Tensor((1, 600), "uint8", 1 / 256, 0)
    path = write_dense_tflite(tmp_path / "m.tflite", image, output, "SOFTMAX")
    with adopt(path, labels=labels) as classifier:
        scores = classifier.probabilities(PHOTOS)
        best = classifier.classify(PHOTOS[0], top=1)[0]
    np.testing.assert_array_equal(scores, bare(path, PHOTOS) / np.float32(256))
    assert scores.sum(axis=1).min() < 0.9
    assert best.score == scores[0].max()


@pytest.mark.parametrize("shape", [(1, 4), (4,), (1, 1, 1, 4), (1, 4, 1, 1)])
@pytest.mark.parametrize("last", ["", "SOFTMAX"])
def test_outputs_of_any_shape_are_one_row_per_photo(tmp_path: Path, shape: tuple[int, ...], last: str) -> None:
    path = write_dense_tflite(tmp_path / "m.tflite", Tensor((1, SIDE, SIDE, 3)), Tensor(shape), last)
    wanted = bare(path, (REAL / 127.5 - 1).astype(np.float32))
    with adopt(path, input_range=(-1.0, 1.0)) as classifier:
        scores = classifier.probabilities(PHOTOS)
    np.testing.assert_allclose(scores, wanted if last else softmax(wanted), atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "dtype", "last", "known", "prepared"),
    [
        (("N", 3, SIDE, SIDE), "float32", (), NORMALIZED, planes((REAL / 255 - MEAN) / STD)),
        ((1, 3, SIDE, SIDE), "float32", ("Softmax",), {"input_range": (0.0, 1.0)}, planes(REAL / 255)),
        (("N", 3, SIDE, SIDE), "float32", ("LogSoftmax",), {"input_range": (0.0, 1.0)}, planes(REAL / 255)),
        (("N", 3, SIDE, SIDE), "float32", ("T", "Softmax"), {"input_range": (-1.0, 1.0)}, planes(REAL / 127.5 - 1)),
        (("N", SIDE, SIDE, 3), "float32", ("T",), {"input_range": (-1.0, 1.0)}, REAL / 127.5 - 1),
        (("N", SIDE, SIDE, 3), "float32", ("Tanh",), {"input_range": (-1.0, 1.0)}, REAL / 127.5 - 1),
        (
            ("N", SIDE, SIDE, 3),
            "float32",
            (),
            {"input_range": (0.0, 255.0), "mean": (104.0, 117.0, 123.0), "std": (80.0,), "colour": "bgr"},
            (REAL[..., ::-1] - (104.0, 117.0, 123.0)) / 80,
        ),
        (("N", SIDE, SIDE, 3), "float16", ("Softmax",), {"input_range": (0.0, 1.0)}, REAL / 255),
        (("N", SIDE, SIDE, 3), "uint8", ("Softmax",), {}, PHOTOS),
        (("N", 3, SIDE, SIDE), "int8", ("Softmax",), {}, planes(REAL - 128)),
        ((1, 3 * SIDE * SIDE), "float32", (), {"input_range": (0.0, 1.0), "layout": "nhwc"}, REAL.reshape(5, -1) / 255),
        (
            (1, 3 * SIDE * SIDE),
            "float32",
            (),
            {"input_range": (0.0, 1.0), "layout": "nchw"},
            planes(REAL).reshape(5, -1) / 255,
        ),
    ],
)
def test_scores_of_onnx_files_are_the_runtimes_own(
    tmp_path: Path, shape: Any, dtype: str, last: tuple[str, ...], known: dict[str, Any], prepared: Any
) -> None:
    path = write_dense_onnx(tmp_path / "m.onnx", shape, 4, last, dtype=dtype)
    wanted = bare(path, np.ascontiguousarray(prepared.astype(dtype)))
    with adopt(path, **known) as classifier:
        scores = classifier.probabilities(PHOTOS)
        np.testing.assert_allclose(softmax(classifier.logits(PHOTOS)), scores, atol=1e-5)
    np.testing.assert_allclose(scores, wanted if last[-1:] == ("Softmax",) else softmax(wanted), atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 28, 28), ("N", 28, 28), (1, 784), ("N", 784), (1, 28, 28, 1), (1, 1, 28, 28)])
def test_grey_images_need_no_axis_of_channels(tmp_path: Path, shape: Any) -> None:
    path, photos = write_dense_onnx(tmp_path / "m.onnx", shape, 4, ("Softmax",)), random_images(3, 28)
    greys = np.stack([np.asarray(Image.fromarray(photo).convert("L")) for photo in photos])
    with adopt(path, input_range=(0.0, 1.0), colour="grey") as classifier:
        assert classifier.input_size == (28, 28)
        scores = classifier.probabilities(photos)
    wanted = bare(path, (greys / 255).astype(np.float32).reshape(3, *shape[1:]))
    np.testing.assert_allclose(scores, wanted, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 784)])
def test_that_images_are_grey_must_be_given_where_no_axis_shows_it(tmp_path: Path, shape: Any) -> None:
    path = write_dense_onnx(tmp_path / "m.onnx", shape, 4)
    with pytest.raises(OptionError, match=r"has no axis of channels: .* pass `colour='grey'` if it .* 28x28"):
        adopt(path, input_range=(0.0, 1.0))


@pytest.mark.parametrize("last", ["Sigmoid", "HardSigmoid", "1/(1+e^-x)"])
@pytest.mark.parametrize("output", ["probabilities", "logits", None])
def test_several_sigmoids_are_a_multi_label_model(tmp_path: Path, last: str, output: str | None) -> None:
    path = write_dense_onnx(tmp_path / "m.onnx", ("N", 3, SIDE, SIDE), 4, (last,))
    with pytest.raises(ArtifactError, match="is a multi-label model: .* one label per photo") as caught:
        adopt(path, input_range=(0.0, 1.0), output=output)
    assert "output=" not in str(caught.value)


@pytest.mark.parametrize("dtype", ["float32", "uint8", "int8"])
def test_several_sigmoids_in_tflite_are_a_multi_label_model(tmp_path: Path, dtype: str) -> None:
    image = {"float32": Tensor((1, SIDE, SIDE, 3))}.get(dtype, Tensor((1, SIDE, SIDE, 3), dtype, 1 / 255, 0))
    output = Tensor((1, 4), dtype, *((0.0, 0) if dtype == "float32" else (1 / 256, 0 if dtype == "uint8" else -128)))
    path = write_dense_tflite(tmp_path / "m.tflite", image, output, "LOGISTIC")
    with pytest.raises(ArtifactError, match="is a multi-label model"):
        inspect(path)


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ((), "linear"),
        (("Sigmoid",), "sigmoid"),
        (("Sigmoid", "Identity", "Flatten"), "sigmoid"),
        (("1/(1+e^-x)",), "sigmoid"),
        (("Softmax", "Identity"), "softmax"),
        (("LogSoftmax",), "linear"),
        (("T",), ""),  # a quotient of logits
        (("Sigmoid", "Tanh"), ""),
        (("Sigmoid", "Relu"), "sigmoid"),
        (("Sigmoid", "Clip", "Flatten"), "sigmoid"),
        (("Sigmoid", "Concat"), "sigmoid"),
        (("Sigmoid", "Max", "Min"), "sigmoid"),
        (("Sigmoid", "T"), "scaled sigmoid"),
        (("Sigmoid", "Mul", "Relu"), "scaled sigmoid"),
        (("Sigmoid", "Sub"), "scaled sigmoid"),
        (("1/(1+e^-x)", "1-x", "Identity"), "scaled sigmoid"),
        (("Sigmoid", "T", "Concat"), "scaled sigmoid"),
        (("Softmax", "T"), ""),
        (("Clip",), ""),
        (("Mul",), ""),
        (("Concat",), "linear"),
        (("Add",), "linear"),
        (("Exp", "Reciprocal"), ""),  # no sum
        (("Exp", "Add", "Reciprocal"), "sigmoid"),
    ],
)
def test_the_last_operator_is_read_from_the_graph(tmp_path: Path, last: tuple[str, ...], expected: str) -> None:
    assert output_operator(write_dense_onnx(tmp_path / "m.onnx", ("N", 3, SIDE, SIDE), 4, last)) == expected


@pytest.mark.parametrize(
    "last", [("Sigmoid", "Relu"), ("Sigmoid", "Clip"), ("Sigmoid", "T"), ("Sigmoid", "Add"), ("Softsign", "Abs")]
)
@pytest.mark.parametrize("output", ["logits", "probabilities", None])
def test_independent_fractions_are_a_multi_label_model(tmp_path: Path, last: Any, output: str | None) -> None:
    """Found by the graph, or without a sigmoid there (the last case) by the values."""
    path = write_dense_onnx(tmp_path / "m.onnx", ("N", 3, SIDE, SIDE), 3, last)
    with pytest.raises(ArtifactError, match="is a multi-label model: .* one label per photo"):
        adopt(path, labels=FOUR[:3], input_range=(0.0, 1.0), output=output)


@pytest.mark.parametrize("last", [("Relu",), ("Clip",), ("T",), ("Concat",), ("Exp",)])
def test_logits_behind_other_operators_are_no_multi_label_model(tmp_path: Path, last: Any) -> None:
    count = 4 * (1 + ("Concat" in last))
    path = write_dense_onnx(tmp_path / "m.onnx", ("N", 3, SIDE, SIDE), 4, last, output=("N", count))
    with adopt(path, labels=tuple("abcdefgh"[:count]), input_range=(0.0, 1.0), output="logits") as classifier:
        assert classifier.probabilities(PHOTOS).shape == (len(PHOTOS), count)


def test_fractions_of_a_model_of_open_size_are_refused_as_logits(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("ReduceMax", ["input"], ["values"], axes=[2, 3], keepdims=0),
        helper.make_node("Abs", ["values"], ["output"]),
    ]
    image = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, "H", "W"])
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["N", 3])
    model = helper.make_model(
        helper.make_graph(nodes, "g", [image], [output]), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    onnx.save(model, tmp_path / "m.onnx")
    known = {"labels": FOUR[:3], "input_size": (SIDE, SIDE), "output": "logits"}
    with pytest.raises(ArtifactError, match="values from .* are not logits; this is a multi-label model"):
        adopt(tmp_path / "m.onnx", input_range=(0.0, 1.0), **known)
    adopt(tmp_path / "m.onnx", input_range=(0.0, 255.0), **known)


@pytest.mark.parametrize(
    ("classes", "advice"), [(3, r"such as logits or probabilities\)"), (1, r"such as sigmoid or logit\)")]
)
def test_the_advice_names_outputs_that_the_model_can_have(tmp_path: Path, classes: int, advice: str) -> None:
    path = write_dense_onnx(tmp_path / "m.onnx", ("N", 3, SIDE, SIDE), classes, ("Exp",))
    with pytest.raises(OptionError, match=advice):
        make_sidecar(replace(inspect(path), declared=Description()), Description(labels=FOUR[:3]))


def test_one_sigmoid_and_one_logit_are_told_apart_by_the_graph(tmp_path: Path) -> None:
    one = Tensor((1, 1))
    for last, kind in (("LOGISTIC", "sigmoid"), ("", "logit")):
        path = write_dense_tflite(tmp_path / f"{kind}.tflite", Tensor((1, SIDE, SIDE, 3)), one, last)
        assert inspect(path).declared.output == kind
        with adopt(path, labels=("no", "yes"), input_range=(0.0, 1.0)) as classifier:
            scores = classifier.probabilities(PHOTOS)
        wanted = bare(path, (REAL / 255).astype(np.float32))
        wanted = wanted if last else 1 / (1 + np.exp(-wanted))
        np.testing.assert_allclose(scores, np.concatenate([1 - wanted, wanted], axis=1), atol=1e-6)


def test_an_output_whose_axes_are_not_in_the_file_is_found_by_running_it(tmp_path: Path) -> None:
    import onnx

    path = write_dense_onnx(tmp_path / "m.onnx", ("N", 3, SIDE, SIDE), 4, ("Softmax",))
    model = onnx.load(path)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([-1, 4], np.int64), "shape"))
    model.graph.node[-1].output[0] = "hidden"
    model.graph.node.append(onnx.helper.make_node("NonZero", ["shape"], ["places"]))
    model.graph.node.append(onnx.helper.make_node("Squeeze", ["places"], ["open"]))
    model.graph.node.append(onnx.helper.make_node("Gather", ["shape", "open"], ["lengths"]))
    model.graph.node.append(onnx.helper.make_node("Reshape", ["hidden", "lengths"], ["output"]))
    onnx.save(model, path)
    assert BareModel(path).output.shape == ()
    assert inspect(path).output.shape == (None, 4)
    with pytest.raises(OptionError, match="3 labels for .* which has 4 outputs"):
        adopt(path, labels=("a", "b", "c"), input_range=(0.0, 1.0))
    with adopt(path, input_range=(0.0, 1.0)) as classifier:
        scores = classifier.probabilities(PHOTOS)
    np.testing.assert_allclose(scores, bare(path, planes(REAL / 255).astype(np.float32)), atol=1e-5)


@pytest.mark.parametrize("output", [(1, 4), ("N", 4)])
def test_a_batch_of_one_that_is_built_in_is_no_error(tmp_path: Path, output: Any) -> None:
    path = write_dense_onnx(tmp_path / "m.onnx", ("N", 3, SIDE, SIDE), 4, output=output, batch_inside=True)
    wanted = bare(path, planes(REAL / 255).astype(np.float32))
    with adopt(path, input_range=(0.0, 1.0)) as classifier:
        np.testing.assert_allclose(classifier.logits(PHOTOS), wanted, atol=1e-5)
        np.testing.assert_allclose(classifier.logits(PHOTOS[:2]), wanted[:2], atol=1e-5)
    loaded = BareModel(path, "onnxruntime:cpu:1", batch=8)  # its speed in batches must not be that of single images
    with pytest.raises(ArtifactError):
        loaded.run(loaded.random_input(0, 8))


def test_a_batch_of_one_in_tflite_is_no_error_either(tmp_path: Path) -> None:
    path = write_dense_tflite(tmp_path / "m.tflite", Tensor((1, SIDE, SIDE, 3)), Tensor((1, 4)))
    with adopt(path, input_range=(0.0, 1.0)) as classifier:
        wanted = bare(path, (REAL / 255).astype(np.float32))
        np.testing.assert_allclose(classifier.logits(PHOTOS), wanted, atol=1e-5)
    with pytest.raises(ArtifactError):
        BareModel(path, "litert:cpu:1", batch=8)


@pytest.mark.parametrize(
    ("dtype", "scale", "zero_point", "expected"),
    [
        ("uint8", 1 / 128, 128, (-1.0, 127 / 128)),
        ("uint8", 1 / 128, 127, (-127 / 128, 1.0)),
        ("int8", 1 / 128, 0, (-1.0, 127 / 128)),
        ("int16", 1 / 32768, 0, (-1.0, 32767 / 32768)),
        ("int8", 1 / 127.5, -1, (-1.0, 1.0)),  # half a step from each end: the same bytes
        ("int8", 0.99999 / 255, -128, (0.0, 1.0)),
        ("uint8", 1.0, 0, (0.0, 255.0)),
        ("int8", 0.0187, -14, None),  # about -2.1..2.6: of a mean and deviation that the file does not name
    ],
)
def test_the_range_of_a_quantized_input_is_its_span(
    tmp_path: Path, dtype: str, scale: float, zero_point: int, expected: tuple[float, float] | None
) -> None:
    image = Tensor((1, SIDE, SIDE, 3), dtype, scale, zero_point)
    output = Tensor((1, 4), dtype, 0.05, 128 if dtype == "uint8" else 0)
    path = write_dense_tflite(tmp_path / "m.tflite", image, output)
    assert inspect(path).declared.input_range == (expected and pytest.approx(expected, abs=1e-9))


def quantized_onnx(path: Path, dtype: str, given: tuple[float, int], returned: tuple[float, int], last: str) -> Path:
    """DequantizeLinear, a dense layer, ``last`` and QuantizeLinear, as ONNX Runtime's quantization writes them."""
    import onnx
    from onnx import helper, numpy_helper

    path = write_dense_onnx(path, ("N", 3, SIDE, SIDE), 4, (last,) if last else (), dtype=dtype)
    model = onnx.load(path)
    kept = [item for item in model.graph.initializer if item.name not in ("scale", "zero")]
    del model.graph.initializer[:]
    values = {"scale": np.float32(given[0]), "zero": np.array(given[1], dtype)}
    values |= {"out_scale": np.float32(returned[0]), "out_zero": np.array(returned[1], dtype)}
    model.graph.initializer.extend([*kept, *(numpy_helper.from_array(value, name) for name, value in values.items())])
    model.graph.node[-1].output[0] = "real"
    nodes = [("QuantizeLinear", ["real", "out_scale", "out_zero"], "integers"), ("Identity", ["integers"], "output")]
    model.graph.node.extend(helper.make_node(name, inputs, [output]) for name, inputs, output in nodes)
    model.graph.output[0].type.tensor_type.elem_type = getattr(onnx.TensorProto, dtype.upper())
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    ("dtype", "given", "returned", "last", "known", "prepared"),
    [
        ("uint8", (1 / 255, 0), (1 / 256, 0), "Softmax", {}, PHOTOS),
        ("uint8", (1 / 128, 128), (0.05, 117), "", {}, PHOTOS),
        ("int8", (1 / 128, 0), (0.05, -3), "", {}, PHOTOS.astype(np.int16) - 128),
        (
            "uint8",
            (0.0187, 114),
            (0.05, 128),
            "",
            NORMALIZED,
            np.clip(np.rint((REAL / 255 - MEAN) / STD / 0.0187) + 114, 0, 255),
        ),
    ],
)
def test_onnx_integers_have_the_scales_of_their_graph(
    tmp_path: Path, dtype: str, given: Any, returned: Any, last: str, known: dict[str, Any], prepared: Any
) -> None:
    path = quantized_onnx(tmp_path / "m.onnx", dtype, given, returned, last)
    found = inspect(path)
    assert (found.image.scale, found.image.zero_point) == (pytest.approx(given[0]), given[1])
    assert (found.output.scale, found.output.zero_point) == (pytest.approx(returned[0]), returned[1])
    wanted = (bare(path, planes(prepared).astype(dtype)).astype(np.float64) - returned[1]) * returned[0]
    with adopt(path, **known) as classifier:
        assert classifier.sidecar.preprocessing.output == ("probabilities" if last else "logits")
        scores = classifier.probabilities(PHOTOS)
    np.testing.assert_allclose(scores, wanted if last else softmax(wanted), atol=1e-5)
    assert len(np.unique(scores)) > 4


def test_a_sidecar_whose_range_a_quantized_input_cannot_hold_is_an_error(tmp_path: Path) -> None:
    path = write_dense_onnx(tmp_path / "m.onnx", ("N", 3, SIDE, SIDE), 4, dtype="uint8")
    adopt(path, input_range=(-1.0, 1.0)).close()
    sidecar = path_beside(path)
    sidecar.write_text(sidecar.read_text().replace("-1.0", "0.0").replace("1.0", "255.0"))
    with pytest.raises(ArtifactError, match=r"does not match its model: .* map to 0..255, but .* adopt it again"):
        Classifier(path)


def test_integers_without_a_scale_in_the_graph_are_no_scores(tmp_path: Path) -> None:
    import onnx

    path = quantized_onnx(tmp_path / "m.onnx", "uint8", (1 / 255, 0), (1 / 256, 0), "Softmax")
    model = onnx.load(path)
    model.graph.node.insert(0, onnx.helper.make_node("Identity", ["out_scale"], ["computed"]))
    model.graph.node[-2].input[1] = "computed"
    onnx.save(model, path)
    with pytest.raises(ArtifactError, match="its output is integers without a scale"):
        inspect(path)
