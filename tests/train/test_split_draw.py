"""Which photo goes in which split: made data sets whose right answer is known."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tledge.core.errors import DataError
from tledge.core.splits import Sample
from tledge.train.data.dataset import Dataset
from tledge.train.data.split_draw import draw_groups, draw_splits, find_leaks

pytestmark = pytest.mark.unit


def make_dataset(*sizes: Sequence[int], assigned: Sequence[str] | None = None) -> Dataset:
    """A data set; each argument has the sizes of a class's groups: ``[2, 1]`` is a pair of near-duplicates and one."""
    samples, groups = [], []
    for label, groups_of_class in enumerate(sizes):
        for number, size in enumerate(groups_of_class):
            first = len(samples)
            samples += [Sample(f"{label}/{number}.{copy}.png", label, f"{first}") for copy in range(size)]
            groups += [first] * size
    return Dataset(
        root=Path("photos"),
        class_names=tuple(f"class {label}" for label in range(len(sizes))),
        samples=tuple(samples),
        assigned=tuple(assigned or [""] * len(samples)),
        groups=np.array(groups, np.intp),
    )


def counts(dataset: Dataset, seed: int = 0, **fractions: float) -> dict[str, Counter[int]]:
    splits = draw_splits(dataset, seed, **fractions).splits
    return {name: Counter(s.label for s in splits.samples(name)) for name in ("train", "validation", "test")}


def test_each_class_gets_its_fractions() -> None:
    dataset = make_dataset([1] * 20, [1] * 40)
    assert counts(dataset) == {"train": {0: 14, 1: 28}, "validation": {0: 3, 1: 6}, "test": {0: 3, 1: 6}}
    assert counts(dataset, validation_fraction=0.1, test_fraction=0.3) == {
        "train": {0: 12, 1: 24},
        "validation": {0: 2, 1: 4},
        "test": {0: 6, 1: 12},
    }


@pytest.mark.parametrize(("photos", "fraction", "drawn"), [(12, 0.2, 2), (13, 0.2, 3), (3, 0.01, 1), (40, 0.01, 1)])
def test_a_fraction_is_rounded_and_at_least_one_photo(photos: int, fraction: float, drawn: int) -> None:
    found = counts(make_dataset([1] * photos, [1] * photos), validation_fraction=fraction, test_fraction=fraction)
    assert found["validation"] == found["test"] == {0: drawn, 1: drawn}


def test_photos_are_drawn_in_the_order_of_the_seed() -> None:
    dataset = make_dataset([1] * 10, [1] * 10)
    for seed in (0, 1):
        splits = draw_splits(dataset, seed, validation_fraction=0.2, test_fraction=0.3).splits
        rng = np.random.default_rng(seed)
        orders = [rng.permutation(10), rng.permutation(10)]
        expected = {
            "validation": [10 * label + i for label, order in enumerate(orders) for i in order[:2]],
            "test": [10 * label + i for label, order in enumerate(orders) for i in order[2:5]],
            "train": [10 * label + i for label, order in enumerate(orders) for i in order[5:]],
        }
        for name, indices in expected.items():
            assert splits.samples(name) == tuple(dataset.samples[index] for index in indices)
        assert draw_splits(dataset, seed, validation_fraction=0.2, test_fraction=0.3).splits == splits


@pytest.mark.parametrize("seed", range(6))
def test_near_duplicates_stay_in_one_split(seed: int) -> None:
    dataset = make_dataset([3, 2, 2, 1, 1, 1, 4, 2, 1, 3], [2] * 10)
    splits = draw_splits(dataset, seed, validation_fraction=0.3, test_fraction=0.2).splits
    split_of = {s.path: name for name in ("train", "validation", "test") for s in splits.samples(name)}
    assert len(split_of) == len(dataset.samples)
    for group in np.unique(dataset.groups):
        members = [dataset.samples[index].path for index in np.flatnonzero(dataset.groups == group)]
        assert len({split_of[path] for path in members}) == 1


def split_sizes(sizes: Sequence[int], fractions: dict[str, float]) -> dict[str, list[int]]:
    """The groups that each split gets of groups of these sizes, in this order."""
    groups = [[Sample(str(number), 0, "")] * size for number, size in enumerate(sizes)]
    return {split: [int(s.path) for s in samples] for split, samples in draw_groups(groups, fractions).items()}


@pytest.mark.parametrize(
    ("sizes", "fractions", "expected"),
    [
        # wanted: 2 of 10. The group of 3 is too large and stays for training, before the others.
        ([3, 1, 1, 5], {"test": 0.2}, {"test": [1, 2], "train": [0, 0, 0, 3, 3, 3, 3, 3]}),
        # a group that fits exactly is taken, and then the split is full
        ([2, 1, 7], {"test": 0.2}, {"test": [0, 0], "train": [1] + [2] * 7}),
        # 1 is taken, the pair would be one too many, the next single one fits
        ([1, 2, 1, 6], {"test": 0.2}, {"test": [0, 2], "train": [1, 1] + [3] * 6}),
        # no group is small enough: the smallest is taken
        ([5, 3, 4], {"test": 0.1}, {"test": [1, 1, 1], "train": [0] * 5 + [2] * 4}),
        # the first of several smallest ones
        ([4, 3, 3], {"test": 0.1}, {"test": [1, 1, 1], "train": [0] * 4 + [2] * 3}),
        # one group is left for the later split, and one for training
        ([1, 1, 1], {"validation": 0.9, "test": 0.9}, {"validation": [0], "test": [1], "train": [2]}),
        ([1, 1, 1, 1], {"validation": 0.9, "test": 0.9}, {"validation": [0, 1], "test": [2], "train": [3]}),
        # groups that were too large for the first split come first for the next one
        ([2, 1, 1, 6], {"validation": 0.1, "test": 0.3}, {"validation": [1], "test": [0, 0, 2], "train": [3] * 6}),
        # too large ones count as left: validation stops although its two groups are not enough
        (
            [4, 1, 1, 1, 3],
            {"validation": 0.3, "test": 0.1},
            {"validation": [1, 2, 3], "test": [4, 4, 4], "train": [0] * 4},
        ),
        ([3, 1, 3], {"validation": 0.29, "test": 0.1}, {"validation": [1], "test": [0, 0, 0], "train": [2, 2, 2]}),
        ([1, 2], {}, {"train": [0, 1, 1]}),
        # 1 is taken, 3 more would be one too many of 3
        ([1, 3, 1, 1, 9], {"test": 0.2}, {"test": [0, 2, 3], "train": [1, 1, 1] + [4] * 9}),
        (
            [9, 9, 1, 1],
            {"validation": 0.1, "test": 0.1},
            {"validation": [2, 3], "test": [0] * 9, "train": [1] * 9},
        ),
    ],
)
def test_splits_take_whole_groups(
    sizes: Sequence[int], fractions: dict[str, float], expected: dict[str, list[int]]
) -> None:
    assert split_sizes(sizes, fractions) == expected


def test_three_different_photos_of_a_class_are_enough_and_two_are_not() -> None:
    assert counts(make_dataset([1] * 3, [5, 1, 1])) == {
        "train": {0: 1, 1: 5},
        "validation": {0: 1, 1: 1},
        "test": {0: 1, 1: 1},
    }
    message = (
        r"too few distinct images of class 'class 1' in 'photos': 2 \(near-duplicates count as one\); 3 or more are"
        " needed, one each for train, validation and test: add images"
    )
    with pytest.raises(DataError, match=message):
        draw_splits(make_dataset([1] * 3, [9, 9]), 0)
    with pytest.raises(DataError, match="of class 'class 1' in 'photos': 1 "):
        draw_splits(make_dataset([1] * 3, [9]), 0)


def test_splits_that_the_data_assigns_are_kept_and_the_others_are_drawn() -> None:
    assigned = [*["train"] * 5, *["validation"] * 2] * 2
    dataset = make_dataset([1] * 7, [1] * 7, assigned=assigned)
    splits = draw_splits(dataset, 3, validation_fraction=0.4, test_fraction=0.4).splits
    assert splits.validation == tuple(s for s, split in zip(dataset.samples, assigned, strict=True) if split[0] == "v")
    assert Counter(s.label for s in splits.test) == {0: 2, 1: 2}
    assert Counter(s.label for s in splits.train) == {0: 3, 1: 3}
    whole = make_dataset([1] * 3, [1] * 3, assigned=["train", "validation", "test"] * 2)
    splits = draw_splits(whole, 0).splits
    assert [s.path for s in splits.train + splits.validation + splits.test] == [
        f"{label}/{number}.0.png" for number in range(3) for label in range(2)
    ]


def test_where_a_split_is_assigned_two_photos_are_enough_for_the_others() -> None:
    enough = make_dataset([1] * 3, [1] * 3, assigned=["train", "train", "test"] * 2)
    assert counts(enough)["validation"] == {0: 1, 1: 1}
    too_few = make_dataset([1] * 3, [1] * 2, assigned=["train", "train", "test", "train", "test"])
    message = r"of class 'class 1' in 'photos' for training: 1 .*; 2 or more are needed, one each for train and valid"
    with pytest.raises(DataError, match=message):
        draw_splits(too_few, 0)
    pets = make_dataset([1] * 3, [1] * 2, assigned=["", "", "test", "", "test"])
    with pytest.raises(DataError, match=r"of class 'class 1' in 'photos': 1 .*; 2 or more"):
        draw_splits(pets, 0)


@pytest.mark.parametrize(
    ("assigned", "groups", "leaks"),
    [
        (["train", "validation", "test"], [0, 1, 2], set()),
        (["train", "validation", "test"], [0, 0, 0], {0, 1}),
        (["train", "validation", "train"], [0, 0, 2], {0}),
        (["test", "train", "validation"], [0, 0, 0], {1, 2}),
        (["", "test", ""], [0, 0, 2], {0}),
        (["train", "train", ""], [0, 0, 0], set()),
        (["test", "test"], [0, 0], set()),
        (["validation", "train", "test", "train"], [0, 0, 2, 2], {1, 3}),
    ],
)
def test_of_near_duplicates_in_two_splits_the_test_photo_is_kept_then_the_validation_photo(
    assigned: list[str], groups: list[int], leaks: set[int]
) -> None:
    assert find_leaks(assigned, np.array(groups, np.intp)) == leaks


def test_leaking_photos_are_in_no_split_and_are_named() -> None:
    # in each class: a pair of near-duplicates in training and test, a pair in training and validation, others
    assigned = [*("train", "test"), *("train", "validation"), *("train", "train", "validation", "test")] * 2
    dataset = make_dataset([2, 2, 1, 1, 1, 1], [2, 2, 1, 1, 1, 1], assigned=assigned)
    drawn = draw_splits(dataset, 0)
    assert drawn.leaking == ("0/0.0.png", "0/1.0.png", "1/0.0.png", "1/1.0.png")
    assert [s.path for s in drawn.splits.test] == ["0/0.1.png", "0/5.0.png", "1/0.1.png", "1/5.0.png"]
    assert [s.path for s in drawn.splits.validation] == ["0/1.1.png", "0/4.0.png", "1/1.1.png", "1/4.0.png"]
    assert len(drawn.splits.train) == 4


def test_a_split_that_loses_a_class_is_an_error() -> None:
    assigned = [*("train", "validation", "test", "test"), *("train", "validation", "test")]
    dataset = make_dataset([1, 2, 1], [1, 1, 1], assigned=assigned)  # the only validation photo of class 0 leaks
    message = (
        "the validation split of 'photos' has no photos of class 0 left after excluding 1 that have a near-duplicate in"
        " another split; add photos"
    )
    with pytest.raises(DataError, match=message):
        draw_splits(dataset, 0)


def test_near_duplicates_of_two_classes_stay_together_and_count_for_the_class_of_the_first() -> None:
    dataset = make_dataset([1] * 4, [1] * 4)
    groups = dataset.groups.copy()
    groups[4] = 0  # the first photo of class 1 is like the first one of class 0
    dataset = Dataset(dataset.root, dataset.class_names, dataset.samples, dataset.assigned, groups)
    for seed in range(5):
        splits = draw_splits(dataset, seed).splits
        sides = {
            name for name in ("train", "validation", "test") for s in splits.samples(name) if s.path[2:] == "0.0.png"
        }
        assert len(sides) == 1
    only_two = Dataset(Path("photos"), ("a", "b"), dataset.samples[:7], ("",) * 7, groups[:7])
    with pytest.raises(DataError, match="of class 'b' in 'photos': 2"):
        draw_splits(only_two, 0)
