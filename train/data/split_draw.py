"""Draws the train, validation and test splits; near-duplicates stay in one split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tledge.core.errors import DataError
from tledge.core.number_text import abridged
from tledge.core.split_names import TEST, TRAIN, UNASSIGNED, VALIDATION
from tledge.core.splits import Sample, Splits
from tledge.train.data.dataset import Dataset

PRIORITY = (TEST, VALIDATION, TRAIN)
"""If the user's own folders have near-duplicates in two splits, those in the first of these splits are kept."""

Groups = Sequence[Sequence[Sample]]


@dataclass(frozen=True)
class DrawnSplits:
    """Splits, and the photos that were left out to keep them apart.

    Attributes:
        leaking: photos with a near-duplicate in another of the user's own splits; they are in no split.
    """

    splits: Splits
    leaking: tuple[str, ...]


def draw_splits(
    dataset: Dataset, seed: int, *, validation_fraction: float = 0.15, test_fraction: float = 0.15
) -> DrawnSplits:
    """Draws photos of each class for validation and testing; the others are for training.

    Every split has a photo of every class, and near-duplicates stay in one split. Photos that the data set assigns to a
    split stay there; only the missing splits are drawn. If the data set has near-duplicates in two splits, the test
    photo is kept, else the validation photo.

    Args:
        seed: the same seed and photos give the same splits.
        validation_fraction, test_fraction: fractions of the photos of each class.

    Raises:
        DataError: a class has too few different photos.
    """
    fractions = {VALIDATION: validation_fraction, TEST: test_fraction}
    to_draw = {split: fraction for split, fraction in fractions.items() if split not in dataset.assigned}
    leaking = find_leaks(dataset.assigned, dataset.groups)
    chosen: dict[str, list[Sample]] = {split: [] for split in PRIORITY}
    undrawn: dict[int, list[Sample]] = defaultdict(list)
    for index, (sample, split) in enumerate(zip(dataset.samples, dataset.assigned, strict=True)):
        if index not in leaking:
            (chosen[split] if split in (VALIDATION, TEST) else undrawn[int(dataset.groups[index])]).append(sample)
    groups_by_label: dict[int, list[list[Sample]]] = defaultdict(list)
    for samples in undrawn.values():  # a group with photos of several classes belongs to the class of its first photo
        groups_by_label[samples[0].label].append(samples)
    rng = np.random.default_rng(seed)
    for label, name in enumerate(dataset.class_names):
        groups = groups_by_label[label]
        if len(groups) <= len(to_draw):
            raise DataError(_describe_too_few(dataset, name, count=len(groups), drawn=list(to_draw)))
        for split, drawn in draw_groups([groups[index] for index in rng.permutation(len(groups))], to_draw).items():
            chosen[split] += drawn
    _check_classes(dataset, chosen, leaking=len(leaking))
    splits = Splits(
        root=dataset.root,
        class_names=dataset.class_names,
        train=tuple(chosen[TRAIN]),
        validation=tuple(chosen[VALIDATION]),
        test=tuple(chosen[TEST]),
        archive=dataset.archive[0],
    )
    return DrawnSplits(splits, tuple(dataset.samples[index].path for index in sorted(leaking)))


def draw_groups(groups: Groups, fractions: Mapping[str, float]) -> dict[str, list[Sample]]:
    """Divides groups among splits: each split takes whole groups until it has its fraction of the photos.

    A group that is larger than what a split still needs is kept for training, unless the split is empty and no smaller
    group is left. Each split gets a group, and one is left for training.

    Args:
        groups: near-duplicates, in random order; more groups than ``fractions``.
        fractions: the fraction of the photos for each split but the training split.

    Returns:
        The photos of each split, the training split included.
    """
    total = sum(map(len, groups))
    drawn: dict[str, list[Sample]] = {}
    left = list(groups)
    for done, (split, fraction) in enumerate(fractions.items()):
        wanted = round(fraction * total)
        needed_later = len(fractions) - done  # a group for each later split, and one for training
        taken: list[Sample] = []
        too_large: list[Sequence[Sample]] = []
        while left and len(taken) < wanted and len(left) + len(too_large) > needed_later:
            group = left.pop(0)
            if len(taken) + len(group) <= wanted:
                taken += group
            else:
                too_large.append(group)
        left = too_large + left
        if not taken:
            smallest = min(range(len(left)), key=lambda index: len(left[index]))
            taken = list(left.pop(smallest))
        drawn[split] = taken
    drawn[TRAIN] = [sample for group in left for sample in group]
    return drawn


def find_leaks(assigned: Sequence[str], groups: npt.NDArray[np.intp]) -> set[int]:
    """Returns the indices of photos with a near-duplicate in a split of a higher ``PRIORITY``.

    Args:
        assigned: the split of each photo; ``UNASSIGNED`` counts as training.
        groups: (n,), the group of each photo.
    """
    priorities = [PRIORITY.index(split or TRAIN) for split in assigned]
    highest: dict[int, int] = {}
    for group, priority in zip(groups, priorities, strict=True):
        highest[int(group)] = min(highest.get(int(group), priority), priority)
    return {index for index, group in enumerate(groups) if priorities[index] > highest[int(group)]}


def _check_classes(dataset: Dataset, chosen: Mapping[str, Sequence[Sample]], *, leaking: int) -> None:
    """Raises DataError if a split of the user's own has lost all photos of a class."""
    for split, samples in chosen.items():
        missing = set(range(len(dataset.class_names))) - {sample.label for sample in samples}
        if missing:
            names = abridged(dataset.class_names[label] for label in sorted(missing))
            raise DataError(
                f"the {split} split of '{dataset.root}' has no photos of {names} left after excluding {leaking} that"
                " have a near-duplicate in another split; add photos, or remove its folder to draw the split at random"
            )


def _describe_too_few(dataset: Dataset, name: str, *, count: int, drawn: Sequence[str]) -> str:
    needed = len(drawn) + 1
    where = " for training" if UNASSIGNED not in dataset.assigned else ""
    purposes = " and ".join([TRAIN, *drawn]) if needed < 3 else "train, validation and test"
    return (
        f"too few distinct images of class '{name}' in '{dataset.root}'{where}: {count} (near-duplicates count as"
        f" one); {needed} or more are needed, one each for {purposes}: add images"
    )
