"""Benchmarks are found wherever they are, each once; what is left out is named."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from leaderboard_sample import cells, write_run

from tledge.bench.leaderboard import benchmark_search
from tledge.bench.leaderboard.benchmark_search import find_benchmarks
from tledge.core.errors import MeasurementError

pytestmark = pytest.mark.unit


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs with a benchmark each, one of which has earlier results."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("one", "two")):
        write_run(Path("runs"), name, number, cells(name, 4.0, 6))
    write_run(Path("runs"), "one", 3, cells("one", 5.0, 6), folder="bench/earlier/20261101T101500")
    return Path("runs")


def found(*paths: Path | str, runs: Path = Path("runs"), earlier: bool = False) -> list[str]:
    results = find_benchmarks([Path(path) for path in paths], runs, earlier=earlier).results
    return [str(result.path.parent) for result in results]


def test_everything_that_may_be_named_is_found(runs: Path) -> None:
    every = ["runs/one/bench", "runs/two/bench"]
    assert found() == found("runs") == found(".") == every
    assert found("one") == found("runs/one") == found("runs/one/bench") == every[:1]
    assert found("runs/two/bench/results.jsonl", "one") == every[::-1]


def test_earlier_results_are_left_out_unless_asked_for(runs: Path) -> None:
    assert len(found(earlier=True)) == 3
    assert found("runs/one/bench/earlier") == ["runs/one/bench/earlier/20261101T101500"]


def test_a_benchmark_that_is_given_twice_is_listed_once(runs: Path) -> None:
    twice = find_benchmarks([Path("one"), Path("runs/one/bench/results.jsonl")], runs)
    assert len(twice.results) == 1
    assert "given twice" in twice.notes[0]
    assert found("one", "runs") == ["runs/one/bench", "runs/two/bench"]
    (runs / "latest").symlink_to("one")
    assert found("runs", "runs/latest") == ["runs/one/bench", "runs/two/bench"]


def test_a_copy_is_listed_once(runs: Path) -> None:
    shutil.copytree(runs / "one" / "bench", "copy")
    copied = find_benchmarks([Path("runs/one"), Path("copy")], runs)
    assert len(copied.results) == 1
    assert copied.notes == ("'copy/results.jsonl' is a copy of 'runs/one/bench/results.jsonl', which is listed once.",)


def test_what_does_not_exist_or_holds_no_benchmark_is_an_error(runs: Path) -> None:
    with pytest.raises(MeasurementError, match="no file or folder 'gone' and no run in 'runs'"):
        find_benchmarks([Path("gone")], runs)
    with pytest.raises(MeasurementError, match="no file or folder 'nowhere'; 'tledge train' creates it"):
        find_benchmarks([], Path("nowhere"))
    Path("empty").mkdir()
    with pytest.raises(MeasurementError, match="no benchmark below 'empty'; 'tledge bench' creates one"):
        find_benchmarks([Path("runs"), Path("empty")], runs)
    shutil.rmtree(runs / "one" / "bench")
    with pytest.raises(MeasurementError, match="no benchmark below 'runs/one'"):
        find_benchmarks([Path("one")], runs)


def test_results_of_another_version_are_named(runs: Path) -> None:
    results = runs / "one" / "bench" / "results.jsonl"
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    results.write_text("".join(f"{json.dumps({**line, 'schema_version': 9})}\n" for line in lines))
    for path in (results, results.parent):
        with pytest.raises(MeasurementError, match=r"one/bench/results\.jsonl:1"):
            find_benchmarks([path], runs)
    left = find_benchmarks([], runs)
    assert [str(result.path.parent) for result in left.results] == ["runs/two/bench"]
    assert left.notes[0].startswith("Left out: ")
    assert "runs/one/bench/results.jsonl:1" in left.notes[0]
    (runs / "two" / "bench" / "results.jsonl").write_text("")
    with pytest.raises(MeasurementError, match=r"results\.jsonl:1"):
        find_benchmarks([], runs)


def test_what_is_incomplete_is_named(runs: Path) -> None:
    write_run(runs, "three", 5, cells("three", 4.0, 6), interrupted=True)
    unmeasured = runs / "four"
    unmeasured.mkdir()
    (unmeasured / "splits.json").write_text("{}")
    notes = find_benchmarks([], runs).notes
    assert "'runs/three/bench/results.jsonl' was interrupted: it has what was measured until then." in notes
    assert "Runs without a benchmark: four." in notes


@pytest.fixture
def lock(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Makes a folder one that cannot be listed, for root too."""

    def lock(folder: Path) -> None:
        scandir = os.scandir

        def refusing(path: str) -> object:
            if Path(path) == folder:
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return scandir(path)

        monkeypatch.setattr(os, "scandir", refusing)

    return lock


def test_folders_that_cannot_be_read_are_named(runs: Path, lock: Callable[[Path], None]) -> None:
    lock(runs / "two")
    found_benchmarks = find_benchmarks([], runs)
    assert [str(result.path.parent) for result in found_benchmarks.results] == ["runs/one/bench"]
    assert "Left out: cannot read the folder 'runs/two': Permission denied." in found_benchmarks.notes
    with pytest.raises(MeasurementError, match="cannot read the folder 'runs/two': Permission denied; change"):
        find_benchmarks([runs / "two"], runs)


def test_a_folder_whose_files_cannot_be_opened_is_named(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(folder: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", str(folder / "results.jsonl"))

    monkeypatch.setattr(benchmark_search, "_holds_results", refusing)
    with pytest.raises(MeasurementError, match="cannot read the folder 'runs': Permission denied; change"):
        find_benchmarks([], runs)
