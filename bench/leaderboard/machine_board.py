"""The files that were measured on one machine and the same photos: the recommendation, the Pareto front, all rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tledge.bench.leaderboard.benchmark_names import names_of, shortest_names
from tledge.bench.leaderboard.benchmarked_model import BenchmarkedModel
from tledge.bench.leaderboard.joined_results import JoinedResults, Part, join
from tledge.bench.report.recommendation_card import RecommendationCard, recommendation_card
from tledge.bench.results.budget import BudgetLimit
from tledge.bench.results.recommendation import Recommendation, recommend
from tledge.bench.results.rows import Row
from tledge.bench.results.shipping_criteria import can_ship, most_accurate
from tledge.bench.results.standings import pareto_front
from tledge.bench.results.stored_results import CellName, StoredCell, StoredResults
from tledge.core.environment import Environment
from tledge.core.number_text import listed

SHIP, FRONT, OTHER = "ship", "front", ""

STANDINGS = (SHIP, FRONT, OTHER)
"""How a row stands among those of its machine, the best first."""

LESS_ACCURATE = "less accurate"
"""The mark of a row whose top-1 is significantly below the best; one on the Pareto front may have it too."""

NOT_RECORDED = "The machine is not recorded, so these latencies are compared with those of no other benchmark."

BenchmarkCells = tuple[StoredResults, Sequence[StoredCell]]
"""A benchmark, and those of its cells that were measured on one machine."""

ModelOf = Callable[[StoredResults, str], BenchmarkedModel]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One file on one target of one machine, as one benchmark measured it.

    Attributes:
        row: its numbers; its name is unique among the rows of its machine.
        artifact: the file's name.
        label: the model; unique among the benchmarks of its machine.
        model: what is recorded of the model.
        benchmark: where it was measured.
        standing: one of ``STANDINGS``.
        less_accurate: its top-1 is significantly below the best; see ``LESS_ACCURATE``.
    """

    row: Row
    artifact: str
    label: str
    model: BenchmarkedModel
    benchmark: StoredResults
    standing: str = OTHER
    less_accurate: bool = False

    @property
    def marks(self) -> tuple[str, ...]:
        """What tables write of its standing and accuracy: ("front", "less accurate"); empty if there is nothing."""
        return tuple(filter(None, [self.standing, LESS_ACCURATE if self.less_accurate else ""]))

    @property
    def standing_order(self) -> int:
        """Its place in the order by standing, which it shares with rows of the same marks: 0 for ``SHIP``."""
        return 2 * STANDINGS.index(self.standing) + self.less_accurate

    def to_dict(self) -> dict[str, Any]:
        """Returns the entry as a dictionary that JSON can hold."""
        settings = self.benchmark.settings
        return {
            **self.row.to_dict(),
            "artifact": self.artifact,
            "name": self.row.artifact,
            "baseline": self.row.baseline.removesuffix(f" of {self.label}"),
            "model": self.model.title or None,
            **self.model.to_dict(),
            "standing": self.standing or None,
            "less_accurate": self.less_accurate,
            "began": None if settings is None else settings.began,
            "results": str(self.benchmark.path),
        }


@dataclass(frozen=True, kw_only=True)
class MachineBoard:
    """What was measured on one machine.

    Attributes:
        title: the machine's name, which no other machine of the leaderboard has.
        machine: its record; None if there is none.
        results: its cells of all benchmarks, as one benchmark.
        entries: a row each.
        recommendation: of all files.
        card: the recommendation in words.
        notes: how far these results can be compared, a sentence each.
    """

    title: str
    machine: Environment | None
    results: JoinedResults
    entries: tuple[Entry, ...]
    recommendation: Recommendation
    card: RecommendationCard
    notes: tuple[str, ...]

    @property
    def benchmarks(self) -> int:
        """How many benchmarks the rows come from."""
        return len(set(self.results.benchmarks.values()))

    def to_dict(self) -> dict[str, Any]:
        """Returns the board as a dictionary that JSON can hold."""
        return {
            "machine": self.title,
            "host": None if self.machine is None else self.machine.host,
            "recommendation": self.recommendation.to_dict(),
            "notes": self.notes,
            "rows": [entry.to_dict() for entry in self.entries],
        }


def machine_board(
    cells: Sequence[BenchmarkCells], model_of: ModelOf, *, title: str, named: bool, budget: Sequence[BudgetLimit] = ()
) -> MachineBoard:
    """Judges the cells of one machine, which classified the same photos.

    Args:
        cells: of each benchmark, at least one.
        model_of: describes a file of a benchmark.
        title: the machine's name.
        named: the names of files include the model, since the leaderboard has several benchmarks.
        budget: limits that the recommended file has to meet.
    """
    labels = _labels(cells, model_of)
    parts = [
        Part(benchmark=benchmark, cells=tuple(found), label=label if named else "")
        for (benchmark, found), label in zip(cells, labels, strict=True)
    ]
    results = join(parts, budget)
    recommendation = recommend(results)
    standings = _standings(results, recommendation)
    less_accurate = _less_accurate(results)
    rows = {(row.artifact, row.target): row for row in results.rows}
    entries = [
        Entry(
            row=rows[part.name_of(cell.artifact), cell.target],
            artifact=cell.artifact,
            label=label,
            model=model_of(part.benchmark, cell.artifact),
            benchmark=part.benchmark,
            standing=standings.get((part.name_of(cell.artifact), cell.target), OTHER),
            less_accurate=(part.name_of(cell.artifact), cell.target) in less_accurate,
        )
        for part, label in zip(parts, labels, strict=True)
        for cell in part.cells
    ]
    return MachineBoard(
        title=title,
        machine=cells[0][1][0].environment,
        results=results,
        entries=tuple(entries),
        recommendation=recommendation,
        card=recommendation_card(results, recommendation),
        notes=tuple(_notes(parts)),
    )


def _standings(results: JoinedResults, recommendation: Recommendation) -> dict[CellName, str]:
    """Returns the standing of the rows that are not ``OTHER``."""
    front = pareto_front(results.rows, results.evidence)
    found: dict[CellName, str] = {(row.artifact, row.target): FRONT for row in front}
    if recommendation.chosen is not None:
        found[recommendation.chosen.artifact, recommendation.chosen.target] = SHIP
    return found


def _less_accurate(results: JoinedResults) -> set[CellName]:
    """Returns the rows that a recommendation without a budget leaves out for their accuracy, by the same test."""
    rows = [row for row in results.rows if can_ship(row)]
    best = most_accurate(rows, results.evidence)
    found = [] if best is None else results.evidence.less_accurate(rows, best)
    return {(row.artifact, row.target) for row in found}


def _labels(cells: Sequence[BenchmarkCells], model_of: ModelOf) -> list[str]:
    """Returns the shortest names that set the benchmarks apart."""
    names = [names_of(benchmark, _model_title(benchmark, found, model_of)) for benchmark, found in cells]
    return shortest_names(names, lambda found: len(set(found)) == len(found))


def _model_title(benchmark: StoredResults, cells: Sequence[StoredCell], model_of: ModelOf) -> str:
    """Returns the model that all files of a benchmark come from; empty if they do not, or it is not known."""
    titles = {model_of(benchmark, cell.artifact).title for cell in cells}
    return titles.pop() if len(titles) == 1 else ""


def _notes(parts: Sequence[Part]) -> list[str]:
    machines = [cell.environment for part in parts for cell in part.cells]
    if None in machines:
        return [NOT_RECORDED]
    if len(parts) == 1:
        return []
    versions: dict[str, set[str]] = {}
    for machine in filter(None, machines):
        for name, version in {**machine.packages, "Python": machine.python, "system": machine.os}.items():
            versions.setdefault(name, set()).add(version)
    changed = [f"{name} {listed(sorted(found))}" for name, found in sorted(versions.items()) if len(found) > 1]
    return [f"Software differs between the benchmarks: {listed(changed, 4)}."] if changed else []
