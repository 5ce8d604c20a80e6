"""``tledge bench`` as a gate, with comparisons, tables and repetitions."""

import json
import shutil
from pathlib import Path

import pytest
from support import Finished, check_one_line_error, tledge

QUICK = ("--seconds", "0.05", "--rounds", "2", "--target", "litert:cpu:1")


@pytest.fixture
def folder(tiny_artifacts: Path, tmp_path: Path) -> Path:
    shutil.copy(tiny_artifacts / "float32.tflite", tmp_path / "mine.tflite")
    return tmp_path


def bench(folder: Path, *arguments: str) -> Finished:
    return tledge("bench", "mine.tflite", *QUICK, *arguments, cwd=folder)


def test_a_broken_condition_is_exit_code_3(folder: Path) -> None:
    done = bench(folder, "--fail-on", "p50_ms > 0", "--fail-on", "p50_ms > 10000")
    assert done.code == 3, done
    (line,) = [line for line in done.out.splitlines() if line.startswith("Failed:")]
    assert "mine.tflite on litert:cpu:1: p50_ms" in line
    done = bench(folder, "--fail-on", "p50_ms > 10000", "--json")
    assert done.code == 0, done
    assert json.loads(done.out)["gate"] == {"violations": [], "unjudged": [], "unsure": [], "checked": 1}
    done = bench(folder, "--fail-on", "top1 < 0.9")
    assert done.code == 3
    assert "its top1 was not measured" in done.out


def test_conditions_and_exports_are_checked_before_anything_is_measured(folder: Path) -> None:
    check_one_line_error(bench(folder, "--fail-on", "p90_ms > 1.1x"), "--against")
    check_one_line_error(bench(folder, "--fail-on", "p9_ms > 3"), "unknown metric 'p9_ms'")
    check_one_line_error(
        bench(folder, "--fail-on", "int8.tflite: p90_ms > 3"), "matches no row; the rows are mine.tflite"
    )
    check_one_line_error(bench(folder, "--export", "xlsx"), "unknown export 'xlsx'")
    check_one_line_error(bench(folder, "--against", "gone.jsonl"), "gone.jsonl")
    check_one_line_error(bench(folder, "--batch-sizes", "1;8"), "--batch-sizes takes whole numbers")
    (folder / "foreign.jsonl").write_text('{"hello": 1}\n')
    check_one_line_error(bench(folder, "--against", "foreign.jsonl"), "foreign.jsonl:1': ")
    (folder / "empty.jsonl").write_text("")
    check_one_line_error(bench(folder, "--against", "empty.jsonl"), "are empty")
    assert not (folder / "bench-results").exists()


def test_an_earlier_benchmark_is_compared_repeated_and_exported(folder: Path) -> None:
    assert bench(folder).code == 0
    results = folder / "bench-results" / "results.jsonl"
    done = bench(folder, "--against", str(results), "--export", "csv", "--export", "parquet")
    assert done.code == 0, done
    assert "No row is significantly faster or slower, better or worse." in done.out
    assert (folder / "bench-results" / "results.csv").read_text().startswith("artifact,artifact_sha256,target")
    assert (folder / "bench-results" / "results.parquet").read_bytes().startswith(b"PAR1")
    done = tledge("bench", "--repeat", results, "--json", cwd=folder)
    assert done.code == 0, done
    (row,) = json.loads(done.out)["rows"]
    assert (row["artifact"], row["target"]) == ("mine.tflite", "litert:cpu:1")
    assert len(list((folder / "bench-results" / "earlier").iterdir())) == 2
    check_one_line_error(tledge("bench", "--repeat", results, "--rounds", "9", cwd=folder), "leave out: --rounds")


def test_the_slowest_operators_are_shown(large_tflite: Path, folder: Path) -> None:
    shutil.copy(large_tflite, folder / "mine.tflite")
    done = bench(folder, "--profile")
    assert done.code == 0, done
    assert "share" in done.out
    (profile,) = json.loads((folder / "bench-results" / "profile.json").read_text())
    assert profile["artifact"] == "mine.tflite"
    assert sum(operator["share"] for operator in profile["operators"]) == pytest.approx(1.0)
