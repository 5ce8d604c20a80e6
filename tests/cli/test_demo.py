"""The whole road, on the built-in digits, as the README's first command takes it."""

import json
import re
import shutil
from pathlib import Path

import pytest
from support import Demo, check_one_line_error, tledge

from tledge.bench import Row, summarize
from tledge.core.measurement import read_results
from tledge.core.run_directory import RunDirectory

pytestmark = pytest.mark.slow

BOTH = ("float32", "float16", "dynamic", "int8")
ARTIFACTS = {f"{recipe}.{kind}" for recipe in BOTH for kind in ("tflite", "onnx")} | {"int16x8.tflite"}


@pytest.fixture
def rows(demo: Demo) -> dict[str, Row]:
    run: RunDirectory = demo.run
    return {row.artifact: row for row in summarize(read_results(run.bench / "results.jsonl"))}


def test_the_demo_ends_well_and_shows_every_artifact(demo: Demo) -> None:
    finished = demo.finished
    assert finished.code == 0, finished
    table = finished.out[finished.out.index("Benchmark:") :]
    for name in {*ARTIFACTS, "model.keras"}:
        assert re.search(rf"^{re.escape(name)} +(litert|onnxruntime|keras):cpu", table, re.MULTILINE), name
    for heading in ("target", "size", "test top-1", "agrees", "p50", "p90"):
        assert heading in table
    assert "cuda" not in finished.err.lower(), "a library's log reached the terminal"
    assert max(map(len, finished.out.splitlines())) <= 120


def test_digits_are_read_well(rows: dict[str, Row]) -> None:
    assert set(rows) == {*ARTIFACTS, "model.keras"}
    for recipe in ("float32", "float16"):
        for kind in ("tflite", "onnx"):
            assert rows[f"{recipe}.{kind}"].value("top1") >= 0.95
    assert rows["int8.tflite"].value("top1") >= rows["float32.tflite"].value("top1") - 0.02


def test_artifacts_agree_with_the_keras_model(rows: dict[str, Row]) -> None:
    assert rows["model.keras"].value("agreement") == 1.0
    for kind in ("tflite", "onnx"):
        assert rows[f"float32.{kind}"].value("agreement") == 1.0
        assert (rows[f"float16.{kind}"].value("agreement") or 0) >= 0.99
        assert (rows[f"dynamic.{kind}"].value("agreement") or 0) >= 0.97
        assert (rows[f"int8.{kind}"].value("agreement") or 0) >= 0.95


def test_quantized_files_are_small(rows: dict[str, Row]) -> None:
    for kind in ("tflite", "onnx"):
        assert rows[f"float16.{kind}"].value("file_size") < 0.52 * rows[f"float32.{kind}"].value("file_size")
        assert rows[f"dynamic.{kind}"].value("file_size") < 0.32 * rows[f"float32.{kind}"].value("file_size")
        assert rows[f"int8.{kind}"].value("file_size") < 0.32 * rows[f"float32.{kind}"].value("file_size")


def test_the_run_directory_is_as_documented(demo: Demo) -> None:
    run: RunDirectory = demo.run
    names = {path.name for path in run.path.iterdir()}
    assert names >= {"run.json", "splits.json", "model.keras", "history.csv", "artifacts", "bench", "logs", "data"}
    assert not list(run.path.rglob(".partial-*"))
    manifest = run.manifest()
    assert manifest.weights.source == "none"
    assert manifest.data.source == "digits"
    assert sum(manifest.data.splits.values()) == 1797
    model = next(row for row in summarize(read_results(run.bench / "results.jsonl")) if row.target == "keras:cpu")
    assert model.value("top1") == pytest.approx(manifest.metrics["test_top1"], abs=0.004)


def test_predict_needs_the_exported_file_alone(demo: Demo, tmp_path: Path) -> None:
    run: RunDirectory = demo.run
    shutil.copy(run.artifacts / "int8.tflite", tmp_path / "mine.tflite")
    splits = run.splits()
    paths = splits.paths(splits.test)[:40]
    done = tledge("predict", "mine.tflite", *paths, "--json", cwd=tmp_path)
    assert done.code == 0, done
    labels = [json.loads(line)["predictions"][0]["label"] for line in done.out.splitlines()]
    right = [label == splits.class_names[sample.label] for label, sample in zip(labels, splits.test, strict=False)]
    assert sum(right) >= 0.9 * len(paths)


def test_exporting_and_benchmarking_again_say_what_to_do(demo: Demo, tmp_path: Path) -> None:
    run: RunDirectory = demo.run
    folder = tmp_path / "again"
    shutil.copytree(run.path.resolve(), folder / "runs" / "copied")
    copied = RunDirectory(folder / "runs" / "copied")
    copied.mark_latest()
    check_one_line_error(
        tledge("export", "--quantize", "int8", cwd=folder), "int8.tflite' exists; pass --overwrite to replace it"
    )
    shutil.rmtree(copied.artifacts)
    check_one_line_error(tledge("bench", cwd=folder), "no artifacts in", "tledge export --quantize int8")
    done = tledge("export", "--quantize", "int8", "--format", "tflite", "--json", cwd=folder)
    assert [(item["recipe"], item["kept"]) for item in json.loads(done.out)["artifacts"]] == [
        ("float32", False),
        ("int8", False),
    ]
    done = tledge("bench", "--target", "litert:cpu:1", "--seconds", "0.1", "--rounds", "1", "--json", cwd=folder)
    assert [row["artifact"] for row in json.loads(done.out)["rows"]] == ["float32.tflite", "int8.tflite"]
    check_one_line_error(tledge("bench", "--run", "gone", cwd=folder), "no run 'gone'")
