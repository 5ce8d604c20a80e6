"""Models with a wrong description: the benchmark says so, and which description would be right."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from tledge.bench import BenchRecord, bench
from tledge.core.artifact import write_sidecar_beside
from tledge.core.preprocessing import Preprocessing
from tledge.core.sidecar import Sidecar

CLASSES = ("blue", "red")
HERE = "onnxruntime:cpu:1"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 photos of each class: the blue or the red channel is brighter, around half of the range."""
    folder = tmp_path_factory.mktemp("trials") / "photos"
    rng = np.random.default_rng(0)
    for label, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for number in range(30):
            pixels = rng.integers(90, 160, (8, 8, 3))
            pixels[..., 2 * (1 - label)] += 40
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder


def write_model(path: Path, *, scale: float, preprocessing: Preprocessing, names: tuple[str, ...] = CLASSES) -> Path:
    """Writes a model that compares blue with red, where pixel values are 0 to ``scale``.

    Of other ranges, the green channel outweighs them, which is the same in all photos.
    """
    weights = np.array([[-100, 0], [400, 0], [100, 0]]) / scale
    bias = np.array([-400 * 0.49, 0])
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights", "bias"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "main",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 2])],
        [numpy_helper.from_array(np.asarray(v, np.float32), k) for k, v in (("weights", weights), ("bias", bias))],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    write_sidecar_beside(
        path,
        Sidecar(
            class_names=names,
            input_size=(8, 8),
            resize="stretch",
            recipe="float32",
            source_run="",
            preprocessing=preprocessing,
        ),
    )
    return path


def measure(model: Path, photos: Path) -> BenchRecord:
    return bench(
        files=[model], data=photos, output=model.parent / "out", targets=[HERE], seconds=0.02, rounds=1, batch_sizes=[1]
    )


@pytest.mark.parametrize(
    ("scale", "given", "expected"),
    [
        (255, (0.0, 1.0), "it predicts 'red' for 60 of 60 photos; with --input-range 0..255, top-1"),
        (1, (0.0, 255.0), "it predicts 'blue' for 60 of 60 photos; with --input-range 0..1, top-1"),
    ],
)
def test_another_input_range_is_suggested(
    tmp_path: Path, photos: Path, scale: float, given: tuple[float, float], expected: str
) -> None:
    preprocessing = Preprocessing(layout="nchw", input_range=given)
    model = write_model(tmp_path / "model.onnx", scale=scale, preprocessing=preprocessing)
    before = (tmp_path / "model.onnx.json").read_bytes()
    record = measure(model, photos)
    assert record.settings.doubts == (
        f"model.onnx: {expected} would be 1.000 instead of 0.500 (30 photos); 'tledge adopt' describes the model"
        " again.",
    )
    assert record.settings.doubts[0] in record.conclusions
    assert "--input-range" in record.folder.markdown.read_text()
    assert "--input-range" in record.folder.html.read_text()
    (top1,) = (item.value for item in record.measurements if item.metric == "top1")
    assert top1 == 0.5, "a suggestion is not applied"
    assert (tmp_path / "model.onnx.json").read_bytes() == before


def test_channels_and_labels_that_explain_it_equally_well_are_both_named(tmp_path: Path, photos: Path) -> None:
    preprocessing = Preprocessing(layout="nchw", colour="bgr")
    record = measure(write_model(tmp_path / "model.onnx", scale=255, preprocessing=preprocessing), photos)
    (doubt,) = record.settings.doubts
    assert "its top-1 of 0.000 is not significantly better than always predicting 'blue' (0.500)" in doubt
    assert "with --colour rgb, or --labels in the order red, blue, top-1 would be 1.000 instead of 0.000" in doubt


def test_range_and_labels_may_both_be_wrong(tmp_path: Path, photos: Path) -> None:
    preprocessing = Preprocessing(layout="nchw", input_range=(0.0, 1.0))
    model = write_model(tmp_path / "model.onnx", scale=255, preprocessing=preprocessing, names=("red", "blue"))
    (doubt,) = measure(model, photos).settings.doubts
    assert "with --input-range 0..255 and --colour bgr, or " in doubt
    assert "--input-range 0..255 and --labels in the order blue, red, top-1 would be 1.000 instead of 0.500" in doubt


def test_a_right_description_raises_no_doubt(tmp_path: Path, photos: Path) -> None:
    preprocessing = Preprocessing(layout="nchw", input_range=(0.0, 255.0))
    record = measure(write_model(tmp_path / "model.onnx", scale=255, preprocessing=preprocessing), photos)
    assert record.settings.doubts == ()
