"""A leaderboard: the benchmarks that were compared, by photos and machine."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from string import ascii_uppercase
from typing import Any

from tledge.bench.leaderboard.accuracy_board import AccuracyRow, accuracy_rows
from tledge.bench.leaderboard.benchmark_search import FoundBenchmarks
from tledge.bench.leaderboard.benchmarked_model import BenchmarkedModel, describe_model
from tledge.bench.leaderboard.comparable_groups import PhotoGroup, group_by_photos, machine_key
from tledge.bench.leaderboard.compare_options import STANDING
from tledge.bench.leaderboard.machine_board import MachineBoard, ModelOf, machine_board
from tledge.bench.leaderboard.machine_titles import machine_titles
from tledge.bench.leaderboard.row_order import in_order
from tledge.bench.results.budget import BudgetLimit
from tledge.bench.results.stored_results import StoredCell, StoredResults
from tledge.core.number_text import counted, listed

SET_APART = (
    "Results of other photos are in tables of their own: another data set, another split, or changed photos. Nothing is"
    " compared across them, because some photos are harder than others."
)
UNPAIRED = (
    "Latencies of different benchmarks are compared unpaired, with intervals widened by the largest change of unchanged"
    " files, and by at least 3% with fewer than three of them: smaller differences are not significant."
)
OTHER_BUDGETS = "The budgets of the benchmarks apply to their own reports only, not to these recommendations."
UNKNOWN_PHOTOS = "The photos of this benchmark are not recorded, so its accuracy is compared with that of no other."


@dataclass(frozen=True, kw_only=True)
class PhotoBoard:
    """The results of the same photos.

    Attributes:
        name: of the photos on this leaderboard: "Photos A"; empty if there are no others.
        photos: which they are.
        machines: a table for each machine.
        accuracy: all files, from all machines; empty if there is one machine, whose table says the same.
    """

    name: str
    photos: PhotoGroup
    machines: tuple[MachineBoard, ...]
    accuracy: tuple[AccuracyRow, ...]

    @property
    def title(self) -> str:
        """What the photos are: "Photos A: 300 photos of 2 classes"."""
        return f"{self.name}: {self.photos.title}" if self.name else self.photos.title

    @property
    def notes(self) -> tuple[str, ...]:
        """How far the accuracy can be compared, a sentence each."""
        return () if self.photos.known else (UNKNOWN_PHOTOS,)

    def to_dict(self) -> dict[str, Any]:
        """Returns the board as a dictionary that JSON can hold."""
        return {
            "photos": self.photos.images,
            "classes": self.photos.classes,
            "name": self.name,
            "title": self.title,
            "notes": self.notes,
            "machines": [board.to_dict() for board in self.machines],
            "accuracy": [row.to_dict() for row in self.accuracy],
        }


@dataclass(frozen=True, kw_only=True)
class Leaderboard:
    """What several benchmarks say.

    Attributes:
        benchmarks: those that were compared.
        photos: the results by photos, the set with the most benchmarks first.
        notes: what was left out, and why tables are apart; a sentence each.
        budget: limits that the recommended files have to meet; empty without any.
    """

    benchmarks: tuple[StoredResults, ...]
    photos: tuple[PhotoBoard, ...]
    notes: tuple[str, ...]
    budget: tuple[BudgetLimit, ...] = ()

    @property
    def machines(self) -> tuple[MachineBoard, ...]:
        """The tables of all photos and machines, in order."""
        return tuple(board for photos in self.photos for board in photos.machines)

    @property
    def flags(self) -> tuple[str, ...]:
        """All flags of its rows, sorted."""
        return tuple(sorted({flag for board in self.machines for entry in board.entries for flag in entry.row.flags}))

    @property
    def title(self) -> str:
        """What was compared: "12 results of 3 benchmarks"."""
        rows = sum(len(board.entries) for board in self.machines)
        return f"{counted(rows, 'results')} of {counted(len(self.benchmarks), 'benchmarks')}"

    def to_dict(self) -> dict[str, Any]:
        """Returns the leaderboard as a dictionary that JSON can hold."""
        return {
            "benchmarks": [str(benchmark.path) for benchmark in self.benchmarks],
            "notes": self.notes,
            "budget": [limit.text for limit in self.budget],
            "boards": [board.to_dict() for board in self.photos],
        }


def make_leaderboard(
    found: FoundBenchmarks, *, sort: str = STANDING, budget: Sequence[BudgetLimit] = ()
) -> Leaderboard:
    """Judges benchmarks: accuracy on the same photos, and times on the same machine.

    Args:
        found: at least one benchmark.
        sort: the order of the rows, one of ``ORDERS``.
        budget: limits that the recommended file of each machine has to meet; those of the benchmarks do not apply.
    """
    groups = group_by_photos(found.results)
    titles = machine_titles((benchmark, cell) for benchmark in found.results for cell in benchmark.cells)
    several_photos = sum(bool(group.images) for group in groups) > 1
    boards = []
    for number, group in enumerate(groups):
        name = _photo_name(number) if several_photos and group.images else ""
        judged = _judge_machines(group, titles, budget, named=len(found.results) > 1)
        machines = tuple(replace(board, entries=tuple(in_order(board.entries, sort))) for board in judged)
        accuracy = accuracy_rows(machines) if len(machines) > 1 else ()
        boards.append(PhotoBoard(name=name, photos=group, machines=machines, accuracy=accuracy))
    joined = any(board.benchmarks > 1 for photos in boards for board in photos.machines)
    notes = [f"The recommended files have to meet {listed([limit.text for limit in budget])}."] if budget else []
    reasons = ((OTHER_BUDGETS, any(result.budget for result in found.results)), (UNPAIRED, joined))
    notes += [note for note, holds in (*reasons, (SET_APART, several_photos)) if holds]
    return Leaderboard(
        benchmarks=found.results, photos=tuple(boards), notes=(*notes, *found.notes), budget=tuple(budget)
    )


def _judge_machines(
    group: PhotoGroup, titles: Mapping[Hashable, str], budget: Sequence[BudgetLimit], *, named: bool
) -> list[MachineBoard]:
    """Returns a board for each machine that classified some photos; ``named``: names of files include the model."""
    model_of = _model_lookup(group.benchmarks)
    by_machine: dict[Hashable, list[tuple[StoredResults, list[StoredCell]]]] = {}
    for benchmark in group.benchmarks:
        for cell in benchmark.cells:
            machine = by_machine.setdefault(machine_key(benchmark, cell), [])
            if not machine or machine[-1][0] is not benchmark:
                machine.append((benchmark, []))
            machine[-1][1].append(cell)
    return [
        machine_board(cells, model_of, title=titles[key], named=named, budget=budget)
        for key, cells in by_machine.items()
    ]


def _photo_name(number: int) -> str:
    """Returns a short name for photos: "Photos A", or "Photos 27" where the letters end."""
    return f"Photos {ascii_uppercase[number] if number < len(ascii_uppercase) else number + 1}"


def _model_lookup(benchmarks: Sequence[StoredResults]) -> ModelOf:
    """Returns the function that describes a file of one of some benchmarks, and reads each file once."""
    numbers = {id(benchmark): benchmark for benchmark in benchmarks}

    @cache
    def look_up(number: int, artifact: str) -> BenchmarkedModel:
        return describe_model(numbers[number], artifact)

    return lambda benchmark, artifact: look_up(id(benchmark), artifact)
