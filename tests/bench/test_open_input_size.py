"""Model files that leave their input size open, and models that XNNPACK refuses, from the options to the results."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from crafted_tflite import write_refused_by_xnnpack
from external_model import write_external
from foreign_models import write_onnx
from support import TINY_SIDECAR

from tledge.bench import bench
from tledge.bench.earlier.repeated_benchmark import read_repetition
from tledge.bench.measure.round_worker import load_model
from tledge.bench.places.emulation.emulated_logits import _copy_unchanged
from tledge.bench.results.cell_result import Specification, Timing
from tledge.bench.results.flags import MEANINGS
from tledge.bench.results.workload import read_model
from tledge.core.artifact import read_artifact, write_artifact, write_sidecar_beside
from tledge.core.errors import MeasurementError, OptionError
from tledge.core.model_files import sha256_of_model
from tledge.core.progress import Progress
from tledge.edge_runtime import tried_artifact
from tledge.edge_runtime.delegation import SLOWER, WITHOUT_XNNPACK

QUICK = {"seconds": 0.05, "rounds": 1, "batch_sizes": (1,)}


class Warned(Progress):
    """Keeps warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def test_the_size_of_an_open_input_is_measured_recorded_and_repeated(tmp_path: Path) -> None:
    model = write_onnx(tmp_path / "open.onnx", size="size", batch="N")
    record = bench(files=[model], output=tmp_path / "out", input_size="40x56", targets="onnxruntime:cpu:1", **QUICK)
    assert record.settings.input_size == "40x56"
    assert read_repetition(record.results).arguments["input_size"] == "40x56"
    without = bench(files=[model], output=tmp_path / "out2", targets="onnxruntime:cpu:1", **QUICK)
    assert "input_size" not in read_repetition(without.results).arguments
    assert without.settings.input_size == ""


@pytest.mark.unit
@pytest.mark.parametrize(("size", "shape"), [((40, 56), (3, 40, 56)), ((), (3, 224, 224))])
def test_the_timed_queries_have_that_size(tmp_path: Path, size: tuple[int, ...], shape: tuple[int, ...]) -> None:
    timing = Timing(warm_up=0, minimum_queries=1, minimum_seconds=0.0)
    specification = Specification(
        artifact=str(write_onnx(tmp_path / "open.onnx", size="size", batch="N")),
        target="onnxruntime:cpu:1",
        bare=True,
        pixels="",
        images=(),
        timing=timing,
        input_size=size,
    )
    specification = Specification.from_json(specification.to_json(), "itself")  # as it goes to another process
    for batch in (1, 3):
        loaded = load_model(specification, batch)
        assert {query.shape for query in loaded.queries} == {(batch, *shape)}
        assert loaded.run(loaded.queries[0]).shape == (batch, 4)
        loaded.close()


def test_a_size_that_contradicts_the_file_is_the_reason_why_it_is_not_measured(tmp_path: Path) -> None:
    model = write_onnx(tmp_path / "fixed.onnx")
    with pytest.raises(MeasurementError, match="`input_size='40x56'` contradicts '.*fixed.onnx', whose input is"):
        bench(files=[model], output=tmp_path / "out", input_size="40x56", targets="onnxruntime:cpu:1", **QUICK)


@pytest.mark.unit
def test_a_sidecar_decides_the_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[tuple[Path, tuple[int, int] | None]] = []
    monkeypatch.setattr(tried_artifact, "try_model", lambda path, size: tried.append((path, size)))
    model = write_onnx(tmp_path / "open.onnx", size="size", batch="N")
    assert read_model(model, "m", (40, 56)).input_size == (40, 56)
    assert tried == [(model, (40, 56))]
    write_sidecar_beside(model, replace(TINY_SIDECAR, input_size=(24, 32)))
    assert read_model(model, "m", (24, 32)).artifact is not None
    with pytest.raises(
        OptionError, match=r"`input_size='40x56'` contradicts the sidecar of .*, which has 24x32; .*adopt"
    ):
        read_model(model, "m", (40, 56))
    fixed = write_onnx(tmp_path / "fixed.onnx")
    write_sidecar_beside(fixed, TINY_SIDECAR)
    own = tmp_path / "own.onnx"
    write_artifact(own, model.read_bytes(), TINY_SIDECAR)
    for path in (fixed, own):  # which cannot be adopted for another size
        with pytest.raises(OptionError, match="leave out `input_size`, since the model takes no other size"):
            read_model(path, "m", (40, 56))


@pytest.mark.unit
def test_a_run_takes_no_input_size(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="`input_size='40x56'` needs model files"):
        bench(runs=tmp_path, input_size="40x56")
    with pytest.raises(OptionError, match="`input_size` must be HEIGHTxWIDTH"):
        bench(files=[tmp_path / "m.onnx"], input_size="forty")


def test_slower_kernels_are_in_the_row_the_report_and_a_warning(tmp_path: Path) -> None:
    model = write_refused_by_xnnpack(tmp_path / "m.tflite")
    progress = Warned()
    record = bench(files=[model], output=tmp_path / "out", targets="litert:cpu:1", progress=progress, **QUICK)
    rows = [row for row in record.measurements if row.metric.startswith("latency")]
    assert rows
    assert all("without_xnnpack" in row.flags and row.params["provider"] == WITHOUT_XNNPACK for row in rows)
    assert f"m.tflite on litert:cpu:1: {SLOWER}" in progress.warnings
    assert MEANINGS["without_xnnpack"] in (tmp_path / "out/report.md").read_text()


def test_a_model_in_several_files_is_measured_as_a_whole(tmp_path: Path) -> None:
    model = write_external(tmp_path / "model.onnx", "model.onnx.data")
    record = bench(files=[model], output=tmp_path / "out", targets="onnxruntime:cpu:1", **QUICK)
    assert {row.artifact_sha256 for row in record.measurements} == {sha256_of_model(model)}
    assert sha256_of_model(record.folder.measured_file("model.onnx")) == sha256_of_model(model)


@pytest.mark.unit
def test_an_emulated_board_receives_every_file(tmp_path: Path) -> None:
    model = write_external(tmp_path / "model.onnx", "weights/a.bin")
    write_sidecar_beside(model, replace(TINY_SIDECAR, class_names=("a", "b"), input_size=(8, 8)))
    (tmp_path / "there").mkdir()
    _copy_unchanged(read_artifact(model), tmp_path / "there/model.onnx")
    assert read_artifact(tmp_path / "there/model.onnx").sha256 == read_artifact(model).sha256
    np.testing.assert_array_equal(
        np.fromfile(tmp_path / "there/weights/a.bin", np.uint8), np.fromfile(tmp_path / "weights/a.bin", np.uint8)
    )
