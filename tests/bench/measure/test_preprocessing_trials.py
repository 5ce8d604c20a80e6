"""Models with a wrong description: the benchmark says so, and which description would be right."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from support import tledge

from tledge.bench import BenchInterrupted, BenchRecord, bench
from tledge.bench.places.place import ThisMachine
from tledge.core.artifact import write_sidecar_beside
from tledge.core.preprocessing import Preprocessing
from tledge.core.progress import Progress, Step
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


def measure(model: Path, photos: Path, progress: Progress | None = None) -> BenchRecord:
    return bench(
        files=[model],
        data=photos,
        output=model.parent / "out",
        targets=[HERE],
        seconds=0.02,
        rounds=1,
        batch_sizes=[1],
        progress=progress,
    )


@pytest.mark.parametrize(
    ("scale", "given", "expected"),
    [
        (255, (0.0, 1.0), "it predicts 'red' for 60 of 60 photos; with `input_range='0..255'`, top-1"),
        (1, (0.0, 255.0), "it predicts 'blue' for 60 of 60 photos; with `input_range='0..1'`, top-1"),
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
        f"model.onnx: {expected} would be 1.000 instead of 0.500 (30 photos); `adopt(overwrite=True)` describes"
        " the model again.",
    )
    assert record.settings.doubts[0] in record.conclusions
    for report in (record.folder.markdown, record.folder.html):
        assert "input_range=" in report.read_text().replace("\\_", "_")
        assert "--input-range" not in report.read_text(), "only the command line knows flags"
    done = tledge("bench", model, "--data", photos, "--target", HERE, "--seconds", 0.02, "--rounds", 1, cwd=tmp_path)
    shown = " ".join(done.out.split())
    assert f"with --input-range {'0..255' if scale == 255 else '0..1'}, top-1 would be" in shown
    assert "tledge adopt --overwrite describes the model again" in shown
    (top1,) = (item.value for item in record.measurements if item.metric == "top1")
    assert top1 == 0.5, "a suggestion is not applied"
    assert (tmp_path / "model.onnx.json").read_bytes() == before


def test_channels_and_labels_that_explain_it_equally_well_are_both_named(tmp_path: Path, photos: Path) -> None:
    preprocessing = Preprocessing(layout="nchw", colour="bgr")
    record = measure(write_model(tmp_path / "model.onnx", scale=255, preprocessing=preprocessing), photos)
    (doubt,) = record.settings.doubts
    assert "its top-1 of 0.000 is not significantly better than always predicting 'blue' (0.500)" in doubt
    assert "with `colour='rgb'`, or `labels` in the order red, blue, top-1 would be 1.000 instead of 0.000" in doubt


def test_range_and_labels_may_both_be_wrong(tmp_path: Path, photos: Path) -> None:
    preprocessing = Preprocessing(layout="nchw", input_range=(0.0, 1.0))
    model = write_model(tmp_path / "model.onnx", scale=255, preprocessing=preprocessing, names=("red", "blue"))
    (doubt,) = measure(model, photos).settings.doubts
    assert "with `input_range='0..255'` and `colour='bgr'`, or " in doubt
    assert "`input_range='0..255'` and `labels` in the order blue, red, top-1 would be 1.000 instead of 0.500" in doubt


def test_a_right_description_raises_no_doubt(tmp_path: Path, photos: Path) -> None:
    preprocessing = Preprocessing(layout="nchw", input_range=(0.0, 255.0))
    record = measure(write_model(tmp_path / "model.onnx", scale=255, preprocessing=preprocessing), photos)
    assert record.settings.doubts == ()


class Interrupting(Progress):
    """Raises an error when other preprocessing is tried."""

    def __init__(self, error: BaseException) -> None:
        self.error, self.warnings = error, list[str]()

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    @contextmanager
    def step(self, label: str, total: int, unit: str) -> Iterator[Step]:
        if label == "Other preprocessing":
            raise self.error
        yield Step()


@pytest.mark.parametrize(
    ("error", "reason"),
    [(KeyboardInterrupt(), "interrupted"), (ValueError("no"), "no"), (MemoryError(), "MemoryError")],
)
def test_trials_that_fail_or_are_interrupted_cost_no_results(
    tmp_path: Path, photos: Path, error: BaseException, reason: str
) -> None:
    model = write_model(
        tmp_path / "model.onnx", scale=255, preprocessing=Preprocessing(layout="nchw", input_range=(0.0, 1.0))
    )
    progress = Interrupting(error)
    if reason == "interrupted":
        with pytest.raises(BenchInterrupted) as caught:
            measure(model, photos, progress)
        record = caught.value.record
    else:
        record = measure(model, photos, progress)
    assert record.settings.doubts == ()
    assert record.results.exists()
    assert progress.warnings == [f"why predictions may look wrong was not examined: {reason}"]


def test_after_ctrl_c_nothing_is_tried(tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = write_model(
        tmp_path / "model.onnx", scale=255, preprocessing=Preprocessing(layout="nchw", input_range=(0.0, 1.0))
    )
    measured = ThisMachine.measure

    def interrupted(*args: object, **options: object) -> object:
        return replace(measured(*args, **options), interrupted=True)

    monkeypatch.setattr(ThisMachine, "measure", interrupted)
    progress = Interrupting(AssertionError("tried"))
    with pytest.raises(BenchInterrupted) as caught:
        measure(model, photos, progress)
    assert caught.value.record.settings.doubts == ()
    assert caught.value.record.settings.interrupted
    assert progress.warnings == []
