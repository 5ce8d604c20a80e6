"""All that a report shows, read from a folder of results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tledge.bench.results.cell_result import CellResult
from tledge.bench.results.results_folder import REFERENCE, ResultsFolder, samples_name
from tledge.bench.results.rows import Row, summarize
from tledge.bench.results.settings import BenchSettings
from tledge.bench.robustness.attack_examples import RobustnessRecord
from tledge.core.environment import Environment
from tledge.core.errors import MeasurementError
from tledge.core.measurement import Measurement, read_results

Classes = npt.NDArray[np.intp]
CellName = tuple[str, str]
"""An artifact and a target."""


@dataclass(frozen=True, kw_only=True)
class ReportData:
    """One benchmark.

    Attributes:
        title: what was benchmarked.
        settings: what was asked for.
        measurements: the rows of ``results.jsonl``.
        results: the raw samples of the cells whose samples are there.
        labels: the class of each photo that was classified, in the order of the logits.
        reference: the Keras model's answers; None where there are none.
        robustness: which attacked photos to show, and the signs that an attack was fooled.
        adversarial: the folder of attacked photos.
    """

    title: str
    settings: BenchSettings
    measurements: tuple[Measurement, ...]
    results: Mapping[CellName, CellResult]
    labels: tuple[int, ...]
    reference: CellResult | None = None
    robustness: RobustnessRecord = field(default_factory=RobustnessRecord)
    adversarial: Path = Path()

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """The table's rows, in the order in which the cells were planned."""
        return tuple(summarize(self.measurements))

    @cached_property
    def targets(self) -> tuple[str, ...]:
        """What the rows ran on, in order."""
        return tuple(dict.fromkeys(row.target for row in self.rows))

    @cached_property
    def environments(self) -> Mapping[str, Environment]:
        """The machines by the ids of their records."""
        return {
            result.environment_id: Environment.from_dict(result.environment, "the samples")
            for result in self.results.values()
        }

    @cached_property
    def answers(self) -> Mapping[str, Classes]:
        """The class that each artifact gives to each photo, on the first target that it was judged on: (images,)."""
        found: dict[str, Classes] = {}
        for (artifact, _), result in self.results.items():
            if self.labels and len(result.logits) == len(self.labels):
                found.setdefault(artifact, result.logits.argmax(axis=1))
        return found

    def of(self, artifact: str, target: str) -> Row | None:
        """The row of a cell."""
        return next((row for row in self.rows if (row.artifact, row.target) == (artifact, target)), None)


def load_report_data(folder: ResultsFolder, *, title: str) -> ReportData:
    """Reads a folder of results.

    Args:
        folder: where ``results.jsonl`` and ``run.json`` stand, the raw samples beside them.
        title: what was benchmarked.

    Raises:
        MeasurementError: a record is absent, garbled or of a later schema version.
    """
    measurements = tuple(read_results(folder.results))
    cells = dict.fromkeys((item.artifact, item.target) for item in measurements)
    found = {cell: _read_samples(folder.samples / samples_name(*cell)) for cell in cells}
    return ReportData(
        title=title,
        settings=BenchSettings.load(folder.path),
        measurements=measurements,
        results={cell: result for cell, result in found.items() if result is not None},
        labels=folder.labels(),
        reference=_read_samples(folder.samples / REFERENCE),
        robustness=RobustnessRecord.load(folder.robustness),
        adversarial=folder.adversarial,
    )


def _read_samples(path: Path) -> CellResult | None:
    """Raw samples; None where somebody took them away: the report then shows what it can without them."""
    try:
        return CellResult.load(path)
    except FileNotFoundError:
        return None
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise MeasurementError(f"cannot read '{path}': {error}; benchmark again") from error
