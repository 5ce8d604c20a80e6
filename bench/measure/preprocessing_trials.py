"""Why a model's predictions look wrong: other preprocessing and other orders of its labels, tried on the photos."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from tledge.bench.results.cell_result import CellResult
from tledge.bench.results.cells import Cell
from tledge.bench.results.workload import Workload
from tledge.core.balanced_sample import choose_balanced
from tledge.core.errors import TledgeError
from tledge.core.image_batches import batches
from tledge.core.number_text import listed
from tledge.core.prediction_check import TRIAL_PHOTOS, Changes, Classes, describe_fault, find_remedy
from tledge.core.preprocessing import Preprocessing
from tledge.core.progress import Progress
from tledge.edge_runtime.adapter import Adapter
from tledge.edge_runtime.runtime import resolve

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of ImageNet's channels, as torchvision's models take them."""

_RANGES: Mapping[str, tuple[tuple[float, float], tuple[float, ...], tuple[float, ...]]] = {
    "--input-range 0..255": ((0, 255), (), ()),
    "--input-range 0..1": ((0, 1), (), ()),
    "--input-range -1..1": ((-1, 1), (), ()),
    "--input-range 0..1 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225": ((0, 1), *IMAGENET),
}


def explain_predictions(
    results: Mapping[Cell, CellResult], workload: Workload, *, here: bool, progress: Progress
) -> list[str]:
    """Returns a sentence on the models whose predictions look wrong, with what would mend them.

    Args:
        results: what was measured.
        here: the models run on this machine, so that other preprocessing of models made elsewhere can be tried.
    """
    found: dict[str, list[str]] = {}
    labels = np.array(workload.labels, np.intp)
    for cell, result in {cell.model.name: (cell, result) for cell, result in results.items()}.values():
        if not len(labels) or len(result.logits) != len(labels):
            continue
        predicted = result.logits.argmax(axis=1)
        fault = describe_fault(predicted, labels, workload.class_names)
        remedy = find_remedy({(): predicted}, labels, len(workload.class_names))
        if not fault and remedy is None:
            continue
        adopted = cell.model.artifact is not None and cell.model.artifact.sidecar.preprocessing is not None
        if adopted and here:
            chosen = choose_balanced(range(len(labels)), workload.labels, TRIAL_PHOTOS, 0)
            try:
                tried = _try_all(cell, workload, chosen, progress)
                remedy = find_remedy(tried, labels[list(chosen)], len(workload.class_names)) or remedy
            except TledgeError as error:
                progress.warn(f"other preprocessing of {cell.model.name} could not be tried: {error}")
        parts = [fault]
        if remedy is not None:
            parts.append(remedy.describe(workload.class_names, "--labels"))
            parts.append("'tledge adopt' describes the model again" if adopted else "export the model again")
        found.setdefault("; ".join(filter(None, parts)), []).append(cell.model.name)
    return [f"{listed(names, 4)}: {text}." for text, names in found.items()]


def _try_all(cell: Cell, workload: Workload, chosen: tuple[int, ...], progress: Progress) -> dict[Changes, Classes]:
    """Returns the predicted classes of some photos with each usual preprocessing."""
    artifact = cell.model.artifact
    if artifact is None or artifact.sidecar.preprocessing is None:
        return {}
    runtime, target = resolve(cell.target)
    session = runtime.load(artifact.path, target, 1)
    sidecar, found = artifact.sidecar, {}
    photos = [workload.photos[index] for index in chosen]
    try:
        variants = dict(_variants(artifact.sidecar.preprocessing))
        with progress.step("Other preprocessing", len(variants), "variants") as step:
            for changes, changed in variants.items():
                step.begin(f"{cell.model.name} {' '.join(changes)}")
                adapter = Adapter(artifact.path, replace(sidecar, preprocessing=changed), session.image, session.output)
                logits = [
                    adapter.to_logits(session.run(adapter.to_tensor(photo[np.newaxis])))
                    for batch in batches(photos, sidecar.input_size, sidecar.resize, 32)
                    for photo in batch
                ]
                found[changes] = np.concatenate(logits).argmax(axis=1)
                step.advance()
    finally:
        session.close()
    return found


def _variants(present: Preprocessing) -> Iterator[tuple[Changes, Preprocessing]]:
    """Yields the usual preprocessings, and what they change; first the present one."""
    yield (), present
    other = {"rgb": "bgr", "bgr": "rgb"}.get(present.colour, present.colour)
    for colour in dict.fromkeys((present.colour, other)):
        of_colour = (f"--colour {colour}",) * (colour != present.colour)
        if of_colour:
            yield of_colour, replace(present, colour=colour)
        for change, (limits, mean, std) in _RANGES.items():
            first = slice(present.channels)
            changed = replace(present, colour=colour, input_range=limits, mean=mean[first], std=std[first])
            if changed != replace(present, colour=colour):
                yield (change, *of_colour), changed
