"""The Keras model's answers, which agreement is measured against."""

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
    subject: Workload, results: Mapping[Cell, CellResult], folders: Sequence[ResultsFolder]
) -> CellResult | None:
    """The answers of this benchmark, or of an earlier one of the very same model and photos; None without either.

    Args:
        subject: what is benchmarked.
        results: what was measured.
        folders: where earlier benchmarks may have left them.
    """
    model = _keras_model(subject)
    if model is None or model.artifact is None:
        return None
    for cell, result in results.items():
        if cell.model.format == "keras":
            return result
    found = (folder.reference(model.artifact.sha256, subject.fingerprint) for folder in folders)
    return next((result for result in found if result is not None), None)


def answer_reference(subject: Workload, progress: Progress) -> CellResult | None:
    """Asks the Keras model of a run on this machine; None where there is none, or no Keras to ask.

    Raises:
        MeasurementError: it fails.
    """
    model = _keras_model(subject)
    if model is None:
        return None
    try:
        _, target = resolve(Target("keras", "cpu"))
    except MissingExtraError as error:
        progress.note("Agreement", f"is not measured: {error}")
        return None
    photos = tuple(map(str, subject.photos))
    specification = Specification(
        artifact=str(model.path), target=str(target), bare=False, pixels="", images=photos, timing=UNTIMED
    )
    with progress.step("Keras model", 1, "rounds") as step:
        measured, start = measure_in_own_process(specification, f"{model.name} on {target}")
        step.advance(1)
    return CellResult.join([measured], [start], UNTIMED.batch_sizes)


def _keras_model(subject: Workload) -> Model | None:
    """That of a run; files of Keras models that were given beside others are no reference."""
    return next((model for model in subject.models if subject.run and model.format == "keras"), None)
