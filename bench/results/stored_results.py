"""A results file with all that stands beside it: raw samples, machines, settings, labels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tledge.bench.results.cell_result import CellResult
from tledge.bench.results.param_names import WORST
from tledge.bench.results.results_folder import ResultsFolder, samples_name
from tledge.bench.results.settings import BenchSettings
from tledge.core.environment import Environment
from tledge.core.errors import MeasurementError
from tledge.core.measurement import Measurement, read_results

CellName = tuple[str, str]
"""An artifact and a target."""


@dataclass(frozen=True, kw_only=True)
class StoredCell:
    """One artifact on one target, as it was measured.

    Attributes:
        artifact: the file's name.
        target: in full.
        measurements: all of it but comparisons with other cells of its benchmark.
        samples: the raw samples; None where they are not there.
        environment: the machine; None where its record is not there.
    """

    artifact: str
    target: str
    measurements: tuple[Measurement, ...]
    samples: CellResult | None
    environment: Environment | None

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.artifact} on {self.target}"

    @property
    def sha256(self) -> str:
        """Of the model file."""
        return self.measurements[0].artifact_sha256

    @property
    def provider(self) -> str:
        """What ran it."""
        return str(self.measurements[0].params.get("provider", ""))

    def find(self, metric: str) -> Measurement | None:
        """A metric; of several, that of the best batch size, or of the worst of all attacks at the largest eps."""
        found = [
            item
            for item in self.measurements
            if item.metric == metric and (metric != "robust_accuracy" or item.params["attack"] == WORST)
        ]
        choose = max if metric == "throughput" else min
        return choose(found, key=lambda item: item.value) if found else None


@dataclass(frozen=True, kw_only=True)
class StoredResults:
    """One benchmark.

    Attributes:
        path: the results file.
        cells: in the order in which they first appear.
        settings: what was asked for; None where ``run.json`` is not there.
        labels: the class of each classified photo in the order of the logits; empty where they are not known.
    """

    path: Path
    cells: tuple[StoredCell, ...]
    settings: BenchSettings | None
    labels: tuple[int, ...]

    @property
    def photos(self) -> str:
        """The fingerprint of the classified photos and their labels; empty where it is not known."""
        return "" if self.settings is None else self.settings.photos

    def of(self, artifact: str, target: str) -> StoredCell | None:
        """The cell of that name."""
        return next((cell for cell in self.cells if (cell.artifact, cell.target) == (artifact, target)), None)


def read_stored(path: Path) -> StoredResults:
    """Reads a results file and whatever is left of what stood beside it.

    Args:
        path: ``results.jsonl`` under any name, or the folder that holds it.

    Raises:
        MeasurementError: the results file is absent, empty or foreign.
    """
    path = ResultsFolder(path).results if path.is_dir() else path
    folder = ResultsFolder(path.parent)
    cells: dict[CellName, list[Measurement]] = {}
    for item in read_results(path):
        if item.scenario != "comparison":
            cells.setdefault((item.artifact, item.target), []).append(item)
    found = tuple(_read_cell(folder, *name, items) for name, items in cells.items())
    settings = _read_settings(folder, found)
    return StoredResults(path=path, cells=found, settings=settings, labels=_read_labels(folder))


def _read_cell(folder: ResultsFolder, artifact: str, target: str, items: Sequence[Measurement]) -> StoredCell:
    samples = _read_samples(folder.samples / samples_name(artifact, target), items[0].artifact_sha256)
    return StoredCell(
        artifact=artifact,
        target=target,
        measurements=tuple(items),
        samples=samples,
        environment=_read_environment(folder, items[0].environment, samples),
    )


def _read_samples(path: Path, sha256: str) -> CellResult | None:
    """None also for samples of an earlier tledge, and for those of another file that was called alike."""
    try:
        samples = CellResult.load(path)
    except (OSError, KeyError, TypeError, ValueError):
        return None
    return samples if samples.artifact_sha256 == sha256 and len(samples.latencies) else None


def _read_environment(folder: ResultsFolder, name: str, samples: CellResult | None) -> Environment | None:
    try:
        if samples is not None and samples.environment_id == name:
            fields = samples.environment
        else:
            fields = json.loads((folder.environments / f"{name}.json").read_text(encoding="utf-8"))
        return Environment.from_dict(fields, name)
    except (OSError, ValueError, MeasurementError):
        return None


def _read_settings(folder: ResultsFolder, cells: Sequence[StoredCell]) -> BenchSettings | None:
    """None also where the ``run.json`` of another benchmark stands there: a results file that was moved."""
    try:
        settings = BenchSettings.load(folder.path)
    except MeasurementError:
        return None
    return settings if all(settings.artifacts.get(cell.artifact) == cell.sha256 for cell in cells) else None


def _read_labels(folder: ResultsFolder) -> tuple[int, ...]:
    try:
        return folder.labels()
    except MeasurementError:
        return ()
