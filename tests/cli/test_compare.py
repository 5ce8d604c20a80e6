"""``tledge compare`` on benchmarks that nobody ran."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from leaderboard_sample import cells, write_run, write_runs
from support import check_one_line_error, invoke

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    write_runs(folder / "runs")
    return folder


def test_it_shows_a_recommendation_and_a_table_for_each_machine(folder: Path) -> None:
    out = invoke("compare", "--csv", cwd=folder).out
    assert out.count("Ship int8.tflite of MobileNetV2 0.35 96×96 on litert:cpu:2") == 2
    for title in ("AMD Ryzen 7 5800X, 16 cores (bench-1)", "Raspberry Pi 5 Model B Rev 1.0, 4 cores (raspberrypi)"):
        assert title in out.splitlines()
    assert out.index("Photos A: 300 photos of 2 classes") < out.index("Photos B: 300 photos of 2 classes")
    assert "Accuracy on all machines" in out
    assert out.splitlines()[-3:] == [
        "Table: compare/leaderboard.md",
        "Table: compare/leaderboard.csv",
        "Page: compare/leaderboard.html",
    ]
    assert sorted(path.name for path in (folder / "compare").iterdir()) == [
        "leaderboard.csv",
        "leaderboard.html",
        "leaderboard.md",
    ]


def test_json_has_the_same_rows_in_the_order_of_sort(folder: Path) -> None:
    found = json.loads(invoke("compare", "runs", "--sort", "p50", "--output", "json", "--json", cwd=folder).out)
    assert found["page"] == "json/leaderboard.html"
    machines = [machine for board in found["boards"] for machine in board["machines"]]
    assert [len(machine["rows"]) for machine in machines] == [12, 7, 3]
    for machine in machines:
        times = [row["p50"] for row in machine["rows"]]
        assert times == sorted(times)


def test_errors_are_one_line(tmp_path: Path) -> None:
    check_one_line_error(invoke("compare", cwd=tmp_path), "no file or folder 'runs'", "tledge train")
    check_one_line_error(invoke("compare", "gone", cwd=tmp_path), "no file or folder 'gone'")
    (tmp_path / "empty").mkdir()
    check_one_line_error(invoke("compare", "empty", cwd=tmp_path), "no benchmark below 'empty'", "tledge bench")
    write_run(tmp_path / "runs", "a", 1, cells("a", 4.0, 6))
    (tmp_path / "compare").mkdir()
    (tmp_path / "compare" / "leaderboard.md").write_text("mine")
    foreign = invoke("compare", cwd=tmp_path)
    check_one_line_error(foreign, "was not written by tledge compare", "--output")
    assert foreign.code == 2
    wrong = invoke("compare", "--sort", "speed", cwd=tmp_path)
    assert wrong.code == 2
    assert "unknown order 'speed'" in wrong.err


def test_a_budget_is_checked_and_applied(folder: Path) -> None:
    wrong = invoke("compare", "--budget", "p90_ms >= 4", cwd=folder)
    check_one_line_error(wrong, "--budget 'p90_ms >= 4' has the wrong direction")
    assert wrong.code == 2
    out = invoke("compare", "--budget", "p90_ms <= 4", "--budget", "top1 >= 0.5", "--output", "within", cwd=folder).out
    assert "The recommended files have to meet p90_ms <= 4 and top1 >= 0.5." in out
    assert "It meets p90_ms <= 4 and top1 >= 0.5." in out
