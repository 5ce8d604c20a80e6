"""``tledge compare`` on benchmarks that ran: a run twice, and one of its files with photos."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from faint_sample import train_network, write_run
from support import tledge

from tledge.core.run_directory import RunDirectory

pytestmark = pytest.mark.slow

MEASURED = ("--target", "litert:cpu:1", "--rounds", "2", "--seconds", "0.2", "--batch-sizes", "1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with two benchmarks, and a benchmark of one of its files without photos."""
    from tledge.export import export

    folder = tmp_path_factory.mktemp("compare")
    directory = write_run(RunDirectory(folder / "runs" / "faint"), train_network())
    export(quantize=["float32", "int8"], formats=["tflite"], run="faint", runs=folder / "runs", calibration_images=40)
    for _ in range(2):
        assert tledge("bench", *MEASURED, cwd=folder).code == 0
    artifact = directory.artifacts / "int8.tflite"
    assert tledge("bench", artifact, "--output", "files", *MEASURED, cwd=folder).code == 0
    return folder


def test_the_same_files_measured_twice_are_not_different(folder: Path) -> None:
    done = tledge("compare", "--earlier", "--csv", "--json", cwd=folder)
    assert done.code == 0, done.err
    found = json.loads(done.out)
    (photos,) = found["boards"]
    (machine,) = photos["machines"]
    rows = [row for row in machine["rows"] if row["target"] == "litert:cpu:1"]
    assert len(rows) == 4
    assert len({row["began"] for row in rows}) == 2
    for row in rows:
        assert row["run"] == "faint"
        assert (row["recipe"], row["format"]) == (row["artifact"].removesuffix(".tflite"), "tflite")
        assert row["input_size"] == "48x48"
    by_file = {
        name: {row["top1"] for row in rows if row["artifact"] == name} for name in ("float32.tflite", "int8.tflite")
    }
    assert {len(values) for values in by_file.values()} == {1}, "the same photos, the same predictions"
    for name in ("leaderboard.html", "leaderboard.md", "leaderboard.csv"):
        assert (folder / "compare" / name).stat().st_size > 500


def test_results_without_photos_have_a_table_of_their_own(folder: Path) -> None:
    done = tledge("compare", "faint", "files", "--output", "both", cwd=folder)
    assert done.code == 0, done.err
    assert done.out.index(" photos of 2 classes") < done.out.index("Without photos")
    assert done.out.rstrip().endswith("Page: both/leaderboard.html")
