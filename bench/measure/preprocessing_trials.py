"""Why a model's predictions look wrong: other preprocessing and other orders of its labels, tried on the photos."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from tledge.bench.results.cell_result import CellResult
from tledge.bench.results.cells import Cell
from tledge.bench.results.workload import Model, Workload
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

_RANGES: Sequence[tuple[tuple[int, int], tuple[float, ...], tuple[float, ...]]] = (
    ((0, 255), (), ()),
    ((0, 1), (), ()),
    ((-1, 1), (), ()),
    ((0, 1), *IMAGENET),
)


def explain_predictions(
    results: Mapping[Cell, CellResult], workload: Workload, *, here: bool, progress: Progress
) -> list[str]:
    """Returns sentences on the models whose predictions look wrong, with what would mend them.

    Args:
        results: what was measured. Targets on which a model predicts the same are examined once.
        here: the models run on this machine, so that other preprocessing of models made elsewhere can be tried.
    """
    if not workload.labels:
        return []
    different: dict[str, dict[bytes, tuple[Cell, Classes]]] = {}
    for cell, result in results.items():
        if len(result.logits) == len(workload.labels):
            predicted = result.logits.argmax(axis=1)
            different.setdefault(cell.model.name, {}).setdefault(predicted.tobytes(), (cell, predicted))
    found: dict[str, list[str]] = {}
    for name, examined in different.items():
        for cell, predicted in examined.values():
            if text := _explain(cell, predicted, workload, here=here, progress=progress):
                found.setdefault(text, []).append(name if len(examined) == 1 else cell.name)
    return [f"{listed(names, 4)}: {text}." for text, names in found.items()]


def _explain(cell: Cell, predicted: Classes, workload: Workload, *, here: bool, progress: Progress) -> str:
    """Returns what is wrong with a cell's predictions, and what would mend them; empty if nothing seems wrong."""
    labels, classes = np.array(workload.labels, np.intp), len(workload.class_names)
    fault = describe_fault(predicted, labels, workload.class_names)
    remedy = find_remedy({(): predicted}, labels, classes)
    if not fault and remedy is None:
        return ""
    adopted = cell.model.artifact is not None and cell.model.artifact.sidecar.preprocessing is not None
    if adopted and here:
        chosen = choose_balanced(range(len(labels)), workload.labels, TRIAL_PHOTOS, 0)
        try:
            tried = _try_all(cell, workload, chosen, progress)
            remedy = find_remedy(tried, labels[list(chosen)], classes) or remedy
        except TledgeError as error:
            progress.warn(f"other preprocessing of {cell.model.name} could not be tried: {error}")
    if remedy is None:
        return fault
    what, advice = "`labels`", "`adopt(overwrite=True)` describes the model again"
    if not adopted:
        what, advice = "its classes", _check_folders(cell.model, workload)
    return "; ".join(filter(None, (fault, remedy.describe(workload.class_names, what), advice)))


def _check_folders(model: Model, workload: Workload) -> str:
    """Returns where the labels of a model that tledge exported may have been swapped: its own are part of the file."""
    advice = f"check which photos are in which folder of {'`data`' if workload.data else 'the data set'}"
    if model.seen_photos is None:
        advice += ", or give an imported model its labels: `export(model='MODEL', labels='LABELS')`"
    return advice


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
        of_colour = (f"`colour='{colour}'`",) * (colour != present.colour)
        if of_colour:
            yield of_colour, replace(present, colour=colour)
        for (low, high), *by_channel in _RANGES:
            mean, std = (values[: present.channels] for values in by_channel)
            changed = replace(present, colour=colour, input_range=(low, high), mean=mean, std=std)
            if changed != replace(present, colour=colour):
                given = [f"input_range='{low}..{high}'"]
                given += [f"{name}='{','.join(map(str, v))}'" for name, v in (("mean", mean), ("std", std)) if v]
                yield (f"`{', '.join(given)}`", *of_colour), changed
