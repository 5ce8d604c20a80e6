"""Drawing the train, validation and test splits, once, by seed."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from tledge.core.errors import DataError
from tledge.core.splits import Sample, Splits
from tledge.train.dataset import Dataset

VALIDATION_FRACTION = 0.15
TEST_FRACTION = 0.15


def draw_splits(dataset: Dataset, seed: int) -> Splits:
    """Draws 70% for training, 15% for validation and 15% for testing from each class.

    Every split holds at least one image of every class.

    Args:
        dataset: the images.
        seed: the same seed and images give the same splits.

    Raises:
        DataError: a class has fewer than three images.
    """
    of_class: dict[int, list[Sample]] = defaultdict(list)
    for sample in dataset.samples:
        of_class[sample.label].append(sample)
    rng = np.random.default_rng(seed)
    train: list[Sample] = []
    validation: list[Sample] = []
    test: list[Sample] = []
    for label, name in enumerate(dataset.class_names):
        samples = of_class[label]
        if len(samples) < 3:
            raise DataError(
                f"too few images of class '{name}' in '{dataset.root}': {len(samples)}; 3 or more are needed, one each"
                " to train, validate and test: add images"
            )
        shuffled = [samples[index] for index in rng.permutation(len(samples))]
        validation_end = max(1, round(VALIDATION_FRACTION * len(samples)))
        test_end = validation_end + max(1, round(TEST_FRACTION * len(samples)))
        validation += shuffled[:validation_end]
        test += shuffled[validation_end:test_end]
        train += shuffled[test_end:]
    return Splits(
        root=dataset.root,
        class_names=dataset.class_names,
        train=tuple(train),
        validation=tuple(validation),
        test=tuple(test),
    )
