"""Measures the model files of an earlier benchmark again, alternating with the new ones.

The variation between two benchmarks cancels out in a ratio that was measured alternately.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tledge.bench.earlier.environment_changes import find_changes
from tledge.bench.measure.paired_run import PairedRun, measure_in_turns
from tledge.bench.results.cell_result import CellResult, Specification, Timing
from tledge.bench.results.cells import Cell
from tledge.bench.results.stored_results import CellName, StoredCell, StoredResults
from tledge.bench.results.workload import Model, read_model
from tledge.core.environment import Environment
from tledge.core.errors import MeasurementError, TledgeError
from tledge.core.model_files import sha256_of_model
from tledge.core.progress import Progress
from tledge.edge_runtime.target import Target


@dataclass(frozen=True)
class PairedRuns:
    """The paired runs of two benchmarks, by artifact and target; of an interrupted measurement, those completed."""

    runs: Mapping[CellName, PairedRun]
    interrupted: bool = False


def measure_earlier_in_turns(
    old: StoredResults, results: Mapping[Cell, CellResult], *, timing: Timing, rounds: int, progress: Progress
) -> PairedRuns:
    """Measures model files of an earlier benchmark, alternating with the new ones.

    This covers cells of the same name and target whose model file changed, if the earlier file still exists unchanged
    and was measured on the same kind of machine with the same software: other differences would be part of the result.

    Args:
        timing: how a round is timed.
        rounds: pairs of fresh processes.
        progress: shows the rounds, and which cells are not measured alternately.
    """
    runs: dict[CellName, PairedRun] = {}
    for cell, result in results.items():
        before = old.of(cell.model.name, str(cell.target))
        if before is None or before.sha256 == result.artifact_sha256:
            continue
        try:
            reason = _why_not(before, cell, result)
            model = None if reason else _find_model(old, before, cell)
            if model is None or (model.artifact is None) != (cell.model.artifact is None):
                reason = reason or "the earlier file is gone, was changed, or lost its sidecar"
                progress.note("Against", f"{cell.name} is compared with the earlier measurements: {reason}")
                continue
            specifications = (_specify(each, cell, timing) for each in (model, cell.model))
            hashes = before.sha256, result.artifact_sha256
            run = measure_in_turns(*specifications, hashes=hashes, rounds=rounds, name=cell.name, progress=progress)
            runs[cell.model.name, str(cell.target)] = run
        except (TledgeError, OSError, ValueError) as error:
            progress.warn(f"{cell.name} was not measured alternately with the earlier file: {error}")
        except KeyboardInterrupt:
            return PairedRuns(runs, interrupted=True)
    return PairedRuns(runs)


def check_in_common(old: StoredResults, cells: Sequence[Cell]) -> None:
    """Rejects an earlier benchmark that has nothing in common with this one, before anything is measured.

    Raises:
        MeasurementError: none of its artifacts is planned on the same runtime and device.
    """
    planned = {(cell.model.name, cell.target.runtime, cell.target.device) for cell in cells}
    targets = ((cell, Target.parse(cell.target)) for cell in old.cells)
    if not any((cell.artifact, target.runtime, target.device) in planned for cell, target in targets):
        names = ", ".join(cell.name for cell in old.cells[:4])
        raise MeasurementError(
            f"'{old.path}' has no artifact and target in common with this benchmark"
            f" ({', '.join(cell.name for cell in cells[:4])}): it measured {names}"
        )


def _why_not(before: StoredCell, cell: Cell, result: CellResult) -> str:
    """Returns why an earlier file is not measured again; empty if it is."""
    if cell.model.format == "keras":
        return "earlier Keras models are not measured again"
    changes = find_changes(before.environment, Environment.from_dict(result.environment, "the samples"))
    return changes.text if changes.machine or changes.software else ""


def _find_model(old: StoredResults, before: StoredCell, cell: Cell) -> Model | None:
    """Returns the earlier model file; None if it is gone or was changed."""
    path = old.folder.measured_file(before.artifact)
    if not path.is_file() or sha256_of_model(path) != before.sha256:
        return None
    return read_model(path, cell.model.name, cell.model.input_size)


def _specify(model: Model, cell: Cell, timing: Timing) -> Specification:
    """Returns a specification on random pixels, the same for both models: latency does not depend on them."""
    artifact, target, bare = str(model.path), str(cell.target), model.artifact is None
    return Specification(
        artifact=artifact,
        target=target,
        bare=bare,
        pixels="",
        images=(),
        timing=timing,
        input_size=model.input_size,
    )
