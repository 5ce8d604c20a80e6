"""The model files of an earlier benchmark against those of now.

What two benchmarks differ by themselves drops out of a ratio that was measured in turns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tledge.bench.compare.environment_changes import find_changes
from tledge.bench.measure.paired_run import PairedRun, measure_in_turns
from tledge.bench.results.cell_result import CellResult, Specification, Timing
from tledge.bench.results.cells import Cell
from tledge.bench.results.results_folder import ResultsFolder
from tledge.bench.results.stored_results import CellName, StoredCell, StoredResults
from tledge.bench.results.workload import Model, read_model
from tledge.core.environment import Environment
from tledge.core.errors import MeasurementError, TledgeError
from tledge.core.fingerprint import sha256_of_file
from tledge.core.progress import Progress
from tledge.edge_runtime.target import Target


@dataclass(frozen=True)
class PairedRuns:
    """What became of them.

    Attributes:
        fought: by artifact and target.
        interrupted: a person stopped it; those until then are there.
    """

    fought: Mapping[CellName, PairedRun]
    interrupted: bool = False


def measure_earlier_in_turns(
    old: StoredResults, results: Mapping[Cell, CellResult], *, timing: Timing, rounds: int, progress: Progress
) -> PairedRuns:
    """Measures each model file of an earlier benchmark that is still there in turns with that of now.

    These are cells of the same name and target whose model file is another one now, is still there as it was, and was
    measured on this kind of machine with this software: where those differ, too, they are part of the answer.

    Args:
        old: the earlier benchmark.
        results: the cells of now.
        timing: how a round is timed.
        rounds: pairs of fresh processes.
        progress: is told of it.
    """
    fought: dict[CellName, PairedRun] = {}
    for cell, result in results.items():
        before = old.of(cell.model.name, str(cell.target))
        if before is None or before.sha256 == result.artifact_sha256:
            continue
        try:
            reason = _why_not(before, cell, result)
            model = None if reason else _find_model(old, before, cell)
            if model is None or (model.artifact is None) != (cell.model.artifact is None):
                reason = reason or "its file of before is not there any more as it was, or has lost its sidecar"
                progress.note("Against", f"{cell.name} is compared with what was measured then: {reason}")
                continue
            sides = (_specify(one, cell, timing) for one in (model, cell.model))
            hashes = before.sha256, result.artifact_sha256
            duel = measure_in_turns(*sides, hashes=hashes, rounds=rounds, name=cell.name, progress=progress)
            fought[cell.model.name, str(cell.target)] = duel
        except (TledgeError, OSError, ValueError) as error:
            progress.warn(f"{cell.name} was not measured in turns with that of before: {error}")
        except KeyboardInterrupt:
            return PairedRuns(fought, interrupted=True)
    return PairedRuns(fought)


def check_in_common(old: StoredResults, cells: Sequence[Cell]) -> None:
    """Refuses an earlier benchmark of other things, before anything is measured.

    Raises:
        MeasurementError: no artifact of it is measured now on the same kind of target.
    """
    planned = {(cell.model.name, cell.target.runtime, cell.target.device) for cell in cells}
    targets = ((cell, Target.parse(cell.target)) for cell in old.cells)
    if not any((cell.artifact, target.runtime, target.device) in planned for cell, target in targets):
        names = ", ".join(cell.name for cell in old.cells[:4])
        raise MeasurementError(
            f"'{old.path}' has no artifact and target in common with what is to be measured"
            f" ({', '.join(cell.name for cell in cells[:4])}): it measured {names}"
        )


def _why_not(before: StoredCell, cell: Cell, result: CellResult) -> str:
    """Why a file of before is not measured again; empty where it may be."""
    if cell.model.format == "keras":
        return "a Keras model is not what ships"
    changes = find_changes(before.environment, Environment.from_dict(result.environment, "the samples"))
    return changes.text if changes.machine or changes.software else ""


def _find_model(old: StoredResults, before: StoredCell, cell: Cell) -> Model | None:
    """The file of before; None where it is nowhere to be found as it was."""
    path: Path = ResultsFolder(old.path.parent).measured_file(before.artifact)
    if not path.is_file() or sha256_of_file(path) != before.sha256:
        return None
    return read_model(path, cell.model.name)


def _specify(model: Model, cell: Cell, timing: Timing) -> Specification:
    """Both sides answer the same random pixels: what a query takes does not depend on them."""
    return Specification(
        artifact=str(model.path),
        target=str(cell.target),
        bare=model.artifact is None,
        pixels="",
        images=(),
        timing=timing,
    )
