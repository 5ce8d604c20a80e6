"""Which photos calibrate a model."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tledge.core.errors import OptionError, RunError
from tledge.core.fingerprint import sha256_of_file, sha256_of_records
from tledge.core.progress import Progress
from tledge.core.splits import Sample, Splits
from tledge.export.calibration import load_calibration

pytestmark = pytest.mark.unit


@pytest.fixture
def splits(tmp_path: Path) -> Splits:
    """Ten training photos of class a and three of b, whose red is their index; two more are for validation."""
    samples = []
    for index in range(15):
        path = tmp_path / f"{index:02d}.png"
        Image.new("RGB", (8, 8), (index, 0, 0)).save(path)
        samples.append(Sample(path.name, int(index >= 10), sha256_of_file(path)))
    return Splits(
        root=tmp_path, class_names=("a", "b"), train=tuple(samples[:13]), validation=tuple(samples[13:]), test=()
    )


def load(splits: Splits, images: int, seed: int = 0) -> tuple[list[int], str]:
    """The red of the chosen photos, and the record's fingerprint."""
    pixels, record = load_calibration(
        splits, images=images, seed=seed, size=(4, 6), resize="stretch", progress=Progress()
    )
    assert pixels.shape == (record.images, 4, 6, 3)
    assert pixels.dtype == np.uint8
    assert record.split == "train"
    return pixels[:, 0, 0, 0].tolist(), record.fingerprint


@pytest.mark.parametrize(("images", "of_b"), [(1, None), (2, 1), (4, 2), (6, 3), (8, 3), (13, 3), (100, 3)])
def test_classes_are_equally_frequent_as_long_as_photos_last(splits: Splits, images: int, of_b: int | None) -> None:
    reds, _ = load(splits, images)
    assert len(set(reds)) == len(reds) == min(images, 13)
    assert max(reds) < 13
    if of_b is not None:
        assert sum(red >= 10 for red in reds) == of_b


def test_the_seed_and_the_photos_make_the_fingerprint(splits: Splits) -> None:
    reds, fingerprint = load(splits, 4)
    assert load(splits, 4) == (reds, fingerprint)
    assert load(splits, 4, seed=1)[0] != reds
    chosen = [splits.train[red] for red in reds]
    assert fingerprint == sha256_of_records((sample.path, sample.sha256) for sample in chosen)


@pytest.mark.parametrize("images", [0, -1])
def test_no_photos_are_an_error(splits: Splits, images: int) -> None:
    with pytest.raises(OptionError, match=f"`calibration_images` must be 1 or more; received {images}"):
        load(splits, images)


def test_a_photo_that_has_changed_is_an_error(splits: Splits) -> None:
    for path in splits.paths(splits.train):
        path.write_bytes(b"other")
    with pytest.raises(RunError):
        load(splits, 1)
