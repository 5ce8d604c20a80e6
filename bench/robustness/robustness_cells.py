"""Who answers when photos are made harder: each artifact, on the first of its targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tledge.bench.results.cell_result import CellResult
from tledge.bench.results.cells import Cell
from tledge.core.sidecar import Sidecar
from tledge.edge_runtime import Classifier

SCENARIO = "robustness"
"""Of all measurements of this room."""

BATCH_SIZE = 32
"""Photos at a time."""


@dataclass(frozen=True, eq=False)
class RobustnessCell:
    """An artifact on a target; equal to itself only.

    Attributes:
        cell: which.
        result: what its cell measured.
        sidecar: what the file says of itself.
    """

    cell: Cell
    result: CellResult
    sidecar: Sidecar

    @property
    def name(self) -> str:
        """The artifact's."""
        return self.cell.model.name

    def load(self) -> Classifier:
        """The artifact, ready to answer. Raises TledgeError where it cannot be loaded."""
        return Classifier(self.cell.model.path, target=str(self.cell.target))


def find_robustness_cells(results: Mapping[Cell, CellResult]) -> list[RobustnessCell]:
    """Each artifact that says what its classes are, on the first target that it was measured on; no Keras model."""
    found: dict[str, RobustnessCell] = {}
    for cell, result in results.items():
        artifact = cell.model.artifact
        if cell.model.format != "keras" and artifact is not None:
            found.setdefault(cell.model.name, RobustnessCell(cell, result, artifact.sidecar))
    return list(found.values())


def find_float32(item: RobustnessCell, others: Sequence[RobustnessCell]) -> RobustnessCell | None:
    """The float32 artifact that one is compared with, of its format or of another; None for that one itself."""
    floats = [other for other in others if other.sidecar.recipe == "float32"]
    floats.sort(
        key=lambda other: (other.cell.form != item.cell.form, other.cell.model.format != item.cell.model.format)
    )
    return floats[0] if floats and floats[0] is not item else None
