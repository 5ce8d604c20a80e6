"""The reader of a benchmark's results: a results file with the raw samples, machines, settings and labels beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from tledge.bench.results.budget import BudgetLimit, parse_budget
from tledge.bench.results.cell_result import CellResult
from tledge.bench.results.metrics import Classes
from tledge.bench.results.recommendation import Recommendation, recommend
from tledge.bench.results.results_folder import REFERENCE, ResultsFolder, samples_name
from tledge.bench.results.rows import Row, RowTable, least_robust, mean_over_corruptions, summarize
from tledge.bench.results.settings import NAME, BenchSettings
from tledge.bench.results.standings import Evidence, mark_best
from tledge.core.environment import Environment
from tledge.core.folder_contents import finish_replacement
from tledge.core.measurement import Measurement, read_results
from tledge.core.number_text import cell_name
from tledge.core.progress import Progress

CellName = tuple[str, str]
"""An artifact and a target."""


@dataclass(frozen=True, kw_only=True)
class StoredCell:
    """One artifact on one target, as it was measured.

    Attributes:
        measurements: all of them but comparisons with other cells of the benchmark.
        raw: the raw samples, of whatever they are; None if they are not there.
        environment: the machine; None if its record is not there.
    """

    artifact: str
    target: str
    measurements: tuple[Measurement, ...]
    raw: CellResult | None
    environment: Environment | None

    @property
    def name(self) -> str:
        """The cell's name: "int8.tflite on litert:cpu:2"."""
        return cell_name(self.artifact, self.target)

    @property
    def sha256(self) -> str:
        """The SHA-256 of the model file."""
        return self.measurements[0].artifact_sha256

    @property
    def provider(self) -> str:
        """What ran the model, as its runtime names it."""
        return str(self.measurements[0].params.get("provider", ""))

    @property
    def samples(self) -> CellResult | None:
        """The raw samples to compare with: None also if nothing was timed, or if they are of another file."""
        raw = self.raw
        return raw if raw is not None and raw.artifact_sha256 == self.sha256 and len(raw.latencies) else None

    def find(self, metric: str) -> Measurement | None:
        """Returns a metric's measurement.

        Of several, returns that of the best batch size, the lowest under the worst of all attacks over all norms and
        eps, or the mean over all corruptions and severities.
        """
        found = [item for item in self.measurements if item.metric == metric]
        if metric == "corrupted_accuracy":
            return mean_over_corruptions(found)
        if metric == "robust_accuracy":
            return least_robust(found)
        choose = max if metric == "throughput" else min
        return choose(found, key=lambda item: item.value) if found else None


@dataclass(frozen=True, kw_only=True)
class StoredResults:
    """One benchmark: what reports, comparisons and gates read.

    Attributes:
        path: the results file.
        title: what was measured; empty if the reader does not name it.
        measurements: the lines of the results file.
        cells: in the order in which they first appear.
        settings: ``run.json``; None if it is not there.
        labels: the class of each classified photo in the order of the logits; empty if they are not known.
        reference: the Keras model's logits; None if they are not there.
    """

    path: Path
    title: str = ""
    measurements: tuple[Measurement, ...]
    cells: tuple[StoredCell, ...]
    settings: BenchSettings | None
    labels: tuple[int, ...]
    reference: CellResult | None = None

    @property
    def folder(self) -> ResultsFolder:
        """The folder that holds the results file."""
        return ResultsFolder(self.path.parent)

    @property
    def known_settings(self) -> BenchSettings:
        """The settings. Raises MeasurementError if they are not there."""
        return self.settings if self.settings is not None else BenchSettings.load(self.path.parent)

    @property
    def photos(self) -> str:
        """The fingerprint of the classified photos and their labels; empty if it is not known."""
        return "" if self.settings is None else self.settings.photos

    @cached_property
    def rows(self) -> RowTable:
        """The rows of tables, in the order in which the cells were planned, with the best of each column marked."""
        return mark_best(summarize(self.measurements), self.evidence)

    @cached_property
    def evidence(self) -> Evidence:
        """The raw samples from which differences between rows are judged."""
        return Evidence(self.raw_samples, np.array(self.labels, np.intp))

    @cached_property
    def budget(self) -> tuple[BudgetLimit, ...]:
        """The limits that the recommended file has to meet; empty without any."""
        return () if self.settings is None else parse_budget(self.settings.budget)

    @cached_property
    def recommendation(self) -> Recommendation:
        """Which file to ship."""
        return recommend(self)

    @cached_property
    def targets(self) -> tuple[str, ...]:
        """The targets of the rows, in order."""
        return tuple(dict.fromkeys(row.target for row in self.rows))

    @cached_property
    def raw_samples(self) -> Mapping[CellName, CellResult]:
        """The raw samples that are there, by artifact and target."""
        return {(cell.artifact, cell.target): cell.raw for cell in self.cells if cell.raw is not None}

    @cached_property
    def environments(self) -> Mapping[str, Environment]:
        """The machines, by the ids of their records."""
        found = self.raw_samples.values()
        return {result.environment_id: Environment.from_dict(result.environment, "the samples") for result in found}

    @cached_property
    def predictions(self) -> Mapping[str, Classes]:
        """The class that each artifact predicts for each photo, (images,), on the first target that classified them."""
        found: dict[str, Classes] = {}
        for (artifact, _), result in self.raw_samples.items():
            if self.labels and len(result.logits) == len(self.labels):
                found.setdefault(artifact, result.logits.argmax(axis=1))
        return found

    def of(self, artifact: str, target: str) -> StoredCell | None:
        """Returns a cell by its name."""
        return next((cell for cell in self.cells if (cell.artifact, cell.target) == (artifact, target)), None)

    def row(self, artifact: str, target: str) -> Row | None:
        """Returns a row by its cell's name."""
        return next((row for row in self.rows if (row.artifact, row.target) == (artifact, target)), None)


def read_stored(
    path: Path, *, title: str = "", complete: bool = False, progress: Progress | None = None
) -> StoredResults:
    """Reads a results file and what stands beside it.

    Args:
        path: ``results.jsonl`` under any name, or the folder that holds it.
        title: what was measured.
        complete: the folder must be as a benchmark wrote it; only raw samples may be missing. Without it, whatever is
            missing or of another benchmark is left out: a results file may have been moved.
        progress: reports that an interrupted replacement of the results is finished first.

    Raises:
        MeasurementError: the results file is absent or empty, or a file is damaged; or, with ``complete``, another file
            is absent.
    """
    if not path.exists():  # perhaps a folder of earlier results that had not arrived there
        finish_replacement(path, progress)
    path = ResultsFolder(path).results if path.is_dir() else path
    path = finish_replacement(path.parent, progress) / path.name
    folder = ResultsFolder(path.parent)
    measurements = read_results(path)
    found: dict[CellName, list[Measurement]] = {}
    for item in measurements:
        if item.scenario != "comparison":
            found.setdefault((item.artifact, item.target), []).append(item)
    cells = tuple(_read_cell(folder, items) for items in found.values())
    return StoredResults(
        path=path,
        title=title,
        measurements=tuple(measurements),
        cells=cells,
        settings=BenchSettings.load(folder.path) if complete else _read_settings(folder, cells),
        labels=folder.labels(),
        reference=_read_samples(folder.samples / REFERENCE),
    )


def _read_cell(folder: ResultsFolder, items: Sequence[Measurement]) -> StoredCell:
    first = items[0]
    raw = _read_samples(folder.samples / samples_name(first.artifact, first.target))
    environment = _read_environment(folder, first.environment, raw)
    return StoredCell(
        artifact=first.artifact, target=first.target, measurements=tuple(items), raw=raw, environment=environment
    )


def _read_samples(path: Path) -> CellResult | None:
    """Reads raw samples; None if they were removed."""
    return CellResult.load(path) if path.exists() else None


def _read_environment(folder: ResultsFolder, name: str, raw: CellResult | None) -> Environment | None:
    """Reads a machine's record; None if it is not there."""
    if raw is not None and raw.environment_id == name:
        return Environment.from_dict(raw.environment, f"the samples of {raw.artifact_sha256[:12]}")
    path = folder.environments / f"{name}.json"
    return Environment.load(path) if path.exists() else None


def _read_settings(folder: ResultsFolder, cells: Sequence[StoredCell]) -> BenchSettings | None:
    """Reads ``run.json``; None if it is absent, or is that of another benchmark, because the results file was moved."""
    if not (folder.path / NAME).exists():
        return None
    settings = BenchSettings.load(folder.path)
    if any(settings.artifacts.get(cell.artifact) != cell.sha256 for cell in cells):
        return None
    return settings
