"""Who answers when photos are made harder: each artifact, on the first of its targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tledge.bench.cell import CellResult
from tledge.bench.plan import Cell
from tledge.core.sidecar import Sidecar
from tledge.edge_runtime import Classifier

SCENARIO = "robustness"
"""Of all measurements of this room."""

BATCH_SIZE = 32
"""Photos at a time."""


@dataclass(frozen=True, eq=False)
class Answerer:
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


def find_answerers(results: Mapping[Cell, CellResult]) -> list[Answerer]:
    """Each artifact that says what its classes are, on the first target that it was measured on; no Keras model."""
    found: dict[str, Answerer] = {}
    for cell, result in results.items():
        artifact = cell.model.artifact
        if cell.model.format != "keras" and artifact is not None:
            found.setdefault(cell.model.name, Answerer(cell, result, artifact.sidecar))
    return list(found.values())


def find_float32(item: Answerer, others: Sequence[Answerer]) -> Answerer | None:
    """The float32 artifact that one is compared with, of its format or of another; None for that one itself."""
    floats = [other for other in others if other.sidecar.recipe == "float32"]
    floats.sort(
        key=lambda other: (other.cell.form != item.cell.form, other.cell.model.format != item.cell.model.format)
    )
    return floats[0] if floats and floats[0] is not item else None
