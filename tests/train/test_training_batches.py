from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from support import write_stripes

from tledge.core.errors import ImageError
from tledge.core.progress import Progress
from tledge.core.splits import Splits
from tledge.train.data.augmentation import UNCHANGED, Augmentation
from tledge.train.data.dataset import read_dataset
from tledge.train.data.split_draw import draw_splits
from tledge.train.data.training_batches import TrainingBatches

if TYPE_CHECKING:
    from tledge.train.data.loaded_batches import Batch


@pytest.fixture(scope="module")
def splits(photos: Path) -> Splits:
    return draw_splits(read_dataset(photos, Progress()), seed=0).splits


def make(splits: Splits, **changed: object) -> TrainingBatches:
    usual = {
        "splits": splits,
        "size": (24, 24),
        "resize": "crop",
        "batch_size": 10,
        "seed": 3,
        "augmentation": Augmentation(),
        "class_weights": np.array([0.5, 2.0], np.float32),
    }
    return TrainingBatches(**{**usual, **changed})  # type: ignore[arg-type]


def take(batches: TrainingBatches, count: int, first: int = 0) -> list[Batch]:
    """Some batches in the order in which they are learned from."""
    taken = []
    with batches.loading() as loaded:
        for number in range(count):
            loaded.epoch, index = divmod(first * batches.steps + number, batches.steps)
            taken.append(loaded[index])
    return taken


def test_an_epoch_has_every_photo_once_in_full_batches(splits: Splits) -> None:
    batches = make(splits, augmentation=UNCHANGED, batch_size=14)
    assert (len(splits.train), batches.steps, batches.photos) == (56, 4, 14)
    epoch = take(batches, 4)
    assert {images.shape for images, _, _ in epoch} == {(14, 24, 24, 3)}
    seen = {images[place].tobytes() for images, _, _ in epoch for place in range(14)}
    assert len(seen) == 56
    labels = np.concatenate([labels for _, labels, _ in epoch])
    assert labels.sum(axis=0).tolist() == [28, 28]
    for _, one_hot, weights in epoch:
        np.testing.assert_array_equal(weights, np.where(one_hot[:, 0] == 1, 0.5, 2.0))


def test_a_later_epoch_is_the_same_whether_or_not_the_ones_before_ran(splits: Splits) -> None:
    batches = make(splits)
    through = take(batches, 3 * batches.steps)[2 * batches.steps :]
    resumed = take(batches, batches.steps, first=2)
    for ours, theirs in zip(through, resumed, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)
    assert not np.array_equal(through[0][0], take(batches, 1)[0][0]), "each epoch is another one"


def test_hosts_share_each_batch(splits: Splits) -> None:
    whole = take(make(splits), 2)
    parts = [take(make(splits, host=(index, 2)), 2) for index in range(2)]
    for step in range(2):
        for column in range(3):
            shared = np.empty_like(whole[step][column])
            shared[0::2], shared[1::2] = parts[0][step][column], parts[1][step][column]
            np.testing.assert_array_equal(shared, whole[step][column])


@pytest.mark.unit
def test_fewer_photos_than_a_batch_are_one_batch(splits: Splits) -> None:
    batches = make(splits, batch_size=500)
    assert (batches.steps, batches.photos) == (1, 56)


def test_a_photo_that_breaks_meanwhile_is_named(tmp_path: Path) -> None:
    root = write_stripes(tmp_path / "photos", per_class=10)
    splits = draw_splits(read_dataset(root, Progress()), seed=0).splits
    broken = splits.paths(splits.train)[0]
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(ImageError, match=broken.name), make(splits, batch_size=14).loading() as loaded:
        try:
            _ = loaded[0]
        except ImageError as error:
            raise RuntimeError("what Keras makes of it") from error


def test_batches_that_are_asked_for_again_are_the_same(splits: Splits) -> None:
    with make(splits).loading() as loaded:
        first = [loaded[index] for index in (0, 1, 0, 4, 2)]
    np.testing.assert_array_equal(first[0][0], first[2][0])
    np.testing.assert_array_equal(first[4][0], take(make(splits), 3)[2][0])


def test_without_augmentation_photos_are_as_they_are_evaluated(splits: Splits) -> None:
    from tledge.core.images import load_pixels

    batches = make(splits, augmentation=UNCHANGED)
    ((pixels, _, _),) = take(batches, 1)
    paths = splits.paths(splits.train)
    expected = [load_pixels(paths[index], (24, 24), "crop") for index in batches.indices(0, 0)]
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.unit
def test_each_device_gets_as_many_photos(splits: Splits) -> None:
    assert make(splits, batch_size=500, shares=3).photos == 54
