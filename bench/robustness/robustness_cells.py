"""The artifacts that corrupted and attacked photos are shown to, each on the first of its targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tledge.bench.results.cell_result import CellResult
from tledge.bench.results.cells import Cell
from tledge.bench.results.metrics import MeasuredCell
from tledge.bench.results.settings import Skipped
from tledge.core.errors import TledgeError
from tledge.core.sidecar import Sidecar
from tledge.edge_runtime import Classifier


@dataclass(frozen=True, eq=False)
class RobustnessCell(MeasuredCell):
    """A measured artifact whose classes are known. Compared by identity."""

    sidecar: Sidecar

    @property
    def name(self) -> str:
        """The artifact's name."""
        return self.cell.model.name

    @property
    def target(self) -> str:
        """The target, "runtime:device:threads"."""
        return str(self.cell.target)

    @property
    def is_keras(self) -> bool:
        """Whether it is a Keras model, not an exported artifact."""
        return self.cell.model.format == "keras"

    def load(self) -> Classifier:
        """Loads the artifact. Raises TledgeError if it cannot be loaded."""
        return Classifier(self.cell.model.path, target=self.target)

    def failure(self, error: TledgeError) -> Skipped:
        """Returns the record of an error on this artifact."""
        return Skipped(self.name, self.target, str(error), failed=True)


def find_robustness_cells(results: Mapping[Cell, CellResult]) -> list[RobustnessCell]:
    """Returns each artifact with a sidecar on the first target that it was measured on, without Keras models."""
    found: dict[str, RobustnessCell] = {}
    for cell, result in results.items():
        artifact = cell.model.artifact
        if cell.model.format != "keras" and artifact is not None:
            found.setdefault(cell.model.name, RobustnessCell(cell, result, artifact.sidecar))
    return list(found.values())


def find_float32(item: RobustnessCell, others: Sequence[RobustnessCell]) -> RobustnessCell | None:
    """Returns the float32 artifact to compare with, preferably of the same format; None for that artifact itself."""
    floats = [other for other in others if other.sidecar.recipe == "float32"]
    floats.sort(
        key=lambda other: (other.cell.form != item.cell.form, other.cell.model.format != item.cell.model.format)
    )
    return floats[0] if floats and floats[0] is not item else None
