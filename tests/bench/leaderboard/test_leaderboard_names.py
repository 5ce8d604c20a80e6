"""No two machines, and no two files, of a leaderboard look the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from comparison_sample import Machine, Planted
from leaderboard_sample import BOARD, WORKSTATION, write_run
from stored_sample import SETTINGS, stored_cell, stored_results

from tledge.bench.leaderboard.benchmark_search import find_benchmarks
from tledge.bench.leaderboard.leaderboard import make_leaderboard
from tledge.bench.leaderboard.machine_titles import machine_titles
from tledge.core.environment import Environment

pytestmark = pytest.mark.unit

SHORT = "AMD Ryzen 7 5800X, 16 cores (bench-1)"


def titles(*machines: Environment | None, places: tuple[str, ...] = ()) -> list[str]:
    measured = []
    for number, machine in enumerate(machines):
        cell = stored_cell({"latency_p50": 1.0}, environment=machine)
        settings = replace(SETTINGS, on=places[number] if places else "")
        measured.append((stored_results(cell, name=f"bench-{number}", settings=settings), cell))
    return list(machine_titles(measured).values())


def test_a_machine_without_another_of_its_name_has_a_short_one() -> None:
    assert titles(WORKSTATION, BOARD, WORKSTATION) == [SHORT, "Raspberry Pi 5 Model B Rev 1.0, 4 cores (raspberrypi)"]
    assert titles(WORKSTATION, replace(WORKSTATION, usable_cores=2))[1] == SHORT.replace("16", "2 of 16")


@pytest.mark.parametrize(
    ("other", "first", "second"),
    [
        (replace(WORKSTATION, governor="powersave"), "governor performance", "governor powersave"),
        (replace(WORKSTATION, governor=""), "governor performance", "governor not recorded"),
        (replace(WORKSTATION, memory=16 << 30), "31 GiB", "16 GiB"),
        (replace(WORKSTATION, machine="i686"), "x86_64", "i686"),
        (replace(WORKSTATION, cpu_features=("avx2",)), "with fma", "without fma"),
        (replace(WORKSTATION, cpu_features=("avx2", "sse2")), "with fma", "with sse2"),
        (
            replace(WORKSTATION, governor="powersave", memory=16 << 30),
            "31 GiB, governor performance",
            "16 GiB, governor powersave",
        ),
    ],
)
def test_what_sets_machines_apart_is_part_of_their_names(other: Environment, first: str, second: str) -> None:
    assert titles(WORKSTATION, other) == [f"{SHORT}, {first}", f"{SHORT}, {second}"]


def test_so_is_the_place_of_on() -> None:
    found = titles(WORKSTATION, WORKSTATION, places=("", "docker:board"))
    assert found == [f"{SHORT}, measured directly", f"{SHORT}, measured through docker:board"]


def test_so_is_the_benchmark_of_machines_that_are_not_recorded() -> None:
    unknown = "A machine that is not recorded"
    assert titles(None) == [unknown]
    assert titles(None, None) == [f"{unknown}, bench-0.jsonl", f"{unknown}, bench-1.jsonl"]


def test_machines_with_more_different_features_than_a_name_lists_are_numbered() -> None:
    several = tuple("abcdef")
    found = titles(
        *(replace(WORKSTATION, cpu_features=(*several, last)) for last in "xyz"), replace(WORKSTATION, cpu_features=())
    )
    assert len(set(found)) == 4
    assert [title.rpartition(", ")[2] for title in found] == ["no. 1", "no. 2", "no. 3", "no. 4"]


def accuracy_names(runs: Path) -> list[tuple[str, str, int]]:
    (photos,) = make_leaderboard(find_benchmarks([runs], runs)).photos
    return [(row.label, row.artifact, len(row.machines)) for row in photos.accuracy]


def test_runs_of_the_same_backbone_are_told_apart_in_the_accuracy_on_all_machines(tmp_path: Path) -> None:
    """Each on a machine of its own, where its model's name is enough."""
    write_run(tmp_path, "a", 1, [Planted(build="a", wrong=6)])
    write_run(tmp_path, "b", 2, [Planted(build="b", wrong=9)], machine=Machine(environment=BOARD))
    assert accuracy_names(tmp_path) == [("a", "int8.tflite", 1), ("b", "int8.tflite", 1)]


def test_a_file_that_machines_classify_differently_keeps_its_name(tmp_path: Path) -> None:
    write_run(tmp_path, "a", 1, [Planted(build="a", wrong=6)])
    write_run(tmp_path, "a", 2, [Planted(build="a", wrong=9)], machine=Machine(environment=BOARD), folder="bench-pi")
    assert accuracy_names(tmp_path) == [("MobileNetV2 96×96", "int8.tflite", 1)] * 2


def test_targets_of_one_machine_that_classify_differently_are_told_apart(tmp_path: Path) -> None:
    both = [Planted(build="a", wrong=wrong, target=f"litert:cpu:{wrong}") for wrong in (1, 2)]
    write_run(tmp_path, "a", 1, both)
    write_run(tmp_path, "b", 2, [Planted(build="b", wrong=9)], machine=Machine(environment=BOARD))
    names = accuracy_names(tmp_path)
    assert len(set(names)) == 3
    assert [name.rpartition(", ")[2] for name, _, _ in names] == ["litert:cpu:1", "litert:cpu:2", "litert:cpu:2"]
