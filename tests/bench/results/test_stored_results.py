"""Reading results: as a benchmark wrote them, and whatever is left of them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from comparison_sample import Planted, write_bench

from tledge.bench.results.cell_result import CellResult
from tledge.bench.results.stored_results import read_stored
from tledge.core.errors import MeasurementError

pytestmark = pytest.mark.unit

INT8, FLOAT = Planted(), Planted(artifact="float32.tflite", build="f", wrong=3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_bench(tmp_path / "bench", 1, [FLOAT, INT8]).parent


def samples(folder: Path) -> Path:
    return folder / "samples" / "int8.tflite@litert-cpu-2.npz"


def test_both_ways_of_reading_find_the_same(folder: Path) -> None:
    whole, rest = read_stored(folder, title="demo", complete=True), read_stored(folder / "results.jsonl")
    assert (whole.title, rest.title) == ("demo", "")
    assert whole.settings == whole.known_settings == rest.settings
    assert whole.measurements == rest.measurements
    assert whole.labels == rest.labels == tuple([0, 1] * 150)
    assert whole.targets == ("litert:cpu:2",)
    assert list(whole.raw_samples) == [("float32.tflite", "litert:cpu:2"), ("int8.tflite", "litert:cpu:2")]
    assert {name: int((found != whole.labels).sum()) for name, found in whole.predictions.items()} == {
        "float32.tflite": 3,
        "int8.tflite": 6,
    }
    cell = rest.of("int8.tflite", "litert:cpu:2")
    assert cell is not None
    assert cell.environment == next(iter(whole.environments.values()))
    assert "latency_ratio" not in {item.metric for item in cell.measurements}, "comparisons belong to no cell"
    row = whole.row("int8.tflite", "litert:cpu:2")
    assert row is not None
    assert row.baseline == "float32.tflite"
    assert whole.row("int8.tflite", "litert:cpu:1") is rest.of("none", "litert:cpu:2") is None


def test_removed_samples_are_no_error(folder: Path) -> None:
    samples(folder).unlink()
    for complete in (True, False):
        found = read_stored(folder, complete=complete).of("int8.tflite", "litert:cpu:2")
        assert found is not None
        assert found.raw is found.samples is None


@pytest.mark.parametrize("name", ["run.json", "photos.json", "samples/int8.tflite@litert-cpu-2.npz"])
@pytest.mark.parametrize("spoil", [lambda path: path.write_bytes(b"PK{"), lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("complete", [True, False])
def test_a_damaged_file_is_named(folder: Path, name: str, spoil: Callable[[Path], object], complete: bool) -> None:
    spoil(folder / name)
    with pytest.raises(MeasurementError, match=Path(name).name.replace(".", r"\.")):
        read_stored(folder, complete=complete)


@pytest.mark.parametrize("name", ["run.json", "photos.json", "samples/int8.tflite@litert-cpu-2.npz"])
def test_a_comparison_goes_without_what_is_absent(folder: Path, name: str) -> None:
    (folder / name).unlink()
    rest = read_stored(folder)
    lost = {"run.json": rest.settings, "photos.json": rest.labels or None}
    assert lost.get(name, rest.cells[1].raw) is None
    assert len(rest.rows) == 2


def test_only_timed_samples_of_the_same_file_are_compared(folder: Path, tmp_path: Path) -> None:
    other = write_bench(tmp_path / "other", 2, [Planted(build="b")]).parent
    shutil.copy(samples(other), samples(folder))
    cell = read_stored(folder).cells[1]
    assert cell.raw is not None
    assert cell.samples is None, "of another file"
    write_bench(tmp_path / "again", 1, [FLOAT, INT8])
    result = CellResult.load(samples(tmp_path / "again"))
    assert cell.sha256 == result.artifact_sha256
    CellResult.untimed(
        result.logits,
        provider=result.provider,
        artifact_sha256=result.artifact_sha256,
        environment=read_stored(tmp_path / "again").cells[0].environment,  # type: ignore[arg-type]
    ).save(samples(folder))
    cell = read_stored(folder).cells[1]
    assert cell.raw is not None
    assert cell.samples is None, "nothing was timed"


def test_samples_of_the_first_release_are_read(folder: Path) -> None:
    path = samples(folder)
    written = CellResult.load(path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    record = str(arrays.pop("record"))
    assert "reference_time" in record
    np.savez(path, record=record.replace("reference_time", "yardstick"), **arrays)
    assert CellResult.load(path).conditions == written.conditions
    np.savez(path, record=json.dumps(json.loads(record) | {"conditions": [1]}), **arrays)
    with pytest.raises(MeasurementError, match=r"expected object, received int; benchmark again"):
        CellResult.load(path)


def test_settings_of_another_benchmark_are_not_taken(folder: Path, tmp_path: Path) -> None:
    other = write_bench(tmp_path / "other", 2, [FLOAT, Planted(build="b")]).parent
    shutil.copy(other / "run.json", folder / "run.json")
    found = read_stored(folder)
    assert found.settings is None
    assert found.photos == ""
    with pytest.raises(MeasurementError, match=r"run\.json"):
        shutil.move(folder / "run.json", tmp_path)
        read_stored(folder).known_settings  # noqa: B018
