import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from support import TINY_SIDECAR

from tledge.bench import bench
from tledge.bench.earlier.repeated_benchmark import read_repetition
from tledge.core.artifact import write_artifact
from tledge.core.errors import MeasurementError


def test_a_benchmark_of_files_is_done_again_as_it_was(tiny_artifacts: Path, tmp_path: Path) -> None:
    model = tmp_path / "mine.tflite"
    shutil.copy(tiny_artifacts / "float32.tflite", model)
    first = bench(
        files=[model], output=tmp_path / "out", targets="litert:cpu:1", seconds=0.02, rounds=2, batch_sizes=[1, 2]
    )
    repetition = read_repetition(first.results)
    assert read_repetition(tmp_path / "out") == repetition, "the folder of the results"
    again = bench(**repetition.arguments)
    assert repetition.differences(again.settings) == []
    assert again.results == first.results
    fields = ("files", "targets", "rigor", "seconds", "rounds", "batch_sizes", "artifacts")
    assert [getattr(again.settings, name) for name in fields] == [getattr(first.settings, name) for name in fields]
    (earlier,) = (tmp_path / "out" / "earlier").iterdir()
    assert read_repetition(earlier / "results.jsonl").arguments == repetition.arguments
    write_artifact(model, model.read_bytes(), replace(TINY_SIDECAR, source_run="another"))
    assert "has changed" in " ".join(read_repetition(first.results).differences(bench(**repetition.arguments).settings))
    model.unlink()
    with pytest.raises(MeasurementError, match="no longer exists"):
        read_repetition(first.results)


def test_results_outside_of_their_run_cannot_be_repeated(tiny_artifacts: Path, tmp_path: Path) -> None:
    record = bench(
        files=[tiny_artifacts / "float32.tflite"],
        output=tmp_path / "out",
        targets="litert:cpu:1",
        seconds=0.01,
        rounds=1,
    )
    edited = (record.folder.path / "run.json").read_text().replace('"run": ""', '"run": "some-run"')
    (record.folder.path / "run.json").write_text(edited)
    with pytest.raises(MeasurementError, match="is not within its run"):
        read_repetition(record.results)
    (record.folder.path / "run.json").unlink()
    with pytest.raises(MeasurementError, match="run.json"):
        read_repetition(record.results)
