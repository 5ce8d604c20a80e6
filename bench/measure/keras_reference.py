"""The reference for agreement: the logits of the Keras model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tledge.bench.measure.round_launcher import measure_in_own_process
from tledge.bench.results.cell_result import CellResult, Specification, Timing
from tledge.bench.results.cells import Cell
from tledge.bench.results.results_folder import ResultsFolder
from tledge.bench.results.workload import Model, Workload
from tledge.core.errors import MissingExtraError
from tledge.core.progress import Progress
from tledge.edge_runtime.runtime import resolve
from tledge.edge_runtime.target import Target

UNTIMED = Timing(warm_up=0, minimum_queries=1, minimum_seconds=0.0)


def find_reference(
    workload: Workload, results: Mapping[Cell, CellResult], folders: Sequence[ResultsFolder]
) -> CellResult | None:
    """Finds the Keras model's result among this benchmark's, or in earlier ones of the same model and photos.

    Args:
        workload, results: of this benchmark.
        folders: where results of earlier benchmarks may be.

    Returns:
        The result; None if there is none.
    """
    model = _keras_model(workload)
    if model is None or model.artifact is None:
        return None
    for cell, result in results.items():
        if cell.model.format == "keras":
            return result
    found = (folder.reference(model.artifact.sha256, workload.fingerprint) for folder in folders)
    return next((result for result in found if result is not None), None)


def measure_reference(workload: Workload, progress: Progress) -> CellResult | None:
    """Classifies the photos with the run's Keras model on this machine, in its own process.

    Returns:
        The result; None if the workload has no run, or Keras is not installed.

    Raises:
        MeasurementError: the model could not be run.
    """
    model = _keras_model(workload)
    if model is None:
        return None
    try:
        _, target = resolve(Target("keras", "cpu"))
    except MissingExtraError as error:
        progress.note("Agreement", f"is not measured: {error}")
        return None
    photos = tuple(map(str, workload.photos))
    specification = Specification(
        artifact=str(model.path), target=str(target), bare=False, pixels="", images=photos, timing=UNTIMED
    )
    with progress.step("Keras model", 1, "rounds") as step:
        step.begin(f"{model.name} on {target}")
        measured, cold_start = measure_in_own_process(specification, f"{model.name} on {target}")
        step.advance(1)
    return CellResult.join([measured], [cold_start], UNTIMED.batch_sizes)


def _keras_model(workload: Workload) -> Model | None:
    """Returns the Keras model of a run; a Keras file that was given among other files is no reference."""
    return next((model for model in workload.models if workload.run and model.format == "keras"), None)
