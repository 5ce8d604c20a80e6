"""Accuracy of artifacts on corrupted photos, at every severity, and their mean corruption error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tledge.attacks.corruptions import (
    CORRUPTIONS,
    EDGE_CORRUPTIONS,
    SEVERITIES,
    corrupt,
    mean_corruption_error,
)
from tledge.bench.results.cell_result import CellResult
from tledge.bench.results.cells import Cell
from tledge.bench.results.metrics import measurement_of, rate_of
from tledge.bench.results.settings import Skipped
from tledge.bench.results.workload import Workload
from tledge.bench.robustness.robustness_cells import (
    BATCH_SIZE,
    SCENARIO,
    RobustnessCell,
    find_float32,
    find_robustness_cells,
)
from tledge.core.balanced_sample import choose_balanced
from tledge.core.errors import OptionError, TledgeError, UnknownNameError
from tledge.core.image_batches import batches
from tledge.core.images import Pixels
from tledge.core.measurement import Measurement
from tledge.core.progress import Progress, Step
from tledge.core.sidecar import Sidecar
from tledge.edge_runtime import Classifier

GROUPS: Mapping[str, tuple[str, ...]] = {
    "all": CORRUPTIONS + EDGE_CORRUPTIONS,
    "imagenet-c": CORRUPTIONS,
    "edge": EDGE_CORRUPTIONS,
}
"""Names that stand for several corruptions."""

SEED = 0
RESAMPLES = 1000
"""Draws of the photos that the interval of a mean corruption error is taken from."""

CLEAN = "none"
"""The corruption of the photos as they are, at severity 0."""

Hits = dict[tuple[str, int], npt.NDArray[np.bool_]]
"""By corruption and severity, which photos got their class: (photos,)."""


@dataclass(frozen=True)
class CorruptedAccuracy:
    """What was measured.

    Attributes:
        measurements: rows of ``results.jsonl``.
        skipped: the artifacts that could not answer, and why.
        interrupted: a person stopped it; the measurements are those of the corruptions until then.
    """

    measurements: tuple[Measurement, ...]
    skipped: tuple[Skipped, ...] = ()
    interrupted: bool = False


def parse_corruptions(names: Sequence[str]) -> tuple[str, ...]:
    """Corruptions and groups of them by name, in the order of ``GROUPS["all"]``.

    Raises:
        UnknownNameError: there is none of that name.
    """
    wanted: set[str] = set()
    for name in names:
        if name not in GROUPS and name not in GROUPS["all"]:
            raise UnknownNameError("corruption", name, (*GROUPS, *GROUPS["all"]))
        wanted.update(GROUPS.get(name, (name,)))
    return tuple(name for name in GROUPS["all"] if name in wanted)


def check_photos(subject: Workload) -> None:
    """Raises OptionError where there is nothing to corrupt, before anything is measured."""
    if not subject.photos:
        raise OptionError("--corruptions needs photos whose class is known: name a folder of them with --data")


@dataclass
class _Judged:
    """An artifact, and its hits on the photos that were corrupted."""

    who: RobustnessCell
    hits: Hits = field(default_factory=dict)


def measure_corrupted_accuracy(
    results: Mapping[Cell, CellResult], subject: Workload, names: Sequence[str], images: int, progress: Progress
) -> CorruptedAccuracy:
    """Classifies corrupted photos with every artifact, on the first of its targets that was measured.

    Photos are corrupted at a model's input size, after decoding and resizing, as ImageNet-C was made at 224 px. All
    artifacts of one input size see the very same ones. The mean corruption error is relative to the float32 artifact of
    the same format, or of another where there is none; its interval is a bootstrap over the photos, which are the same
    for both.

    Args:
        results: the cells that were measured.
        subject: the photos; there must be some.
        names: of corruptions.
        images: how many photos, as many of each class as can be; all where there are fewer.
        progress: is told of it.
    """
    judged = [_Judged(who) for who in find_robustness_cells(results)]
    places = choose_balanced(range(len(subject.photos)), subject.labels, images, SEED)
    labels = np.array([subject.labels[place] for place in places])
    forms: dict[tuple[object, ...], list[_Judged]] = {}
    for item in judged:
        forms.setdefault(item.who.cell.form, []).append(item)
    failed: dict[str, Skipped] = {}
    interrupted = False
    with progress.step("Corruptions", len(judged) * (1 + len(names) * len(SEVERITIES)), "sets") as step:
        try:
            for items in forms.values():
                pixels = _load(items[0].who.sidecar, [subject.photos[place] for place in places])
                _classify_corrupted(items, pixels, labels, names, failed, step)
        except KeyboardInterrupt:
            interrupted = True
    whole = [item for item in judged if item.who.name not in failed and item.hits]
    measurements = [row for item in whole for row in _rates(item)]
    for item in whole:
        reference = find_float32(item.who, [other.who for other in whole])
        if reference is not None and not interrupted:
            baseline = next(other for other in whole if other.who is reference)
            measurements += _mean_error(item, baseline, names)
    return CorruptedAccuracy(tuple(measurements), tuple(failed.values()), interrupted)


def _load(sidecar: Sidecar, photos: Sequence[Path]) -> Pixels:
    return np.concatenate(list(batches(photos, sidecar.input_size, sidecar.resize, BATCH_SIZE)))


def _classify_corrupted(  # noqa: PLR0917 - who classifies what
    items: Sequence[_Judged],
    pixels: Pixels,
    labels: npt.NDArray[np.int_],
    names: Sequence[str],
    failed: dict[str, Skipped],
    step: Step,
) -> None:
    def fail(who: RobustnessCell, error: TledgeError) -> None:
        failed[who.name] = Skipped(who.name, str(who.cell.target), str(error), failed=True)

    with ExitStack() as stack:
        classifiers = {}
        for item in items:
            try:
                classifiers[item.who.name] = stack.enter_context(item.who.load())
            except TledgeError as error:
                fail(item.who, error)
        for name, severity in ((CLEAN, 0), *((name, severity) for name in names for severity in SEVERITIES)):
            shown = pixels if name == CLEAN else corrupt(pixels, name, severity=severity, seed=SEED)
            for item in items:
                if item.who.name not in failed:
                    try:
                        item.hits[name, severity] = _classify(classifiers[item.who.name], shown) == labels
                    except TledgeError as error:
                        fail(item.who, error)
                step.advance(1, f"{name} {severity}" if severity else "clean")


def _classify(classifier: Classifier, pixels: Pixels) -> npt.NDArray[np.intp]:
    parts = [classifier.logits(pixels[place : place + BATCH_SIZE]) for place in range(0, len(pixels), BATCH_SIZE)]
    classes: npt.NDArray[np.intp] = np.concatenate(parts).argmax(axis=1)
    return classes


def _rates(item: _Judged) -> list[Measurement]:
    return [
        rate_of(
            item.who.cell,
            item.who.result,
            metric="corrupted_accuracy",
            scenario=SCENARIO,
            hits=hits,
            params={"corruption": name, "severity": severity, "seed": SEED},
        )
        for (name, severity), hits in item.hits.items()
    ]


def _mean_error(item: _Judged, baseline: _Judged, names: Sequence[str]) -> list[Measurement]:
    mine, others = (_errors(one, names) for one in (item, baseline))
    error = mean_corruption_error(
        {name: mine[place].mean(axis=1).tolist() for place, name in enumerate(names)},
        {name: others[place].mean(axis=1).tolist() for place, name in enumerate(names)},
    )
    if error.value is None:
        return []
    params = {
        "against": baseline.who.name,
        "corruptions": list(error.by_corruption),
        "undefined": list(error.undefined),
        "by_corruption": dict(error.by_corruption),
    }
    return [
        measurement_of(
            item.who.cell,
            item.who.result,
            metric="mean_corruption_error",
            scenario=SCENARIO,
            value=error.value,
            n=mine.shape[2],
            interval=bootstrap(mine, others),
            params=params,
        )
    ]


def _errors(item: _Judged, names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which photos were wrong: (corruptions, severities, photos)."""
    return np.array([[~item.hits[name, severity] for severity in SEVERITIES] for name in names])


def bootstrap(mine: npt.NDArray[np.bool_], others: npt.NDArray[np.bool_]) -> tuple[float, float] | None:
    """The 95% percentile interval of a mean corruption error over draws of the photos.

    Args:
        mine, others: which photos were wrong: (corruptions, severities, photos).

    Returns:
        None where the others are never wrong.
    """
    photos = mine.shape[2]
    weights = np.random.default_rng(SEED).multinomial(photos, np.full(photos, 1 / photos), RESAMPLES)
    above, below = (weights @ errors.sum(axis=1).T for errors in (mine, others))  # (draws, corruptions)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(below > 0, above / below, np.nan)
    defined = ratios[~np.isnan(ratios).all(axis=1)]
    if not len(defined):
        return None
    low, high = np.quantile(np.nanmean(defined, axis=1), (0.025, 0.975))
    return float(low), float(high)
