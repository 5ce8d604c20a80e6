"""Benchmarks of model files on their own, as on a device that has no run."""

import csv
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from foreign_models import write_onnx
from PIL import Image
from support import TINY_SIDECAR, check_one_line_error, stripes, tledge

from tledge.bench import BenchRecord, bench, summarize
from tledge.bench.measure.paired_run import measure_in_turns
from tledge.bench.results.cell_result import Specification, Timing
from tledge.bench.results.results_folder import ResultsFolder
from tledge.bench.results.settings import BenchSettings
from tledge.bench.results.workload import workload_of_files
from tledge.core.artifact import path_beside, read_artifact, write_artifact, write_sidecar_beside
from tledge.core.errors import ArtifactError, DataError, MeasurementError, OptionError
from tledge.core.measurement import read_results
from tledge.core.preprocessing import Preprocessing
from tledge.core.progress import Progress
from tledge.edge_runtime import Classifier

CLASSES = ("cat", "dog", "emu")


@pytest.fixture
def files(tiny_artifacts: Path, tmp_path: Path) -> Path:
    """A folder with the tiny artifacts, the sidecars inside, as copied to a device."""
    for name in ("float32.tflite", "float32.onnx"):
        shutil.copy(tiny_artifacts / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Seven photos a class."""
    for number, name in enumerate(CLASSES):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(7):
            pixels = stripes(vertical=number == 1, seed=10 * number + index, size=(16, 16))
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{index}.png")
    return tmp_path / "photos"


def test_files_are_judged_by_photos_in_folders(files: Path, labelled: Path) -> None:
    record = bench(
        files=[files / "float32.tflite", files / "float32.onnx"],
        data=labelled,
        output=files / "out",
        targets=["litert:cpu:1", "onnxruntime:cpu:1"],
        seconds=0.02,
        rounds=2,
    )
    assert record.results == files / "out" / "results.jsonl"
    rows = {row.artifact: row for row in summarize(read_results(record.results))}
    with Classifier(files / "float32.tflite", target="litert:cpu:1") as classifier:
        right = [
            classifier.classify(path)[0].label == name
            for name in CLASSES
            for path in sorted((labelled / name).iterdir())
        ]
    assert rows["float32.tflite"].value("top1") == np.mean(right)
    assert {row.value("agreement") for row in rows.values()} == {None}
    assert {row.baseline for row in rows.values()} == {""}
    assert rows["float32.onnx"].provider == "CPUExecutionProvider"
    settings = BenchSettings.load(files / "out")
    assert settings == record.settings
    assert settings.images == 21
    assert settings.data == str(labelled)
    assert record.folder.labels() == tuple(np.repeat([0, 1, 2], 7))


def test_a_file_without_sidecar_is_timed(tiny_artifacts: Path, tmp_path: Path) -> None:
    model = onnx.load(tiny_artifacts / "float32.onnx")
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "stranger.onnx")
    done = tledge(
        "bench", "stranger.onnx", "--seconds", "0.02", "--rounds", "1", "--batch-sizes", "1,2", "--json", cwd=tmp_path
    )
    assert done.code == 0, done
    (row,) = json.loads(done.out)["rows"]
    assert row["top1"] is None
    assert row["p50"] > 0
    assert "random_input" in row["flags"]
    assert (tmp_path / "bench-results" / "results.jsonl").exists()
    shown = tledge("bench", "stranger.onnx", "--seconds", "0.02", "--rounds", "1", cwd=tmp_path)
    assert "top-1" not in shown.out
    assert "random pixels" in shown.out
    check_one_line_error(
        tledge("bench", "stranger.onnx", "--data", ".", cwd=tmp_path), "has no sidecar", "tledge adopt stranger.onnx"
    )


def test_a_batch_that_a_model_does_not_take_has_no_throughput(tmp_path: Path) -> None:
    model = write_onnx(tmp_path / "fixed.onnx", batch=1)
    record = bench(files=[model], output=tmp_path / "out", seconds=0.02, rounds=1, batch_sizes=[1, 4])
    assert [item.params["batch"] for item in record.measurements if item.metric == "throughput"] == [1]


def test_batches_that_all_fail_are_named_with_their_cause_everywhere(tmp_path: Path) -> None:
    """Nothing has a throughput then, so no column shows that batches were asked for."""
    write_onnx(tmp_path / "fixed.onnx", batch=1)
    arguments = ("fixed.onnx", "--seconds", 0.02, "--rounds", 1, "--batch-sizes", 8, "--export", "csv")
    done = tledge("bench", *arguments, cwd=tmp_path)
    assert done.code == 0, done.err
    reason = re.search(r"Not measured: fixed.onnx on \S+: (batches of 8: .*)", done.out)
    assert reason, done.out
    assert "batches of 1" in reason[1]
    folder = tmp_path / "bench-results"
    skipped = json.loads((folder / "run.json").read_text())["skipped"]
    assert [item["reason"] for item in skipped] == [reason[1]]
    for name in ("report.md", "report.html", "results.csv"):
        assert "batches of 8: " in (folder / name).read_text(), name
    last = list(csv.DictReader((folder / "results.csv").open()))[-1]
    assert (last["artifact"], last["metric"], last["value"], last["reason"]) == ("fixed.onnx", "", "", reason[1])
    assert "one round" in done.out, "nor does a single round say which is faster"
    assert "faster" not in done.out


def test_the_file_of_before_is_measured_in_turns_with_that_of_now(files: Path) -> None:
    model, out = files / "float32.onnx", files / "out"

    def measure(against: Path | None = None) -> BenchRecord:
        return bench(files=[model], output=out, targets=["onnxruntime:cpu:1"], seconds=0.02, rounds=2, against=against)

    sha256 = measure().settings.artifacts["float32.onnx"]
    same = measure(out)
    assert same.comparison is not None
    assert not same.comparison.rows[0].again  # the very same file

    rebuild(model, "second")
    second = measure(out)
    assert second.comparison is not None
    (row,) = second.comparison.rows
    assert row.again
    assert row.no_latency_verdict == ""
    (path,) = second.folder.paired_runs.iterdir()
    with np.load(path) as raw:
        assert str(raw["old_sha256"]) == sha256
        assert str(raw["new_sha256"]) == second.settings.artifacts["float32.onnx"] != sha256
        turns = [(np.median(raw[f"new_{n}"], axis=1), np.median(raw[f"old_{n}"], axis=1)) for n in (0, 1)]
        rounds = [np.median(new / old) for new, old in turns]
        assert all(len(raw[f"{side}_{n}"]) >= 10 for side in ("old", "new") for n in (0, 1))
    p50 = row.changes["latency_p50"]
    assert p50.ratio == pytest.approx(np.sqrt(np.prod(rounds)))
    assert p50.interval is not None
    assert p50.interval[0] <= p50.ratio <= p50.interval[1]

    shutil.rmtree(second.folder.measured)
    rebuild(model, "third")
    third = measure(out)
    assert third.comparison is not None
    assert not third.comparison.rows[0].again  # that of before is nowhere to be found
    assert not third.folder.paired_runs.exists()


TIMING = Timing(warm_up=1, minimum_queries=5, minimum_seconds=0)


def side(path: Path) -> Specification:
    return Specification(
        artifact=str(path), target="onnxruntime:cpu:1", bare=False, pixels="", images=(), timing=TIMING
    )


def test_both_models_of_a_paired_run_run_as_many_queries(files: Path) -> None:
    good = side(files / "float32.onnx")
    run = measure_in_turns(good, good, hashes=("a", "a"), rounds=2, name="it", progress=Progress())
    assert all(len(turns) >= 10 for turns in (*run.old, *run.new))
    assert [turns.shape for turns in run.old] == [turns.shape for turns in run.new]


def test_a_model_that_cannot_be_loaded_for_a_paired_run_is_an_error(files: Path) -> None:
    (files / "broken.onnx").write_bytes((files / "float32.onnx").read_bytes()[:3000])
    with pytest.raises(MeasurementError, match=r"^'.*broken\.onnx' is not a complete ONNX model"):
        measure_in_turns(
            side(files / "broken.onnx"),
            side(files / "float32.onnx"),
            hashes=("a", "b"),
            rounds=1,
            name="it",
            progress=Progress(),
        )


class Said(Progress):
    """Keeps notes and warnings."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, label: str, text: str) -> None:
        self.lines.append(text)

    def warn(self, text: str) -> None:
        self.lines.append(text)


def test_why_a_changed_file_is_not_measured_in_turns_is_said(files: Path) -> None:
    model, out = files / "float32.onnx", files / "out"
    said = Said()

    def measure(against: Path | None = None) -> BenchRecord:
        return bench(
            files=[model],
            output=out,
            targets=["onnxruntime:cpu:1"],
            seconds=0.02,
            rounds=1,
            against=against,
            progress=said,
        )

    measure()
    model.write_bytes(another(model, "in place"))  # the hard link goes along
    record = measure(out)
    assert record.comparison is not None
    assert not record.comparison.rows[0].again
    (line,) = [line for line in said.lines if "compared with the earlier measurements" in line]
    assert "the earlier file is gone, was changed, or lost its sidecar" in line

    rebuild(model, "anew")
    record = measure(out)
    assert record.comparison is not None
    (row,) = record.comparison.rows
    assert row.again
    assert row.no_latency_verdict.startswith("one round")


def test_an_earlier_benchmark_of_other_files_is_refused_before_measuring(files: Path) -> None:
    settings = {"targets": ["onnxruntime:cpu:1"], "seconds": 0.02, "rounds": 1}
    bench(files=[files / "float32.onnx"], output=files / "out", **settings)
    shutil.copy(files / "float32.onnx", files / "other.onnx")
    with pytest.raises(MeasurementError, match="no artifact and target in common"):
        bench(files=[files / "other.onnx"], output=files / "new", against=files / "out", **settings)
    assert not (files / "new").exists()


def rebuild(path: Path, name: str) -> None:
    """The same model in another file, which takes the place of that at the path as an export's does."""
    content = another(path, name)
    path.unlink()
    path.write_bytes(content)


def another(path: Path, name: str) -> bytes:
    """The bytes of an artifact of the same model, with another text in it."""
    model, sidecar = onnx.load(path), read_artifact(path).sidecar
    model.doc_string = name
    del model.metadata_props[:]
    made = path.with_name("another.onnx")
    write_artifact(made, model.SerializeToString(), sidecar)
    content = made.read_bytes()
    for left in (made, path_beside(made)):
        left.unlink()
    return content


def test_files_called_alike_are_told_apart(files: Path) -> None:
    for folder in ("a", "b"):
        (files / folder).mkdir()
        shutil.copy(files / "float32.tflite", files / folder / "float32.tflite")
    record = bench(
        files=[files / "a" / "float32.tflite", files / "b" / "float32.tflite"],
        output=files / "out",
        targets="litert:cpu:1",
        seconds=0.01,
        rounds=1,
    )
    names = [row.artifact for row in summarize(record.measurements)]
    assert len(set(names)) == 2
    assert len(list(record.folder.samples.iterdir())) == 2


def test_what_files_cannot_be_measured_by_is_an_error(files: Path, labelled: Path, tmp_path: Path) -> None:
    model = files / "float32.tflite"
    with pytest.raises(ArtifactError, match="no model file"):
        bench(files=[files / "gone.tflite"])
    with pytest.raises(OptionError, match="both `files` and `run='x'`"):
        bench(files=[model], run="x")
    with pytest.raises(OptionError, match="needs model files"):
        bench(data=labelled)
    with pytest.raises(DataError, match="no folder"):
        bench(files=[model], data=tmp_path / "gone")
    (labelled / "yak").mkdir()
    with pytest.raises(DataError, match="folders that are not classes of the model: yak"):
        bench(files=[model], data=labelled)
    (labelled / "yak").rmdir()
    shutil.rmtree(labelled / "emu")
    with pytest.raises(DataError, match="has no photo of emu"):
        bench(files=[model], data=labelled)
    with pytest.raises(OptionError, match="`rounds` must be"):
        bench(files=[model], rounds=0)
    with pytest.raises(OptionError, match="`batch_sizes` must be"):
        bench(files=[model], batch_sizes=[0])


def test_what_was_measured_before_ctrl_c_is_kept(files: Path) -> None:
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from tledge.cli.main import main; main()"
    )
    process = subprocess.Popen(
        [
            sys.executable,
            "-P",
            "-c",
            code,
            "bench",
            "float32.tflite",
            "float32.onnx",
            "--seconds",
            "0.5",
            "--rounds",
            "90",
        ],
        cwd=files,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    seen: set[int] = set()
    parent = psutil.Process(process.pid)
    while len(seen) < 4:  # both files at least once
        seen |= {child.pid for child in parent.children()}
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == "tledge: interrupted; results measured so far are in 'bench-results/report.html'"
    assert "Report: bench-results/report.html" in out.splitlines()
    assert {"float32.tflite", "float32.onnx"} <= set(out.split()), "the table of what was measured"
    settings = BenchSettings.load(files / "bench-results")
    assert settings.interrupted
    assert {row.artifact for row in summarize(read_results(files / "bench-results" / "results.jsonl"))} == {
        "float32.tflite",
        "float32.onnx",
    }


def test_results_that_stood_there_are_set_aside(files: Path) -> None:
    def measure() -> BenchRecord:
        return bench(
            files=[files / "float32.tflite"], output=files / "out", targets="litert:cpu:1", seconds=0.01, rounds=1
        )

    first = measure()
    content = first.results.read_bytes()
    second = measure()
    (earlier,) = (files / "out" / "earlier").iterdir()
    assert (earlier / "results.jsonl").read_bytes() == content
    assert second.results.read_bytes() != content
    assert BenchSettings.load(earlier).began == first.settings.began
    assert not list((files / "out").glob(".partial-*"))


@pytest.mark.unit
def test_new_results_are_not_lost_when_they_cannot_be_put_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = ResultsFolder(tmp_path / "out")
    folder.path.mkdir()
    (folder.path / "results.jsonl").write_text("old")

    def stop(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), folder.replaced(Progress()) as fresh:
        (fresh.path / "results.jsonl").write_text("new")
        monkeypatch.setattr(Path, "replace", stop)
    assert {path.read_text() for path in folder.path.rglob("results.jsonl")} == {"old", "new"}


def test_a_file_given_twice_is_measured_once(files: Path) -> None:
    model = files / "float32.tflite"
    record = bench(
        files=[model, files / "." / "float32.tflite"],
        output=files / "out",
        targets="litert:cpu:1",
        seconds=0.01,
        rounds=1,
    )
    assert len(summarize(record.measurements)) == 1


@pytest.mark.unit
def test_labels_that_name_several_classes_cannot_judge(tmp_path: Path, labelled: Path) -> None:
    model = write_onnx(tmp_path / "cranes.onnx", classes=5)
    preprocessing = Preprocessing(layout="nchw", input_range=(0.0, 1.0))
    names = ("crane", "cat", "crane", "dog", "emu")
    sidecar = replace(TINY_SIDECAR, class_names=names, input_size=(24, 24), preprocessing=preprocessing)
    write_sidecar_beside(model, sidecar)
    found = workload_of_files(
        [model], labelled, tmp_path / "out", Progress()
    )  # no folder of that name: nothing is ambiguous
    assert {names[label] for label in found.labels} == {"cat", "dog", "emu"}
    shutil.copytree(labelled / "cat", labelled / "crane")
    with pytest.raises(DataError, match="'crane' is the label of several classes"):
        bench(files=[model], data=labelled)


@pytest.mark.unit
@pytest.mark.parametrize("recipe", ["adopted", "float32"])
def test_only_adopted_models_may_have_classes_without_photos(tmp_path: Path, labelled: Path, recipe: str) -> None:
    names = tuple(f"thing {index}" for index in range(997)) + CLASSES
    model = write_onnx(tmp_path / "imagenet.onnx", classes=1000)
    sidecar = replace(
        TINY_SIDECAR,
        recipe=recipe,
        class_names=names,
        input_size=(24, 24),
        preprocessing=Preprocessing(layout="nchw", input_range=(0.0, 1.0)),
    )
    write_sidecar_beside(model, sidecar)
    notes: list[str] = []

    class Notes(Progress):
        def note(self, name: str, value: str) -> None:
            notes.append(value)

    if recipe != "adopted":
        with pytest.raises(DataError, match="has no photo of thing 0, thing 1, thing 2, thing 3, thing 4 …"):
            workload_of_files([model], labelled, tmp_path / "out", Notes())
        return
    found = workload_of_files([model], labelled, tmp_path / "out", Notes())
    assert notes == ["from 3 of the model's 1,000 classes; accuracy is that of these"]
    assert found.labels == tuple(np.repeat([997, 998, 999], 7))
    (labelled / "thing").mkdir()
    with pytest.raises(DataError, match="folders that are not classes of the model: thing"):
        workload_of_files([model], labelled, tmp_path / "out", Notes())


def test_the_accuracy_of_an_adopted_model_is_that_of_the_photos_at_hand(tmp_path: Path, labelled: Path) -> None:
    import onnxruntime

    model = write_onnx(tmp_path / "m.onnx", classes=40)
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    predicted, folders = [], []
    for path in sorted(labelled.rglob("*.png")):
        with Image.open(path) as photo:
            pixels = np.asarray(photo.resize((24, 24), Image.Resampling.BILINEAR), np.float32) / 255
        predicted.append(int(session.run(None, {"input": pixels.transpose(2, 0, 1)[np.newaxis]})[0].argmax()))
        folders.append(path.parent.name)
    names = [f"thing {index}" for index in range(40)]
    names[predicted[0]] = folders[0]
    free = [index for index in range(40) if index != predicted[0]]
    names[free[0]], names[free[1]] = "dog", "emu"
    (tmp_path / "labels.txt").write_text("\n".join(names))
    done = tledge("adopt", "m.onnx", "--labels", "labels.txt", "--input-range", "0..1", cwd=tmp_path)
    assert done.code == 0, done
    done = tledge("bench", "m.onnx", "--data", "photos", "--seconds", "0.01", "--rounds", "1", "--json", cwd=tmp_path)
    assert done.code == 0, done
    (row,) = json.loads(done.out)["rows"]
    right = [names[place] == folder for place, folder in zip(predicted, folders, strict=True)]
    assert row["top1"] == np.mean(right) > 0


def test_logits_that_are_no_numbers_fail_the_cell(tmp_path: Path, labelled: Path) -> None:
    model = write_onnx(tmp_path / "broken.onnx", classes=3, last="Log")  # of negative logits
    sidecar = replace(
        TINY_SIDECAR, input_size=(24, 24), preprocessing=Preprocessing(layout="nchw", input_range=(0.0, 1.0))
    )
    write_sidecar_beside(model, sidecar)
    with pytest.raises(MeasurementError, match="computes logits that are not finite"):
        bench(files=[model], data=labelled, output=tmp_path / "out", seconds=0.01, rounds=1)


def test_mlperfs_durations_are_nobodys_choice(files: Path) -> None:
    with pytest.raises(OptionError, match="`rigor='mlperf'` has fixed durations; leave `seconds=3` out"):
        bench(files=[files / "float32.tflite"], rigor="mlperf", seconds=3)
