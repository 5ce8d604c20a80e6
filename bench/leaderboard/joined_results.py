"""Several benchmarks as one, so that what judges the rows of one benchmark also judges rows of different ones.

Rounds of one benchmark are pairs: its files took turns. Rounds of two benchmarks are not, and two benchmarks of the
same file differ by more than their rounds show, so their latency ratio has the interval of ``bench.earlier``:
unpaired, also valid for a machine of another speed, and widened by how much unchanged files differ between the two
benchmarks, and by at least 3% with fewer than three such files; see docs/adr/0036-a-leaderboard-of-benchmarks.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from pathlib import Path

import numpy as np

from tledge.bench.earlier.cell_match import is_unchanged
from tledge.bench.earlier.metric_change import TIMED_METRICS, BenchmarkVariation, find_change
from tledge.bench.results.budget import BudgetLimit
from tledge.bench.results.rows import Row
from tledge.bench.results.standings import Evidence
from tledge.bench.results.stored_results import CellName, StoredCell, StoredResults
from tledge.core.measurement import Measurement
from tledge.core.significance import Interval, round_ratio

ENOUGH_UNCHANGED = 3
"""With fewer unchanged files and targets in two benchmarks, these are assumed to differ by at least 3%: one median may
agree with another one by chance."""

P90_BOUND = "latency_p90_bound"
"""Judged by the percentile that it bounds."""


@dataclass(frozen=True)
class JoinedEvidence(Evidence):
    """The raw samples of several benchmarks of the same machine.

    Attributes:
        cells: by artifact and target.
        benchmarks: the number of the benchmark of each cell.
    """

    cells: Mapping[CellName, StoredCell] = field(default_factory=dict)
    benchmarks: Mapping[CellName, int] = field(default_factory=dict)

    def ratio(self, metric: str, row: Row, other: Row) -> tuple[float, Interval | None]:
        """Returns a row's value divided by another row's, with its 95% interval, also across benchmarks.

        Across benchmarks it is None if the two are the same file with the same software: any difference is noise.
        """
        one, two = (row.artifact, row.target), (other.artifact, other.target)
        if self.benchmarks[one] == self.benchmarks[two]:
            return super().ratio(metric, row, other)
        variation = self._variations.get((self.benchmarks[two], self.benchmarks[one]), BenchmarkVariation({}))
        old, new = self.cells[two], self.cells[one]
        if metric in TIMED_METRICS or metric == P90_BOUND:
            found = find_change("latency_p90" if metric == P90_BOUND else metric, old, new, variation=variation)
            ratio, interval = (None, None) if found is None else (found.ratio, found.interval)
        else:
            ratio, interval = self._unpaired(metric, row, other, variation)
        return float("nan") if ratio is None else ratio, None if is_unchanged(old, new) else interval

    def _unpaired(
        self, metric: str, row: Row, other: Row, variation: BenchmarkVariation
    ) -> tuple[float | None, Interval | None]:
        """Returns the ratio of what does not depend on the machine's speed, such as memory."""
        found = [self.by_round(metric, item) for item in (row, other)]
        if min(map(len, found)) < 2:
            return None, None
        ratio, interval = round_ratio(*found, paired=False)
        return ratio, None if interval is None else variation.widen(metric, interval)

    @cached_property
    def _variations(self) -> Mapping[tuple[int, int], BenchmarkVariation]:
        """How much two benchmarks differ although nothing was changed, if they have unchanged cells in common."""
        found: dict[tuple[int, int], list[tuple[StoredCell, StoredCell]]] = {}
        by_file: dict[tuple[str, str], list[CellName]] = {}
        for name, cell in self.cells.items():
            by_file.setdefault((cell.sha256, cell.target), []).append(name)
        for names in by_file.values():
            for one, two in product(names, names):
                pair = self.cells[one], self.cells[two]
                if self.benchmarks[one] != self.benchmarks[two] and is_unchanged(*pair):
                    found.setdefault((self.benchmarks[one], self.benchmarks[two]), []).append(pair)
        return {
            numbers: BenchmarkVariation.of(pairs, enough_cells=ENOUGH_UNCHANGED) for numbers, pairs in found.items()
        }


@dataclass(frozen=True, kw_only=True)
class JoinedResults(StoredResults):
    """Cells of several benchmarks, each under a name of its own.

    Attributes:
        benchmarks: the number of the benchmark of each cell.
        limits: of the budget; those of the benchmarks do not apply.
    """

    benchmarks: Mapping[CellName, int]
    limits: tuple[BudgetLimit, ...] = ()

    @cached_property
    def budget(self) -> tuple[BudgetLimit, ...]:
        """The limits that the recommended file has to meet; empty without any."""
        return self.limits

    @cached_property
    def evidence(self) -> Evidence:
        """The raw samples from which differences between rows are judged."""
        cells = {(cell.artifact, cell.target): cell for cell in self.cells}
        labels = np.array(self.labels, np.intp)
        return JoinedEvidence(self.raw_samples, labels, cells=cells, benchmarks=self.benchmarks)


@dataclass(frozen=True, kw_only=True)
class Part:
    """The cells of one benchmark that are joined with those of others.

    Attributes:
        benchmark: where they come from.
        cells: some of its cells.
        label: what sets their names apart from those of other parts; empty if nothing has to.
    """

    benchmark: StoredResults
    cells: tuple[StoredCell, ...]
    label: str = ""

    def name_of(self, artifact: str) -> str:
        """Returns the name of a file among those of all parts."""
        return f"{artifact} of {self.label}" if self.label else artifact


def join(parts: Sequence[Part], budget: Sequence[BudgetLimit] = ()) -> JoinedResults:
    """Joins cells of several benchmarks that classified the same photos, in the same order, or none.

    Args:
        parts: at least one; labels differ if there are several.
        budget: limits that the recommended file has to meet.
    """
    cells: dict[CellName, StoredCell] = {}
    measurements: list[Measurement] = []
    numbers: dict[CellName, int] = {}
    for number, part in enumerate(parts):
        names = {(cell.artifact, cell.target) for cell in part.cells}
        for cell in part.cells:
            renamed = _renamed_cell(cell, part)
            cells[renamed.artifact, renamed.target] = renamed
            numbers[renamed.artifact, renamed.target] = number
        found = part.benchmark.measurements
        measurements += [_renamed(item, part) for item in found if (item.artifact, item.target) in names]
    return JoinedResults(
        path=Path(),
        measurements=tuple(measurements),
        cells=tuple(cells.values()),
        settings=None,
        labels=parts[0].benchmark.labels,
        benchmarks=numbers,
        limits=tuple(budget),
    )


def _renamed_cell(cell: StoredCell, part: Part) -> StoredCell:
    """Returns a cell under its name among those of all parts; samples of another file are left out."""
    raw = cell.raw if cell.raw is not None and cell.raw.artifact_sha256 == cell.sha256 else None
    measurements = tuple(_renamed(item, part) for item in cell.measurements)
    return replace(cell, artifact=part.name_of(cell.artifact), measurements=measurements, raw=raw)


def _renamed(item: Measurement, part: Part) -> Measurement:
    params = dict(item.params)
    if item.scenario == "comparison" and "against" in params:
        params["against"] = part.name_of(str(params["against"]))
    return replace(item, artifact=part.name_of(item.artifact), params=params)
