"""What a model is for, by made tensors in the shapes of public models, with their neighbours that are classifiers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crafted_tflite import OPERATORS, STRING, operator, tensor, write
from foreign_models import write_onnx

from tledge.core.errors import ArtifactError
from tledge.edge_runtime.bare import BareModel
from tledge.edge_runtime.inspection import inspect
from tledge.edge_runtime.model_tasks import check_scores, check_task, check_tensors
from tledge.edge_runtime.tensor import TensorSpec

pytestmark = pytest.mark.unit
N = None


def spec(*shape: int | None, kind: Any = np.float32, name: str = "x") -> TensorSpec:
    return TensorSpec(name, shape, np.dtype(kind))


PHOTO, CHW = spec(1, 224, 224, 3), spec(N, 3, 224, 224)
SCORES = spec(N, 1000, name="y")

TASKS = [
    # text
    (spec(1, 128, kind=np.int32), spec(1, 2), "a text model .input 1x128 of token numbers."),
    (spec(N, N, kind=np.int64), spec(N, 2), "a text model"),
    (spec(N, kind=np.object_), spec(N, 2), "a text model .*of strings"),
    # audio
    (spec(15600), spec(1, 521), "an audio model .input 15600 is 15,600 samples."),
    (spec(1, 44032), spec(1, 4), "an audio model"),
    (spec(1, 16000), spec(1, 8), "an audio model .* 16,000 samples"),
    (spec(N, 13), spec(N, 3), "a model of tables .input .x13 is 13 numbers."),
    (spec(N, 49), spec(N, 3), "a model of tables"),
    (spec(N), spec(1, 521), "an audio model .* any number of samples"),
    (
        spec(1, 49, 10, 1),
        spec(1, 12),
        "an audio model .input 1x49x10x1 is a spectrogram; for grey photos of that shape",
    ),
    (spec(1, 1, 49, 10), spec(1, 12), "an audio model"),
    (spec(1, 43, 232, 1), spec(1, 5), "an audio model .* spectrogram"),
    (spec(N, 49, 40, 1), spec(N, 4), "an audio model .input .x49x40x1 is a spectrogram; for grey photos of that shape"),
    (spec(N, 59, 48, 1), spec(N, 6), "an audio model"),
    (spec(N, 60, 49, 1), spec(N, 6), "an audio model"),
    (spec(N, 98, 1, 104), spec(N, 3), "an audio model .input .x98x1x104 is a spectrogram."),
    (spec(N, 17, 1, 17), spec(N, 3), "an audio model"),
    (spec(N, 128, 3, 1), spec(N, 4), "a model of sensors .input .x128x3x1 is a time series; for grey"),
    (spec(N, 128, 8, 1), spec(N, 4), "an audio model"),
    (spec(N, 128, 7, 1), spec(N, 4), "a model of sensors"),
    (spec(N, 1), spec(N, 1), "a model of tables .input .x1 is 1 number."),
    (spec(1, 80, 3000, name="input_features"), spec(1, 12), "an audio model"),
    (spec(1, 96, 64, 1, name="log_mel"), spec(1, 521), "an audio model .input 1x96x64x1 is a spectrogram."),
    # maps
    (
        spec(1, 257, 257, 3),
        spec(1, 257, 257, 21),
        "a segmentation model .output 1x257x257x21 is a map of 257x257 pixels.",
    ),
    (CHW, spec(N, 21, 224, 224), "a segmentation model .output .x21x224x224 is a map of 224x224 pixels."),
    (spec(1, 128, 128, 3), spec(1, 128, 128, 2), "a segmentation model"),
    (spec(1, 256, 256, 3), spec(1, 256, 256, 1), "a segmentation model"),
    (spec(1, 512, 1024, 3), spec(1, 64, 128, 19), "a segmentation model .* map of 64x128 pixels"),
    (spec(1, 513, 513, 3), spec(1, 513, 513, kind=np.int64), "a segmentation model .* a value for each pixel"),
    (spec(N, 3, 256, 256), spec(N, 256, 256), "a depth or segmentation model"),
    (spec(1, 384, 384, 3), spec(1, 384, 384, 3), "an image-to-image model .* image of 384x384 pixels"),
    (spec(1, 50, 50, 3), spec(1, 200, 200, 3), "a super-resolution model .* image of 200x200 pixels"),
    (spec(1, 3, 256, 192), spec(1, 17, 64, 48), "a pose model .* heat map for each of 17 points"),
    (spec(1, 192, 192, 3, kind=np.int32), spec(1, 1, 17, 3), "a pose or landmark model .* 17 points"),
    (PHOTO, spec(1, 7, 7, 1280), "a feature extractor .* feature map of 7x7 pixels"),
    (CHW, spec(N, 2048, 7, 7), "a feature extractor .* feature map of 7x7 pixels"),
    (CHW, spec(N, 197, 768), "a feature extractor .* 197 tokens of 768 values"),
    # detectors and sequences
    (spec(1, 3, 640, 640), spec(1, 84, 8400), "an object detector .output 1x84x8400 is 8,400 candidates of 84 values."),
    (spec(1, 3, 640, 640), spec(1, 25200, 85), "an object detector .* 25,200 candidates of 85"),
    (spec(1, 3, 640, 640), spec(1, 300, 6), "an object detector .* 300 candidates of 6"),
    (spec(1, 3, 320, 320), spec(1, 22, 2100), "an object detector .* 2,100 candidates of 22"),
    (spec(1, 3, 640, 640), spec(1, 84, 6400), "an object detector .* 6,400 candidates of 84"),
    (spec(1, 3, 100, 200), spec(1, 6, 444), "an object detector .* 444 candidates of 6"),  # 13*25 + 7*13 + 4*7
    (spec(1, 3, 48, 320), spec(1, 40, 6625), "a model of sequences, as text recognition is"),
    (spec(1, 32, 100, 3), spec(1, 26, 37), "a model of sequences, as text recognition is"),
    (spec(1, 3, 64, 224), spec(28, 1, 8210), "a model of sequences, as text recognition is .output 28x1x8210."),
]

CLASSIFIERS = [
    (PHOTO, SCORES),
    (CHW, spec(1, 1000, 1, 1)),
    (PHOTO, spec(1, 1, 1, 1001)),
    (PHOTO, spec(1, 1000, 1)),
    (spec(N, N, N, N), spec(N, N)),
    (CHW, spec(N, N, N, N)),
    (spec(1, 96, 96, 1), spec(1, 2)),
    (spec(1, 96, 64, 1), spec(1, 2)),
    (spec(1, 1, 28, 28), spec(1, 10)),
    (spec(1, 27, 27, 1), spec(1, 10)),
    (spec(1, 50, 40, 1), spec(1, 10)),
    (spec(1, 49, 40, 3), spec(1, 10)),
    (spec(N, 28, 28), spec(N, 10)),
    (spec(N, 784), spec(N, 10)),
    (spec(N, 64), spec(N, 10)),
    (spec(N, 3072), spec(N, 10)),
    (spec(3, 4, 5), spec(3, 4, 5)),
    (spec(8, 3, 64, 64), spec(8, 1, 10)),
    (spec(N, 3, 64, 64), spec(N, 1, 10)),
    (spec(N, 3, N, N), spec(N, 22, N)),
    (spec(N, 3, N, N), spec(N, 1, N, N)),
    (spec(N, 16384), spec(N, 10)),
    (spec(1, 64, 48, 3), spec(1, 4)),
    (PHOTO, spec(1, 1)),
    (PHOTO, spec()),
]


@pytest.mark.parametrize(("image", "output", "task"), TASKS)
def test_other_tasks_are_named(image: TensorSpec, output: TensorSpec, task: str) -> None:
    with pytest.raises(
        ArtifactError, match=f"^'m' is {task}.*, not an image classifier; tledge takes models with one im"
    ):
        check_task(Path("m"), image, output)


@pytest.mark.parametrize(("image", "output"), CLASSIFIERS)
def test_classifiers_pass(image: TensorSpec, output: TensorSpec) -> None:
    check_task(Path("m"), image, output)
    check_tensors([image], [output], Path("m"))


@pytest.mark.parametrize(
    ("sides", "audio"),
    [((32, 63), False), ((32, 64), True), ((16, 16), False), ((16, 17), True), ((17, 18), False), ((1000, 2000), True)],
)
def test_a_grey_photo_is_square_or_less_than_twice_as_long_as_high(sides: tuple[int, int], audio: bool) -> None:
    for low, high in (sides, sides[::-1]):
        for shape in ((1, low, high, 1), (1, 1, low, high), (N, low, high)):
            check_task(Path("m"), spec(*shape), SCORES, grey=True)
            if not audio:
                check_task(Path("m"), spec(*shape), SCORES)
                continue
            with pytest.raises(
                ArtifactError, match="is a spectrogram; for grey photos of that shape, pass `colour='gr"
            ):
                check_task(Path("m"), spec(*shape), SCORES)


@pytest.mark.parametrize(("samples", "audio"), [(4000, True), (4096, False), (4097, True), (4107, False)])
def test_a_waveform_is_long_and_no_square(samples: int, audio: bool) -> None:
    for shape in ((samples,), (N, samples)):
        if not audio:
            check_task(Path("m"), spec(*shape), SCORES)
            continue
        with pytest.raises(ArtifactError, match="an audio model"):
            check_task(Path("m"), spec(*shape), SCORES)


DETECTIONS = [spec(1, 10, 4, name="TFLite_Detection_PostProcess"), spec(1, 10, name="TFLite_Detection_PostProcess:1")]


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ([PHOTO], DETECTIONS * 2, "an object detector .* expected one output, found 4: TFLite_Det"),
        ([PHOTO], [spec(N, 4, name="boxes"), spec(N, name="labels")], "an object detector"),
        ([PHOTO], [spec(1, 3, 80, 80, 85), spec(1, 3, 40, 40, 85)], "a model of maps"),
        ([spec(1, 257, 257, 3)], [spec(1, 9, 9, 17), spec(1, 9, 9, 34)], "a model of maps"),
        (
            [spec(1, 128, kind=np.int64, name="ids"), spec(1, 128, kind=np.int64)],
            [spec(1, 2)],
            "a text model .* found 2",
        ),
        ([PHOTO, spec(1, 77, kind=np.int64)], [spec(1, 2)], "a text model"),
        ([spec(N, N), spec(2, N, 128, name="state"), spec(kind=np.int64)], [SCORES], "a model of sound or other seq"),
        ([PHOTO], [spec(1, 63), spec(1, 1), spec(1, 1)], "a pose or landmark model .outputs 1x63, 1x1, 1x1 are coord"),
        ([PHOTO], [spec(1, 1, 1, 1404), spec(1, 1, 1, 1)], "a pose or landmark model"),
        ([PHOTO], [spec(1, 9, 7), spec(1, 1)], "not an image classifier: expected one output, found 2"),
        ([PHOTO, spec(1, 2)], [SCORES], "not an image classifier: expected one input, found 2"),
        ([PHOTO], [SCORES, SCORES], "not an image classifier: expected one output, found 2"),
        ([], [SCORES], "not an image classifier: expected one input, found 0: none"),
    ],
)
def test_several_tensors_are_an_error(inputs: list[TensorSpec], outputs: list[TensorSpec], message: str) -> None:
    with pytest.raises(ArtifactError, match=f"^'m' is {message}"):
        check_tensors(inputs, outputs, Path("m"))


def test_embeddings_are_vectors_of_length_one() -> None:
    vectors = np.random.default_rng(0).normal(size=(8, 128)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with pytest.raises(
        ArtifactError, match=r"'m' computes embeddings \(all outputs are vectors of 128 values with len"
    ):
        check_scores(Path("m"), vectors, spec(1, 128))
    check_scores(Path("m"), vectors * np.float32(1.002), spec(1, 128))
    with pytest.raises(ArtifactError, match="embeddings"):
        check_scores(Path("m"), vectors * np.float32(1.0005), spec(1, 128))
    check_scores(Path("m"), np.eye(128, dtype=np.float32)[:8], spec(1, 128))  # always certain
    check_scores(Path("m"), vectors[:1], spec(1, 128))
    few = vectors[:, :15] / np.linalg.norm(vectors[:, :15], axis=1, keepdims=True)
    check_scores(Path("m"), few, spec(1, 15))


def test_the_tasks_of_real_files_are_named(tmp_path: Path) -> None:
    image, same = tensor((1, 16, 16, 3)), tensor((1, 16, 16, 3))
    filtered = write(tmp_path / "filter.tflite", [image, same], [operator(OPERATORS.RELU, [0], [1])], outputs=[1])
    with pytest.raises(
        ArtifactError, match=r"filter.tflite' is an image-to-image model \(output 1x16x16x3 is an image"
    ):
        inspect(filtered)
    BareModel(filtered).close()  # its latency can be measured
    unit = write(
        tmp_path / "face.tflite",
        [tensor((1, 4, 4, 3)), tensor((1, 1, 1, 48)), tensor((4,), 2), tensor((1, 1, 1, 48))],
        [operator(OPERATORS.RESHAPE, [0, 2], [1]), operator(OPERATORS.L2_NORMALIZATION, [1], [3])],
        outputs=[3],
        constants={2: np.array([1, 1, 1, 48], np.int32)},
    )
    with pytest.raises(ArtifactError, match=r"face.tflite' computes embeddings \(all outputs are vectors of 48 values"):
        inspect(unit)
    text = write(
        tmp_path / "text.tflite",
        [tensor((1,), STRING), tensor((1,), STRING)],
        [operator(OPERATORS.CUSTOM, [0], [1], custom="T")],
        outputs=[1],
    )
    with pytest.raises(ArtifactError, match="is a text model"):
        inspect(text)
    with pytest.raises(ArtifactError, match="is not an image classifier: expected one input, found 2"):
        inspect(write_onnx(tmp_path / "two.onnx", inputs=2))


def test_open_maps_are_found_by_running_them(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    sides = ["N", 3, "H", "W"]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, sides)
    mask = helper.make_tensor_value_info("mask", TensorProto.FLOAT, sides)
    graph = helper.make_graph([helper.make_node("Sigmoid", ["image"], ["mask"])], "g", [image], [mask])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    with pytest.raises(
        ArtifactError, match=r"is an image-to-image model \(output 1x3x32x48 is an image of 32x48 pixels"
    ):
        inspect(tmp_path / "m.onnx", (32, 48))


def test_an_open_length_may_hide_a_sequence(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 16, "W"])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, "C"])  # it is [W, 1, 48]
    nodes = [
        helper.make_node("Transpose", ["image"], ["columns"], perm=[3, 0, 1, 2]),
        helper.make_node("Flatten", ["columns"], ["flat"], axis=2),
        helper.make_node("Unsqueeze", ["flat", "axis"], ["row"]),
        helper.make_node("Reshape", ["row", "shape"], ["scores"]),
    ]
    constants = [
        helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
        helper.make_tensor("shape", TensorProto.INT64, [3], [-1, 1, 48]),
    ]
    graph = helper.make_graph(nodes, "g", [image], [scores], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    with pytest.raises(ArtifactError, match=r"is a model of sequences, .* \(output 224x1x48\)"):
        inspect(tmp_path / "m.onnx")
