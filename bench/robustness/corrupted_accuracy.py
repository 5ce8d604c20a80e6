"""Accuracy of artifacts on corrupted photos, at every severity, and their mean corruption error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tledge.attacks.corruptions import CORRUPTIONS, EDGE_CORRUPTIONS, SEVERITIES, corrupt, mean_corruption_error
from tledge.bench.results.cell_result import CellResult
from tledge.bench.results.cells import Cell
from tledge.bench.results.metrics import Hits
from tledge.bench.results.settings import Skipped
from tledge.bench.results.workload import Workload
from tledge.bench.robustness.robustness_cells import RobustnessCell, find_float32, find_robustness_cells
from tledge.core.balanced_sample import choose_balanced
from tledge.core.errors import OptionError, TledgeError, UnknownNameError
from tledge.core.image_batches import batches
from tledge.core.images import Pixels
from tledge.core.measurement import Measurement
from tledge.core.progress import Progress, Step
from tledge.edge_runtime.batched_logits import BATCH_SIZE, batched_logits

GROUPS: Mapping[str, tuple[str, ...]] = {
    "all": CORRUPTIONS + EDGE_CORRUPTIONS,
    "imagenet-c": CORRUPTIONS,
    "edge": EDGE_CORRUPTIONS,
}
"""Names that stand for several corruptions."""

SEED = 0
RESAMPLES = 1000
"""Bootstrap draws for the interval of a mean corruption error."""

CLEAN = "none"
"""Names the photos without a corruption, at severity 0."""


@dataclass(frozen=True)
class CorruptedAccuracy:
    """The measurements on corrupted photos.

    Attributes:
        skipped: the artifacts that failed, and why.
        interrupted: whether Ctrl-C ended it early; the measurements are those of the corruptions until then.
    """

    measurements: tuple[Measurement, ...]
    skipped: tuple[Skipped, ...] = ()
    interrupted: bool = False


def parse_corruptions(names: Sequence[str]) -> tuple[str, ...]:
    """Returns the corruptions of names of corruptions and groups, in the order of ``GROUPS["all"]``.

    Raises:
        UnknownNameError: a name is unknown.
    """
    wanted: set[str] = set()
    for name in names:
        if name not in GROUPS and name not in GROUPS["all"]:
            raise UnknownNameError("corruption", name, (*GROUPS, *GROUPS["all"]))
        wanted.update(GROUPS.get(name, (name,)))
    return tuple(name for name in GROUPS["all"] if name in wanted)


def check_photos(workload: Workload) -> None:
    """Raises OptionError if there are no photos to corrupt."""
    if not workload.photos:
        raise OptionError("`corruptions` needs photos of known classes: name a folder of them with `data`")


@dataclass
class _CorruptedHits:
    """An artifact's hits by corruption and severity."""

    cell: RobustnessCell
    by_set: dict[tuple[str, int], Hits] = field(default_factory=dict)

    def errors(self, names: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Returns which photos are misclassified: (corruptions, severities, photos)."""
        return np.array([[~self.by_set[name, severity] for severity in SEVERITIES] for name in names])


def measure_corrupted_accuracy(
    results: Mapping[Cell, CellResult], workload: Workload, names: Sequence[str], images: int, progress: Progress
) -> CorruptedAccuracy:
    """Classifies corrupted photos with every artifact, on the first target that it was measured on.

    Photos are corrupted at a model's input size, after decoding and resizing, as ImageNet-C was made at 224 px. All
    artifacts of one input size see the same photos. The mean corruption error is relative to the float32 artifact,
    preferably of the same format; its interval is a bootstrap over the photos, with the same draws for both.

    Args:
        results: the cells that were measured.
        workload: has at least one photo.
        names: of corruptions.
        images: number of photos, balanced over the classes; all photos where there are fewer.
        progress: shows the sets of photos.
    """
    items = [_CorruptedHits(cell) for cell in find_robustness_cells(results)]
    indices = choose_balanced(range(len(workload.photos)), workload.labels, images, SEED)
    labels = np.array([workload.labels[index] for index in indices])
    by_form: dict[tuple[object, ...], list[_CorruptedHits]] = {}
    for item in items:
        by_form.setdefault(item.cell.cell.form, []).append(item)
    failed: dict[str, Skipped] = {}
    interrupted = False
    with progress.step("Corruptions", len(items) * (1 + len(names) * len(SEVERITIES)), "sets") as step:
        try:
            for same_form in by_form.values():
                sidecar, photos = same_form[0].cell.sidecar, [workload.photos[index] for index in indices]
                pixels = np.concatenate(list(batches(photos, sidecar.input_size, sidecar.resize, BATCH_SIZE)))
                failed |= _classify_corrupted(same_form, pixels, labels, names=names, step=step)
        except KeyboardInterrupt:
            interrupted = True
    complete = [item for item in items if item.cell.name not in failed and item.by_set]
    measurements = [row for item in complete for row in _rates(item)]
    for item in complete:
        reference = find_float32(item.cell, [other.cell for other in complete])
        if reference is not None and not interrupted:
            baseline = next(other for other in complete if other.cell is reference)
            measurements += _mean_corruption_error(item, baseline, names)
    return CorruptedAccuracy(tuple(measurements), tuple(failed.values()), interrupted)


def _classify_corrupted(
    items: Sequence[_CorruptedHits],
    pixels: Pixels,
    labels: npt.NDArray[np.int_],
    *,
    names: Sequence[str],
    step: Step,
) -> dict[str, Skipped]:
    """Adds the hits of artifacts of the same input; returns those that failed."""
    failed: dict[str, Skipped] = {}
    with ExitStack() as stack:
        classifiers = {}
        for item in items:
            try:
                classifiers[item.cell.name] = stack.enter_context(item.cell.load())
            except TledgeError as error:
                failed[item.cell.name] = item.cell.failure(error)
        for name, severity in ((CLEAN, 0), *((name, severity) for name in names for severity in SEVERITIES)):
            shown = pixels if name == CLEAN else corrupt(pixels, name, severity=severity, seed=SEED)
            for item in items:
                if item.cell.name not in failed:
                    try:
                        logits = batched_logits(classifiers[item.cell.name].logits, shown)
                        item.by_set[name, severity] = logits.argmax(axis=1) == labels
                    except TledgeError as error:
                        failed[item.cell.name] = item.cell.failure(error)
                step.advance(1, f"{name} {severity}" if severity else "clean")
    return failed


def _rates(item: _CorruptedHits) -> list[Measurement]:
    return [
        item.cell.rate("corrupted_accuracy", hits, params={"corruption": name, "severity": severity, "seed": SEED})
        for (name, severity), hits in item.by_set.items()
    ]


def _mean_corruption_error(item: _CorruptedHits, baseline: _CorruptedHits, names: Sequence[str]) -> list[Measurement]:
    errors, baseline_errors = item.errors(names), baseline.errors(names)
    found = mean_corruption_error(
        dict(zip(names, errors.mean(axis=2).tolist(), strict=True)),
        dict(zip(names, baseline_errors.mean(axis=2).tolist(), strict=True)),
    )
    if found.value is None:
        return []
    params = {
        "against": baseline.cell.name,
        "corruptions": list(found.by_corruption),
        "undefined": list(found.undefined),
        "by_corruption": dict(found.by_corruption),
    }
    interval = bootstrap(errors, baseline_errors)
    return [item.cell.number("mean_corruption_error", found.value, n=errors.shape[2], params=params, interval=interval)]


def bootstrap(errors: npt.NDArray[np.bool_], baseline_errors: npt.NDArray[np.bool_]) -> tuple[float, float] | None:
    """Returns the 95% percentile interval of a mean corruption error over draws of the photos.

    Args:
        errors, baseline_errors: which photos are misclassified: (corruptions, severities, photos).

    Returns:
        None if the baseline never errs.
    """
    photos = errors.shape[2]
    weights = np.random.default_rng(SEED).multinomial(photos, np.full(photos, 1 / photos), RESAMPLES)
    above, below = (weights @ each.sum(axis=1).T for each in (errors, baseline_errors))  # (draws, corruptions)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(below > 0, above / below, np.nan)
    defined = ratios[~np.isnan(ratios).all(axis=1)]
    if not len(defined):
        return None
    low, high = np.quantile(np.nanmean(defined, axis=1), (0.025, 0.975))
    return float(low), float(high)
