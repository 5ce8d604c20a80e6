"""Which artifact is measured where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tledge.bench.results.results_folder import samples_name
from tledge.bench.results.settings import Skipped
from tledge.bench.results.workload import Model
from tledge.core.errors import OptionError
from tledge.edge_runtime.runtime import RUNTIMES, resolve, targets_of_this_machine
from tledge.edge_runtime.target import Target


@dataclass(frozen=True, eq=False)
class Cell:
    """One model file on one target; equal to itself only."""

    model: Model
    target: Target

    @property
    def name(self) -> str:
        """What people call it: "int8.tflite on litert:cpu:2"."""
        return f"{self.model.name} on {self.target}"

    @property
    def form(self) -> tuple[object, ...]:
        """What decides how photos are decoded for it: two cells of one form take the same pixels."""
        artifact = self.model.artifact
        return () if artifact is None else (artifact.sidecar.input_size, artifact.sidecar.resize)

    @property
    def file_name(self) -> str:
        """What its raw samples are called."""
        return samples_name(self.model.name, str(self.target))


def plan_cells(models: Sequence[Model], wanted: Sequence[str]) -> tuple[list[Cell], list[Skipped]]:
    """Pairs models with all targets that take them, of those asked for or of this machine.

    Raises:
        TledgeError: a target that is none, that this machine does not have, or that takes none of the models.
    """
    asked = list(dict.fromkeys(resolve(Target.parse(text))[1] for text in wanted))
    return pair_cells(models, asked or targets_of_this_machine(), asked=bool(wanted))


def pair_cells(models: Sequence[Model], chosen: Sequence[Target], *, asked: bool) -> tuple[list[Cell], list[Skipped]]:
    """Pairs models with the targets that take them.

    Args:
        models: model files.
        chosen: targets in full.
        asked: a person named them, so that one without a model is an error.

    Raises:
        OptionError: a target that was asked for takes none of the models.
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
    placed = {cell.model.name for cell in cells}
    return cells, [Skipped(model.name, "", _why_no_target(model)) for model in models if model.name not in placed]


def _why_no_target(model: Model) -> str:
    takers = [RUNTIMES.load(name) for name in RUNTIMES.names()]
    reasons = [runtime.missing() for runtime in takers if model.format in runtime.formats]
    return "; ".join(reasons) or f"no runtime takes .{model.format} files"
