"""A leaderboard ranks, marks and recommends only what the statistics of comparable results support."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from comparison_sample import Machine, Planted
from leaderboard_sample import BOARD, WORKSTATION, cells, write_run, write_runs

from tledge.bench.leaderboard.accuracy_board import BEST, WORSE
from tledge.bench.leaderboard.benchmark_search import FoundBenchmarks, find_benchmarks
from tledge.bench.leaderboard.compare_options import ORDERS
from tledge.bench.leaderboard.leaderboard import SET_APART, UNKNOWN_PHOTOS, UNPAIRED, Leaderboard, make_leaderboard
from tledge.bench.leaderboard.machine_board import FRONT, OTHER, SHIP, MachineBoard
from tledge.bench.results.recommendation import recommend
from tledge.bench.results.results_folder import samples_name
from tledge.bench.results.shipping_criteria import p90_bound
from tledge.bench.results.stored_results import read_stored
from tledge.core.environment import Environment

pytestmark = pytest.mark.unit


def leaderboard(runs: Path, sort: str = "standing") -> Leaderboard:
    return make_leaderboard(find_benchmarks([runs], runs), sort=sort)


def only_machine(runs: Path) -> MachineBoard:
    (board,) = leaderboard(runs).machines
    return board


def standings(board: MachineBoard) -> dict[str, str]:
    return {f"{entry.artifact} of {entry.label}": entry.standing for entry in board.entries}


def less_accurate(board: MachineBoard) -> set[str]:
    return {entry.label for entry in board.entries if entry.less_accurate}


def one_file(build: str, latency: float, wrong: int) -> list[Planted]:
    return [Planted(build=build, latency=latency, wrong=wrong)]


def write_pair(
    runs: Path, first: Sequence[Planted], second: Sequence[Planted], machine: Environment = WORKSTATION
) -> None:
    """Two runs with different backbones, the first on the workstation."""
    write_run(runs, "a", 1, first)
    write_run(runs, "b", 2, second, backbone="resnet50", machine=Machine(environment=machine))


def test_nothing_is_marked_for_a_difference_that_is_not_significant(tmp_path: Path) -> None:
    """One photo of 300 and 1% of the latency."""
    write_pair(tmp_path, one_file("a", 4.0, 6), one_file("b", 4.04, 7))
    board = only_machine(tmp_path)
    marked = {metric for entry in board.entries for metric in entry.row.best}
    assert marked <= {"file_size"}
    assert set(standings(board).values()) <= {SHIP, FRONT}, "both are on the front"
    assert {reason.reason for reason in board.recommendation.avoided} == set()


def test_a_significant_difference_is_marked_and_recommended(tmp_path: Path) -> None:
    write_pair(tmp_path, one_file("a", 4.0, 6), one_file("b", 3.0, 7))
    board = only_machine(tmp_path)
    assert board.recommendation.chosen is not None
    assert board.recommendation.chosen.artifact == "int8.tflite of ResNet50 96×96"
    assert standings(board) == {"int8.tflite of ResNet50 96×96": SHIP, "int8.tflite of MobileNetV2 96×96": OTHER}
    best = {entry.label: entry.row.best for entry in board.entries}
    assert "latency_p50" in best["ResNet50 96×96"]
    assert "latency_p50" not in best["MobileNetV2 96×96"]


def test_a_less_accurate_file_is_not_recommended_however_fast(tmp_path: Path) -> None:
    write_pair(tmp_path, one_file("a", 4.0, 6), one_file("b", 1.0, 60))
    board = only_machine(tmp_path)
    assert board.recommendation.chosen is not None
    assert board.recommendation.chosen.artifact == "int8.tflite of MobileNetV2 96×96"
    assert standings(board) == {"int8.tflite of MobileNetV2 96×96": SHIP, "int8.tflite of ResNet50 96×96": FRONT}
    assert less_accurate(board) == {"ResNet50 96×96"}
    assert [entry.marks for entry in board.entries] == [("ship",), ("front", "less accurate")]
    worse = tmp_path / "worse"
    write_pair(worse, one_file("a", 4.0, 6), one_file("b", 4.0, 60))
    assert standings(only_machine(worse))["int8.tflite of ResNet50 96×96"] == OTHER
    assert less_accurate(only_machine(worse)) == {"ResNet50 96×96"}
    assert less_accurate(only_machine(worse)) == {
        item.row.artifact.partition(" of ")[2] for item in only_machine(worse).recommendation.avoided
    }


def test_files_are_marked_less_accurate_than_the_best_file_not_the_keras_model(tmp_path: Path) -> None:
    """The recommended file would be marked otherwise: 10 photos of 300 that the Keras model classifies."""
    keras = Planted(artifact="model.keras", target="keras:cpu", build="k", latency=30.0, wrong=0)
    write_run(tmp_path, "a", 1, [keras, *one_file("a", 4.0, 10)])
    write_run(tmp_path, "b", 2, one_file("b", 6.0, 11), backbone="resnet50")
    board = only_machine(tmp_path)
    assert board.recommendation.chosen is not None
    assert less_accurate(board) == set()
    best = [row for row in board.results.rows if row.target == "keras:cpu"]
    assert board.results.evidence.less_accurate(board.results.rows, best[0]), "the test would find them"


def test_one_benchmark_alone_is_judged_as_its_report_does(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "a", 1, cells("a", 4.0, 6))
    board, alone = only_machine(tmp_path), recommend(read_stored(folder))
    assert board.recommendation.to_dict() == alone.to_dict()
    assert [row.best for row in board.results.rows] == [row.best for row in read_stored(folder).rows]
    assert {entry.row.artifact for entry in board.entries} == {cell.artifact for cell in cells("a", 4.0, 6)}
    assert leaderboard(tmp_path).notes == ()


@pytest.mark.parametrize(
    "other",
    [
        BOARD,
        replace(WORKSTATION, host="bench-2"),
        replace(WORKSTATION, memory=16 << 30),
        replace(WORKSTATION, governor="powersave"),
        replace(WORKSTATION, usable_cores=2),
    ],
    ids=["board", "host", "memory", "governor", "cores"],
)
def test_latencies_of_different_machines_are_never_compared(other: Environment, tmp_path: Path) -> None:
    write_pair(tmp_path, cells("a", 4.0, 6), cells("b", 40.0, 6), other)
    found = leaderboard(tmp_path)
    assert len(found.machines) == len({board.title for board in found.machines}) == 2
    for board in found.machines:
        assert board.recommendation.chosen is not None
        assert board.benchmarks == 1
    assert UNPAIRED not in found.notes


def test_accuracy_on_the_same_photos_is_compared_across_machines(tmp_path: Path) -> None:
    write_pair(tmp_path, cells("a", 4.0, 6), cells("b", 40.0, 60), BOARD)
    (photos,) = leaderboard(tmp_path).photos
    assert {row.label: row.verdict for row in photos.accuracy} == {"MobileNetV2 96×96": BEST, "ResNet50 96×96": WORSE}
    assert [row.top1 for row in photos.accuracy] == sorted((row.top1 for row in photos.accuracy), reverse=True)
    close = tmp_path / "close"
    write_pair(close, cells("a", 4.0, 6), cells("b", 40.0, 7), BOARD)
    (photos,) = leaderboard(close).photos
    assert {row.verdict for row in photos.accuracy} == {""}


def test_a_file_that_two_machines_classify_alike_is_one_row(tmp_path: Path) -> None:
    write_run(tmp_path, "a", 1, cells("a", 4.0, 6))
    write_run(tmp_path, "a", 2, cells("a", 24.0, 6), machine=Machine(environment=BOARD), folder="bench-pi")
    (photos,) = leaderboard(tmp_path).photos
    assert len(photos.accuracy) == 3
    assert {len(row.machines) for row in photos.accuracy} == {2}


def test_other_photos_have_tables_of_their_own(tmp_path: Path) -> None:
    write_run(tmp_path, "a", 1, cells("a", 4.0, 6))
    write_run(tmp_path, "b", 2, cells("b", 1.0, 100), backbone="resnet50", photos="another split")
    found = leaderboard(tmp_path)
    assert [board.name for board in found.photos] == ["Photos A", "Photos B"]
    assert found.notes == (SET_APART,)
    for board in found.machines:
        assert less_accurate(board) == set()
        assert board.benchmarks == 1


def test_photos_that_are_not_recorded_are_compared_with_none(tmp_path: Path) -> None:
    for number, name in enumerate("ab"):
        write_run(tmp_path, name, number, cells(name, 4.0, 6), photos="")
    found = leaderboard(tmp_path)
    assert [board.notes for board in found.photos] == [(UNKNOWN_PHOTOS,)] * 2


def test_training_photos_are_other_photos(tmp_path: Path) -> None:
    write_pair(tmp_path, cells("a", 4.0, 6), cells("b", 4.0, 60))
    first, second = find_benchmarks([tmp_path], tmp_path).results
    seen = tuple(
        replace(item, params={**item.params, "split": "seen"}) if item.metric == "top1" else item
        for item in second.measurements
    )
    found = make_leaderboard(FoundBenchmarks(results=(first, replace(second, measurements=seen))))
    assert [board.photos.seen for board in found.photos] == [False, True]
    assert "some used in training" in found.photos[1].title


def test_flagged_latencies_are_not_compared(tmp_path: Path) -> None:
    write_pair(tmp_path, one_file("a", 4.0, 6), [replace(one_file("b", 1.0, 6)[0], noisy=True)])
    board = only_machine(tmp_path)
    assert board.recommendation.chosen is not None
    assert board.recommendation.chosen.artifact == "int8.tflite of MobileNetV2 96×96"
    assert standings(board)["int8.tflite of ResNet50 96×96"] == OTHER


def test_results_without_samples_show_no_difference(tmp_path: Path) -> None:
    write_pair(tmp_path, one_file("a", 4.0, 6), one_file("b", 1.0, 100))
    (tmp_path / "b" / "bench" / "samples" / samples_name("int8.tflite", "litert:cpu:2")).unlink()
    marked = {metric for board in leaderboard(tmp_path).machines for e in board.entries for metric in e.row.best}
    assert marked <= {"file_size"}


def test_benchmarks_of_one_model_are_told_apart(tmp_path: Path) -> None:
    write_run(tmp_path, "a", 1, cells("a", 4.0, 6))
    write_run(tmp_path, "b", 2, cells("b", 4.0, 6))
    assert {entry.label for entry in only_machine(tmp_path).entries} == {"a", "b"}
    write_run(tmp_path, "b", 3, cells("b", 4.0, 6), folder="again", began="2026-11-25T10:00:00+00:00")
    labels = {entry.label for entry in only_machine(tmp_path).entries}
    assert labels == {"a, 2026-11-24 10:00", "b, 2026-11-24 10:00", "b, 2026-11-25 10:00"}


def test_other_software_is_named(tmp_path: Path) -> None:
    newer = replace(WORKSTATION, packages={**WORKSTATION.packages, "ai-edge-litert": "2.2.0"})
    write_pair(tmp_path, cells("a", 4.0, 6), cells("b", 4.0, 6), newer)
    assert only_machine(tmp_path).notes == ("Software differs between the benchmarks: ai-edge-litert 2.1.0 and 2.2.0.",)


def test_rows_are_in_the_order_that_was_asked_for(tmp_path: Path) -> None:
    write_runs(tmp_path)
    for order, metric in ORDERS.items():
        for board in leaderboard(tmp_path, order).machines:
            values = [entry.row.value(metric) for entry in board.entries if entry.row.value(metric) is not None]
            descending = metric in ("top1", "throughput")
            assert values == sorted(values, reverse=descending), order
    for board in leaderboard(tmp_path).machines:
        places = [
            ([SHIP, FRONT, OTHER].index(entry.standing), entry.less_accurate, p90_bound(entry.row) or float("inf"))
            for entry in board.entries
        ]
        assert places == sorted(places)
    by_model = [entry.label for entry in leaderboard(tmp_path, "model").machines[0].entries]
    assert by_model == sorted(by_model)
