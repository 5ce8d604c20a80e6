"""Cells: which artifact is measured on which target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tledge.bench.results.results_folder import samples_name
from tledge.bench.results.settings import Skipped
from tledge.bench.results.workload import Model
from tledge.core.errors import OptionError
from tledge.core.number_text import cell_name
from tledge.edge_runtime.runtime import RUNTIMES, resolve, targets_of_this_machine
from tledge.edge_runtime.target import Target


@dataclass(frozen=True, eq=False)
class Cell:
    """One model file on one target; a cell is equal only to itself."""

    model: Model
    target: Target

    @property
    def name(self) -> str:
        """The cell's name: "int8.tflite on litert:cpu:2"."""
        return cell_name(self.model.name, str(self.target))

    @property
    def form(self) -> tuple[object, ...]:
        """The input size and the resize rule: cells of the same form take the same pixels."""
        artifact = self.model.artifact
        return () if artifact is None else (artifact.sidecar.input_size, artifact.sidecar.resize)

    @property
    def file_name(self) -> str:
        """The name of the file of raw samples."""
        return samples_name(self.model.name, str(self.target))


def plan_cells(models: Sequence[Model], wanted: Sequence[str]) -> tuple[list[Cell], list[Skipped]]:
    """Pairs models with the requested targets, or with all targets of this machine, as far as they run them.

    Raises:
        TledgeError: a target is unknown, not available on this machine, or runs none of the models.
    """
    asked = list(dict.fromkeys(resolve(Target.parse(text))[1] for text in wanted))
    return pair_cells(models, asked or targets_of_this_machine(), asked=bool(wanted))


def pair_cells(models: Sequence[Model], chosen: Sequence[Target], *, asked: bool) -> tuple[list[Cell], list[Skipped]]:
    """Pairs models with the targets that run them.

    Args:
        models: model files.
        chosen: targets in full.
        asked: the user named the targets, so a target without a model is an error.

    Raises:
        OptionError: a target that the user named runs none of the models.
    """
    cells = [
        Cell(model, target)
        for model in models
        for target in chosen
        if model.format in RUNTIMES.load(target.runtime).formats
    ]
    if asked:
        for target in chosen:
            if target not in {cell.target for cell in cells}:
                formats = " or .".join(RUNTIMES.load(target.runtime).formats)
                raise OptionError(f"nothing to run on '{target}': there is no .{formats} file; export one")
        return cells, []
    measured = {cell.model.name for cell in cells}
    return cells, [Skipped(model.name, "", _why_no_target(model)) for model in models if model.name not in measured]


def _why_no_target(model: Model) -> str:
    runtimes = [RUNTIMES.load(name) for name in RUNTIMES.names()]
    reasons = [runtime.missing() for runtime in runtimes if model.format in runtime.formats]
    return "; ".join(reasons) or f"no runtime runs .{model.format} files"
