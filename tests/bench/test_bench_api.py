import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from support import Demo, Finished, check_one_line_error, tledge

from tledge.bench import bench, summarize
from tledge.bench.measure.round_launcher import measure_in_own_process
from tledge.bench.results.cell_result import CellResult, Round, Specification, Timing
from tledge.bench.results.round_conditions import Conditions
from tledge.bench.results.workload import workload_of_run
from tledge.core.artifact import read_artifact
from tledge.core.checksum import SIZE, checksum_of
from tledge.core.errors import ArtifactError, MeasurementError, OptionError, RunError
from tledge.core.measurement import read_results
from tledge.core.run_directory import RunDirectory
from tledge.core.worker import run_worker
from tledge.edge_runtime import Classifier

WRONG_ROOT = b"\xff\xff\xff\x7f"
"""Where a TFLite file says that its first table is: far outside of it."""


TFLITE = ("float32", "float16", "dynamic", "int16x8", "int8")
"""The recipes that the demo exports to TFLite."""

pytestmark = pytest.mark.slow  # they work on copies of the demo's run


@pytest.fixture
def run(demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    """A copy of the demo's run, which a test may change."""
    # Other tests run beside this one: nearly every round would be noisy, and measured twice.
    monkeypatch.setattr(Conditions, "quiet", True)
    source: RunDirectory = demo.run
    shutil.copytree(source.path.resolve(), tmp_path / "runs" / "copy")
    directory = RunDirectory(tmp_path / "runs" / "copy")
    directory.mark_latest()
    return directory


@pytest.fixture
def two_recipes(run: RunDirectory) -> RunDirectory:
    """That copy with the artifacts of two recipes only."""
    for path in run.artifacts.glob("*.*"):
        if path.name != "export.json" and path.name.partition(".")[0] not in ("float32", "int8"):
            path.unlink()
    return run


def specification(artifact: Path, images: list[Path], target: str = "litert:cpu:1") -> Specification:
    return Specification(
        artifact=str(artifact),
        target=target,
        bare=False,
        pixels="",
        images=tuple(map(str, images)),
        timing=Timing(warm_up=2, minimum_queries=12, minimum_seconds=0.01, batch_sizes=(1, 4), batch_seconds=0.01),
    )


def test_a_cell_measures_the_artifact_through_the_classifier(
    tiny_artifacts: Path, photos: Path, tmp_path: Path
) -> None:
    images = sorted((photos / "across").iterdir())[:21]
    result, _ = measure_in_own_process(specification(tiny_artifacts / "float32.tflite", images), "a cell")
    with Classifier(tiny_artifacts / "float32.tflite") as classifier:
        expected = classifier.logits(np.stack([classifier.load(path) for path in images]))
    np.testing.assert_array_equal(result.logits, expected)
    assert len(result.latencies) >= 12
    assert (result.latencies > 0).all()
    assert (result.throughputs > 0).all()
    assert result.provider == "XNNPACK"
    assert result.peak_memory > 1e6
    assert result.environment["packages"].keys() >= {"ai-edge-litert", "numpy"}
    result.save(tmp_path / "round.npz")
    again = Round.load(tmp_path / "round.npz")
    joined = CellResult.join([result, again], [50.0, 60.0], (1, 4))
    joined.save(tmp_path / "cell.npz")
    loaded = CellResult.load(tmp_path / "cell.npz")
    for first, second in zip(loaded.by_round, (result.latencies, result.latencies), strict=True):
        np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(loaded.logits, expected)
    assert loaded.throughputs.shape == (2, 2)
    assert loaded.conditions == (result.conditions, result.conditions)
    assert loaded.environment == json.loads(json.dumps(result.environment))


@pytest.mark.parametrize(
    ("name", "target"), [("float32.tflite", "litert:cpu:1"), ("float32.onnx", "onnxruntime:cpu:1")]
)
def test_the_process_of_a_cell_holds_nothing_but_its_runtime(
    tiny_artifacts: Path, photos: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, target: str
) -> None:
    caplog.set_level("INFO", logger="tledge")
    cell = specification(tiny_artifacts / name, sorted((photos / "across").iterdir())[:3], target)
    command = [sys.executable, "-X", "importtime", "-m", "tledge.bench.measure.round_worker"]
    run_worker(command, {"specification": cell.to_dict(), "result": str(tmp_path / "cell.npz")}, name="a cell")
    printed = "\n".join(caplog.messages)
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in printed.splitlines()}
    runtimes = {"ai_edge_litert", "onnxruntime", "tensorflow", "keras", "jax"}
    assert loaded & runtimes == {{"float32.tflite": "ai_edge_litert", "float32.onnx": "onnxruntime"}[name]}
    assert loaded.isdisjoint({"typer", "rich", "onnx", "tf2onnx", "sklearn"})


def test_rows_say_what_was_measured(run: RunDirectory) -> None:
    shutil.rmtree(run.bench)
    run.model_card.write_text("# Card\n")
    record = bench(runs=run.path.parent, targets=["litert:cpu:1", "keras:cpu"], seconds=0.05, rounds=2)
    assert read_results(run.bench / "results.jsonl") == list(record.measurements)
    artifacts = {item.artifact for item in record.measurements}
    assert artifacts == {"model.keras", *(f"{name}.tflite" for name in TFLITE)}
    labels = np.array([sample.label for sample in run.splits().test])
    for row in summarize(record.measurements):
        samples = run.bench / "samples" / f"{row.artifact}@{row.target.replace(':', '-')}.npz"
        with np.load(samples) as raw:
            assert row.value("top1") == np.mean(raw["logits"].argmax(axis=1) == labels)
            assert row.value("latency_p50") == np.sort(raw["latencies"])[(len(raw["latencies"]) + 1) // 2 - 1]
        assert row.value("latency_p50") <= row.value("latency_p90") <= row.value("latency_p99")
        assert row.value("latency_p90") <= row.value("latency_p90_bound")
        assert row.value("cold_start") > row.value("load_time") > 0
        assert row.value("peak_memory") > 1e6
        assert row.value("throughput") > 0
        assert row.interval("top1")[0] < row.value("top1") <= row.interval("top1")[1]
        baseline = {"keras:cpu": ""}.get(row.target, "float32.tflite")
        assert row.baseline == ("" if row.artifact == "float32.tflite" else baseline)
        if row.baseline:
            assert row.interval("latency_ratio")[0] < row.value("latency_ratio") < row.interval("latency_ratio")[1]
            assert 0 < row.value("mcnemar") <= 1
    by_name = {item.artifact: item for item in record.measurements if item.metric == "file_size"}
    int8 = read_artifact(run.artifacts / "int8.tflite")
    assert by_name["int8.tflite"].value == int8.size
    assert by_name["int8.tflite"].artifact_sha256 == int8.sha256
    for item in record.measurements:
        environment = json.loads((run.bench / "environments" / f"{item.environment}.json").read_text())
        assert environment["cpu"]
    report = record.folder.markdown.read_text()
    assert all(f"\n| {name}" in report for name in artifacts)
    card = run.model_card.read_text()
    assert card.startswith("# Card\n\n<!-- start: Benchmark -->\n## Benchmark\n")
    assert all(f"\n| {name}" in card for name in artifacts)


def spoil(path: Path) -> None:
    """Makes a TFLite file one that LiteRT cannot load, with a checksum that fits."""
    content = WRONG_ROOT + path.read_bytes()[len(WRONG_ROOT) : -SIZE]
    path.write_bytes(content + bytes(checksum_of(memoryview(content))))


def test_a_cell_that_fails_is_recorded_and_the_others_are_kept(run: RunDirectory) -> None:
    spoil(run.artifacts / "float16.tflite")
    (run.artifacts / "float16.tflite.json").unlink()
    run.model_card.write_bytes(b"\xff")
    record = bench(runs=run.path.parent, targets=["litert:cpu:1"], seconds=0.01, rounds=1, fail_on=["top1<0"])
    assert record.gate.checked
    assert run.model_card.read_bytes() == b"\xff"
    (skipped,) = record.skipped
    assert (skipped.artifact, skipped.target) == ("float16.tflite", "litert:cpu:1")
    assert skipped.reason.startswith(f"LiteRT cannot load '{run.artifacts / 'float16.tflite'}': ")
    assert {row.artifact for row in summarize(record.measurements)} == {
        "float32.tflite",
        "dynamic.tflite",
        "int16x8.tflite",
        "int8.tflite",
    }
    assert not (run.bench / "samples" / "float16.tflite@litert-cpu-1.npz").exists()


def test_a_cell_that_is_killed_is_recorded_and_the_exit_code_says_so(run: RunDirectory) -> None:
    killed = threading.Event()

    def kill_the_first_cell(bench_process: psutil.Process) -> None:
        while not killed.is_set() and bench_process.is_running():
            for child in bench_process.children():
                if "tledge.bench.measure.round_worker" in child.cmdline():
                    child.kill()
                    killed.set()
                    return
            time.sleep(0.02)

    command = [sys.executable, "-c", "from tledge.cli.main import main; main()", "bench", "--json"]
    process = subprocess.Popen(
        [*command, "--target", "litert:cpu:1", "--seconds", "0.3", "--rounds", "2"],
        cwd=run.path.parents[1],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    killer = threading.Thread(target=kill_the_first_cell, args=[psutil.Process(process.pid)])
    killer.start()
    out, err = process.communicate(timeout=300)
    killer.join()
    reported = json.loads(out)
    assert killed.is_set()
    assert process.returncode == 1, err
    (skipped,) = reported["skipped"]
    assert skipped["failed"]
    assert "was killed (SIGKILL), probably for lack of memory" in skipped["reason"]
    assert len(reported["rows"]) == 4


def test_photos_of_an_imported_run_are_not_called_test_photos(two_recipes: RunDirectory) -> None:
    assert workload_of_run(two_recipes).overlap.split == "test"
    content = json.loads(two_recipes.manifest_path.read_text())
    content["config"]["model"] = "elsewhere.keras"
    two_recipes.manifest_path.write_text(json.dumps(content))
    workload = workload_of_run(two_recipes)
    assert workload.overlap.split == "given"
    assert workload.overlap.unknown == tuple(model.name for model in workload.models)
    record = bench(run=two_recipes.path, targets=["litert:cpu:1"], seconds=0.02, rounds=1, batch_sizes=[1])
    assert any("may have been used in training" in sentence for sentence in record.conclusions)
    card = two_recipes.model_card.read_text().split("start: Bench")[1]
    assert "est top-1" not in record.folder.markdown.read_text() + card


def test_agreement_is_with_the_answers_of_an_earlier_benchmark(two_recipes: RunDirectory) -> None:
    both = bench(
        runs=two_recipes.path.parent, targets=["litert:cpu:1", "litert", "litert:cpu:1"], seconds=0.01, rounds=1
    )
    rows = summarize(both.measurements)
    assert len({(row.artifact, row.target) for row in rows}) == len(rows)
    assert {row.value("agreement") is not None for row in rows} == {True}
    (two_recipes.bench / "samples" / "model.keras@keras-cpu.npz").unlink()
    alone = bench(runs=two_recipes.path.parent, targets=["litert:cpu:1"], seconds=0.01, rounds=1)
    assert {row.value("agreement") for row in summarize(alone.measurements)} == {None}


def test_files_of_the_user_are_not_taken_for_libraries(two_recipes: RunDirectory) -> None:
    (two_recipes.path.parents[1] / "random.py").write_text("raise SystemExit('imported')")
    done = tledge(
        "bench", "--target", "litert:cpu:1", "--seconds", "0.01", "--rounds", "1", cwd=two_recipes.path.parents[1]
    )
    assert done.code == 0, done


def test_changed_photos_and_models_are_refused(run: RunDirectory, tiny_artifacts: Path) -> None:
    splits = run.splits()
    photo = splits.paths(splits.test)[0]
    content = photo.read_bytes()
    photo.write_bytes(splits.paths(splits.train)[0].read_bytes())
    with pytest.raises(RunError, match="has changed since this run was trained"):
        bench(runs=run.path.parent)
    photo.unlink()
    with pytest.raises(RunError, match="an image of this run is missing"):
        bench(runs=run.path.parent)
    photo.write_bytes(content)
    for suffix in ("", ".json"):
        shutil.copy(tiny_artifacts / f"float32.keras{suffix}", run.path / f"model.keras{suffix}")
    with pytest.raises(RunError, match="is not the model that this run trained"):
        bench(runs=run.path.parent)


def test_what_cannot_be_measured_is_an_error(run: RunDirectory) -> None:
    runs = run.path.parent
    with pytest.raises(OptionError, match="not a target: 'litert:cpu:2:3'"):
        bench(runs=runs, targets=["litert:cpu:2:3"])
    with pytest.raises(OptionError, match="`seconds` must be above 0"):
        bench(runs=runs, seconds=0)
    for path in run.artifacts.glob("*.onnx*"):
        path.unlink()
    with pytest.raises(OptionError, match=r"nothing to run on 'onnxruntime:cpu:\d+': there is no .onnx file"):
        bench(runs=runs, targets=["onnxruntime:cpu"])
    sidecar = json.loads((run.artifacts / "int8.tflite.json").read_text())
    (run.artifacts / "int8.tflite.json").write_text(json.dumps({**sidecar, "artifact_sha256": "0" * 64}))
    with pytest.raises(ArtifactError, match="does not match"):
        bench(runs=runs)


def test_an_artifact_of_another_run_is_refused(run: RunDirectory, tiny_artifacts: Path) -> None:
    shutil.copy(tiny_artifacts / "float32.tflite", run.artifacts / "stranger.tflite")
    with pytest.raises(ArtifactError, match=r"stranger.tflite' was exported from another model \(run tiny\)"):
        bench(runs=run.path.parent)


def test_a_failed_benchmark_leaves_the_old_results(run: RunDirectory) -> None:
    before = (run.bench / "results.jsonl").read_bytes()
    for path in run.artifacts.glob("*.json"):
        path.unlink()
    for path in run.artifacts.glob("*.tflite"):
        spoil(path)
    with pytest.raises(MeasurementError, match="nothing could be measured: LiteRT cannot load"):
        bench(runs=run.path.parent, targets=["litert:cpu:1"], seconds=0.01, rounds=1)
    assert (run.bench / "results.jsonl").read_bytes() == before


def test_without_keras_the_rest_is_measured(two_recipes: RunDirectory) -> None:
    hidden = Path(__file__).parent / "without_keras"
    shutil.rmtree(two_recipes.bench)
    env = {"PYTHONPATH": os.pathsep.join(filter(None, [str(hidden), os.environ.get("PYTHONPATH")]))}
    done: Finished = tledge(
        "bench", "--seconds", "0.01", "--rounds", "1", "--json", cwd=two_recipes.path.parents[1], env=env
    )
    assert done.code == 0, done
    reported = json.loads(done.out)
    assert {row["artifact"].split(".")[1] for row in reported["rows"]} == {"tflite", "onnx"}
    assert {row["agreement"] for row in reported["rows"]} == {None}
    (skipped,) = reported["skipped"]
    assert skipped["artifact"] == "model.keras"
    assert "pip install 'tledge[train]'" in skipped["reason"]
    shown = tledge("bench", "--seconds", "0.01", "--rounds", "1", cwd=two_recipes.path.parents[1], env=env).out
    assert "Not measured: model.keras" in shown
    assert "pip install 'tledge[train]'" in shown
    check_one_line_error(
        tledge("bench", "--target", "keras:cpu", cwd=two_recipes.path.parents[1], env=env), "tledge[train]"
    )
