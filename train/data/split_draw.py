"""Drawing the train, validation and test splits, once, by seed, with no photo on two sides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tledge.core.errors import DataError
from tledge.core.splits import Sample, Splits
from tledge.train.data.dataset import Dataset
from tledge.train.data.layouts import TEST, TRAIN, UNDECIDED, VALIDATION, abridged

_SIDES = (TEST, VALIDATION, TRAIN)
"""Of near-duplicates that the user's own folders have on two sides, the first of these keeps its photo."""


@dataclass(frozen=True)
class DrawnSplits:
    """Splits, and what was left out to keep them apart.

    Attributes:
        splits: the samples of each.
        leaking: photos that the user's own folders put on a second side of the splits; they are in none.
    """

    splits: Splits
    leaking: tuple[str, ...]


def draw_splits(
    dataset: Dataset, seed: int, validation_fraction: float = 0.15, test_fraction: float = 0.15
) -> DrawnSplits:
    """Draws photos of each class for validation and testing; the others are for training.

    Every split holds at least one photo of every class, and near-duplicates stay in one split. What the dataset's own
    folders or lists put in a split stays there, and only the splits that they do not name are drawn, from the
    rest. If they have near-duplicates on two sides, the test photo stays, then the validation photo.

    Args:
        dataset: the photos.
        seed: the same seed and photos give the same splits.
        validation_fraction: of the photos of each class.
        test_fraction: likewise.

    Raises:
        DataError: a class has too few different photos.
    """
    given = set(dataset.given)
    to_draw = {
        split: fraction
        for split, fraction in ((VALIDATION, validation_fraction), (TEST, test_fraction))
        if split not in given
    }
    leaking = _find_leaks(dataset)
    placed: dict[str, list[Sample]] = {split: [] for split in _SIDES}
    free: dict[int, dict[int, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    label_of_group: dict[int, int] = {}
    for place, sample in enumerate(dataset.samples):
        if place in leaking:
            continue
        if dataset.given[place] in (VALIDATION, TEST):
            placed[dataset.given[place]].append(sample)
        else:  # undecided, or training photos of which a split that is not given is drawn
            group = int(dataset.groups[place])
            free[label_of_group.setdefault(group, sample.label)][group].append(sample)
    rng = np.random.default_rng(seed)
    for label, name in enumerate(dataset.class_names):
        groups = list(free[label].values())
        if len(groups) <= len(to_draw):
            raise DataError(_describe_too_few(dataset, name, len(groups), list(to_draw)))
        for split, samples in _draw([groups[index] for index in rng.permutation(len(groups))], to_draw).items():
            placed[split] += samples
    _refuse_gaps(dataset, placed, len(leaking))
    splits = Splits(
        root=dataset.root,
        class_names=dataset.class_names,
        train=tuple(placed[TRAIN]),
        validation=tuple(placed[VALIDATION]),
        test=tuple(placed[TEST]),
    )
    return DrawnSplits(splits, tuple(dataset.samples[place].path for place in sorted(leaking)))


def _refuse_gaps(dataset: Dataset, placed: dict[str, list[Sample]], leaking: int) -> None:
    """Raises DataError where a split of the user's own has lost all photos of a class."""
    for split, samples in placed.items():
        missing = set(range(len(dataset.class_names))) - {sample.label for sample in samples}
        if missing:
            names = abridged(dataset.class_names[label] for label in sorted(missing))
            raise DataError(
                f"the {split} split of '{dataset.root}' has no photo of {names} left, once {leaking} with a"
                " near-duplicate in another split are left out: give it photos of its own, or remove its folder and"
                " let it be drawn"
            )


def _draw(groups: Sequence[list[Sample]], fractions: dict[str, float]) -> dict[str, list[Sample]]:
    """Takes whole groups for each split until it has its fraction of the photos, one group at the least.

    A group that is larger than what a split still wants is kept for training, unless the split is empty and
    nothing smaller is left.
    """
    total = sum(map(len, groups))
    drawn: dict[str, list[Sample]] = {}
    left = list(groups)
    for done, (split, fraction) in enumerate(fractions.items()):
        wanted = max(1, round(fraction * total))
        needed_later = len(fractions) - done  # a group for each later split, and one for training
        taken: list[Sample] = []
        passed: list[list[Sample]] = []
        while left and len(taken) < wanted and len(left) + len(passed) > needed_later:
            group = left.pop(0)
            if len(taken) + len(group) <= wanted:
                taken += group
            else:
                passed.append(group)
        left = passed + left
        if not taken:
            smallest = min(range(len(left)), key=lambda index: len(left[index]))
            taken = left.pop(smallest)
        drawn[split] = taken
    drawn[TRAIN] = [sample for group in left for sample in group]
    return drawn


def _find_leaks(dataset: Dataset) -> set[int]:
    """The places of photos that have a near-duplicate on a side that goes before their own."""
    side = [_SIDES.index(split or TRAIN) for split in dataset.given]
    first_side: dict[int, int] = {}
    for group, own in zip(dataset.groups, side, strict=True):
        first_side[int(group)] = min(first_side.get(int(group), own), own)
    return {place for place, group in enumerate(dataset.groups) if side[place] > first_side[int(group)]}


def _describe_too_few(dataset: Dataset, name: str, count: int, drawn: list[str]) -> str:
    needed = len(drawn) + 1
    where = " for training" if UNDECIDED not in dataset.given else ""
    purposes = " and ".join([TRAIN, *drawn]) if needed < 3 else "train, validation and test"
    return (
        f"too few different images of class '{name}' in '{dataset.root}'{where}: {count} (near-duplicates count as"
        f" one); {needed} or more are needed, one each for {purposes}: add images"
    )
