"""Drawing the train, validation and test splits, once, by seed."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain

import numpy as np

from tledge.core.errors import DataError
from tledge.core.splits import Sample, Splits
from tledge.train.dataset import Dataset

VALIDATION_FRACTION = 0.15
TEST_FRACTION = 0.15


def draw_splits(dataset: Dataset, seed: int) -> Splits:
    """Draws 70% for training, 15% for validation and 15% for testing from each class.

    Every split holds at least one image of every class. Copies of one image, byte for byte, stay in one split.

    Args:
        dataset: the images.
        seed: the same seed and images give the same splits.

    Raises:
        DataError: a class has fewer than three different images.
    """
    of_class: dict[int, dict[str, list[Sample]]] = defaultdict(lambda: defaultdict(list))
    for sample in dataset.samples:
        of_class[sample.label][sample.sha256].append(sample)
    rng = np.random.default_rng(seed)
    train: list[Sample] = []
    validation: list[Sample] = []
    test: list[Sample] = []
    for label, name in enumerate(dataset.class_names):
        groups = list(of_class[label].values())  # copies of one image stay together
        if len(groups) < 3:
            raise DataError(
                f"too few different images of class '{name}' in '{dataset.root}': {len(groups)}; 3 or more are needed,"
                " one each to train, validate and test: add images"
            )
        shuffled = [groups[index] for index in rng.permutation(len(groups))]
        validation_end = max(1, round(VALIDATION_FRACTION * len(groups)))
        test_end = validation_end + max(1, round(TEST_FRACTION * len(groups)))
        validation += chain.from_iterable(shuffled[:validation_end])
        test += chain.from_iterable(shuffled[validation_end:test_end])
        train += chain.from_iterable(shuffled[test_end:])
    return Splits(
        root=dataset.root,
        class_names=dataset.class_names,
        train=tuple(train),
        validation=tuple(validation),
        test=tuple(test),
    )
