"""``tledge bench`` with a budget, and on some artifacts of a run, as a user types it."""

import json
import re
import shutil
from pathlib import Path

import pytest
from support import Demo, Finished, check_one_line_error, tledge

from tledge.core.run_directory import RunDirectory

QUICK = ("--target", "litert:cpu:1", "--seconds", "0.05", "--rounds", "3", "--batch-sizes", "1")


@pytest.fixture
def run(demo: Demo, tmp_path: Path) -> RunDirectory:
    """A copy of the demo's run, which a test may change."""
    source: RunDirectory = demo.run
    shutil.copytree(source.path.resolve(), tmp_path / "runs" / "copy")
    directory = RunDirectory(tmp_path / "runs" / "copy")
    directory.mark_latest()
    return directory


def bench(folder: Path, *arguments: str) -> Finished:
    return tledge("bench", *arguments, cwd=folder)


@pytest.mark.slow
def test_a_budget_chooses_among_the_artifacts_that_were_named(run: RunDirectory, tmp_path: Path) -> None:
    chosen = ("--artifact", "*.tflite", "--skip", "int16x8.tflite", "--skip", "float16.*")
    budget = ("--budget", "size_mb <= 0.0001", "--budget", "p90_ms <= 100000")
    done = bench(tmp_path, *QUICK, *chosen, *budget, "--json")
    assert done.code == 0, "a budget is no gate"
    found = json.loads(done.out)
    assert {row["artifact"] for row in found["rows"]} == {"float32.tflite", "dynamic.tflite", "int8.tflite"}
    assert {row["agreement"] is not None for row in found["rows"]} == {True}, "with the demo's own benchmark"
    card = found["recommendation"]
    assert (card["artifact"], card["undecided"]) == (None, "none_meets_budget")
    assert {item["outcome"] for item in card["budget"]["files"]} == {"missed"}
    assert card["budget"]["nearest"]["artifact"] in ("dynamic.tflite", "int8.tflite")
    record = json.loads((run.bench / "run.json").read_text())
    assert record["budget"] == ["size_mb <= 0.0001", "p90_ms <= 100000"]
    assert (record["selected"], record["left_out"]) == (["*.tflite"], ["int16x8.tflite", "float16.*"])
    for report in (run.bench / "report.md", run.bench / "report.html", run.model_card):
        assert "No file meets the budget" in report.read_text()
    again = bench(tmp_path, "--repeat", "runs/latest/bench", "--target", "litert:cpu:1")
    check_one_line_error(again, "leave out: --target")
    again = bench(tmp_path, "--repeat", "runs/latest/bench")
    assert again.code == 0, again
    assert "No file meets the budget" in again.out
    assert "Repeated: with the same files and photos" in again.out
    shown = [line for line in again.out.splitlines() if line.startswith("size_mb <= 0.0001 rules out ")]
    assert shown, again.out


@pytest.mark.slow
def test_choices_of_nothing_and_wrong_budgets_are_one_line_errors(run: RunDirectory, tmp_path: Path) -> None:
    for arguments, words in (
        (("--artifact", "int9.tflite"), "--artifact int9.tflite matches no artifact of the run; it has model.keras"),
        (("--skip", "*"), "--skip leaves out every artifact"),
        (("--budget", "robust_accuracy >= 0.5"), "--attack pgd"),
        (("--budget", "p90_ms <= 5", "--budget", "p90_ms >= 9"), "contradict each other"),
    ):
        done = bench(tmp_path, *arguments)
        check_one_line_error(done, words)
        assert done.code == 2


def test_a_budget_is_checked_before_anything_is_measured(tiny_artifacts: Path, tmp_path: Path) -> None:
    shutil.copy(tiny_artifacts / "float32.tflite", tmp_path / "mine.tflite")
    for limit, words in (
        ("p9_ms <= 3", "unknown metric 'p9_ms'. Did you mean 'p99_ms'"),
        ("p90_ms <=", "--budget takes limits like"),
        ("p90_ms <= 3 ms", "write the number alone: p90_ms is in ms"),
        ("p90_ms >= 3", "has the wrong direction"),
        ("top1 >= 0.9", "--data"),
    ):
        done = bench(tmp_path, "mine.tflite", *QUICK, "--budget", limit)
        check_one_line_error(done, words)
        assert done.code == 2
    check_one_line_error(bench(tmp_path, "mine.tflite", "--skip", "mine.tflite"), "--skip chooses among the artifacts")
    assert not (tmp_path / "bench-results").exists()


def test_a_bare_name_is_a_file_of_the_newest_run(tiny_artifacts: Path, photos: Path, tmp_path: Path) -> None:
    made = RunDirectory(tmp_path / "runs" / "made")
    made.artifacts.mkdir(parents=True)
    shutil.copy(tiny_artifacts / "float32.tflite", made.artifacts / "float32.tflite")
    made.mark_latest()
    done = bench(tmp_path, "float32.tflite", *QUICK, "--budget", "p90_ms <= 100000")
    assert done.code == 0, done
    assert re.search(r"float32\.tflite is 'runs/made/artifacts/float32\.tflite'", done.err + done.out)
    assert json.loads((tmp_path / "bench-results" / "run.json").read_text())["files"] == [
        str(made.artifacts / "float32.tflite")
    ]
    check_one_line_error(bench(tmp_path, "int8.tflite"), "neither here nor in 'runs/made', which has float32.tflite")
    photo = next(photos.rglob("*.jpg"))
    done = tledge("predict", "float32.tflite", photo, cwd=tmp_path)
    assert done.code == 0, done
    assert "runs/made/artifacts/float32.tflite" in done.err + done.out
