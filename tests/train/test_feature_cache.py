import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support import lazy_module

from tledge.core.progress import Progress, Step
from tledge.core.splits import Splits
from tledge.train import feature_cache
from tledge.train.data.dataset import read_dataset
from tledge.train.data.split_draw import draw_splits
from tledge.train.feature_cache import KEPT, FeatureCache, FeatureKey, FeatureSet, fingerprint_of

pytestmark = pytest.mark.unit

lazy_module("keras")


class Backbone:
    """Channel means, and a count of the photos that were run."""

    def __init__(self, dies_after: int = 10**9) -> None:
        self.photos = 0
        self._dies_after = dies_after

    def predict_on_batch(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        self.photos += int((batch.sum(axis=(1, 2, 3)) > 0).sum())
        if self.photos > self._dies_after:
            raise KeyboardInterrupt
        means: NDArray[np.float32] = batch.mean(axis=(1, 2))
        return means


@pytest.fixture(scope="module")
def splits(photos: Path) -> Splits:
    return draw_splits(read_dataset(photos, Progress()), seed=0).splits


@pytest.fixture
def key(splits: Splits) -> FeatureKey:
    return FeatureKey(
        data=fingerprint_of(splits.train),
        backbone="vgg16",
        alpha=1.0,
        weights="abc",
        image_size=32,
        resize="crop",
        backend="tensorflow",
    )


def compute(folder: Path, key: FeatureKey, splits: Splits, backbone: Any) -> FeatureSet:
    return FeatureCache(folder).compute(key, splits.train, backbone=backbone, splits=splits, step=Step())


def test_features_are_computed_once_in_the_order_of_the_samples(
    tmp_path: Path, key: FeatureKey, splits: Splits
) -> None:
    from tledge.core.images import load_pixels

    backbone = Backbone()
    first = compute(tmp_path, key, splits, backbone)
    again = compute(tmp_path, key, splits, backbone)
    assert backbone.photos == len(splits.train)
    assert first.files == again.files
    ((features, labels),) = first.parts()
    expected = [load_pixels(path, (32, 32), "crop").mean(axis=(0, 1)) for path in splits.paths(splits.train)]
    np.testing.assert_allclose(features, expected, rtol=1e-5)
    assert labels.tolist() == [sample.label for sample in splits.train]


@pytest.mark.parametrize(
    "changed",
    [
        {"data": "x"},
        {"backbone": "vgg19"},
        {"alpha": 0.5},
        {"weights": "x"},
        {"image_size": 64},
        {"resize": "stretch"},
        {"decoding": 1},
    ],
)
def test_what_features_depend_on_is_in_their_key(key: FeatureKey, changed: dict[str, Any]) -> None:
    assert replace(key, **changed).name != key.name


def test_a_killed_run_goes_on_at_the_missing_file(
    tmp_path: Path, key: FeatureKey, splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_cache, "SHARD", 16)
    with pytest.raises(KeyboardInterrupt):
        compute(tmp_path, key, splits, Backbone(dies_after=40))
    assert FeatureCache(tmp_path).missing(key, splits.train) == len(splits.train) - 32
    backbone = Backbone()
    resumed = compute(tmp_path, key, splits, backbone)
    assert backbone.photos == len(splits.train) - 32
    whole = compute(tmp_path / "other", key, splits, Backbone())
    for (ours, _), (theirs, _) in zip(resumed.parts(), whole.parts(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_only_some_sets_are_kept(tmp_path: Path, key: FeatureKey, splits: Splits) -> None:
    keys = [replace(key, weights=str(number)) for number in range(KEPT + 2)]
    for number, one in enumerate(keys):
        compute(tmp_path, one, splits, Backbone())
        os.utime(tmp_path / one.name, (number, number))
    FeatureCache(tmp_path).prune()
    assert {path.name for path in tmp_path.iterdir()} == {one.name for one in keys[2:]}


def test_damaged_files_are_computed_again(
    tmp_path: Path, key: FeatureKey, splits: Splits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_cache, "SHARD", 16)
    whole = compute(tmp_path, key, splits, Backbone())
    expected = [features for features, _ in whole.parts()]
    first, second, third = whole.files[:3]
    first.write_bytes(first.read_bytes()[:100])
    second.write_bytes(third.read_bytes())  # whole, but of other photos
    third.unlink()
    third.mkdir()
    cache, backbone = FeatureCache(tmp_path), Backbone()
    assert cache.missing(key, splits.train) == 48
    again = cache.compute(key, splits.train, backbone=backbone, splits=splits, step=Step())
    assert (cache.discarded, backbone.photos) == (3, 48)
    for (ours, _), theirs in zip(again.parts(), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
