import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from support import blobs

from tledge.core.images import Pixels
from tledge.train.data.near_duplicates import group_near_duplicates, thumbnail

PHOTOS = 60


def recompressed(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=30)
    return Image.open(buffer).convert("RGB")


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "recompressed": recompressed,
    "halved": lambda image: image.resize((image.width // 2, image.height // 2)),
    "stretched": lambda image: image.resize((160, 160)),
    "brightened": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "cropped by 2%": lambda image: image.crop((2, 2, image.width - 2, image.height - 2)),
}


def thumbnails(images: list[Image.Image]) -> Pixels:
    return np.stack([thumbnail(image) for image in images])


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copies_are_found_and_others_are_not(change: str) -> None:
    originals = [blobs(seed) for seed in range(PHOTOS)]
    groups = group_near_duplicates(thumbnails(originals + [CHANGES[change](image) for image in originals]))
    assert list(groups[:PHOTOS]) == list(range(PHOTOS))
    assert np.mean(groups[PHOTOS:] == np.arange(PHOTOS)) >= 0.95


@pytest.mark.unit
def test_groups_join_by_way_of_others() -> None:
    rng = np.random.default_rng(0)
    images = [np.asarray(thumbnail(blobs(1)), float)]
    for _ in range(6):
        images.append(images[-1] + rng.normal(0, 5, images[-1].shape))
    groups = group_near_duplicates(np.clip(np.stack(images), 0, 255).astype(np.uint8))
    assert set(groups) == {0}


@pytest.mark.unit
def test_photos_of_one_colour_are_not_like_everything() -> None:
    plain = Image.new("RGB", (50, 50), "grey")
    groups = group_near_duplicates(thumbnails([blobs(0), plain, blobs(1), Image.new("RGB", (50, 50), "white")]))
    assert groups[0] == 0
    assert groups[2] == 2


@pytest.mark.unit
def test_many_photos_are_grouped_as_each_pair_would_be() -> None:
    """The bands find every pair of hashes that differ in at most 7 bits."""
    from tledge.train.data import near_duplicates

    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, 400, np.uint64)
    for place in range(200):
        bits = rng.choice(64, size=place % 10, replace=False)
        hashes[200 + place] = hashes[place] ^ np.bitwise_or.reduce(np.uint64(1) << bits.astype(np.uint64), initial=0)
    found = {
        pair
        for first, second in near_duplicates._candidates(hashes, hashes)
        for pair in zip(first.tolist(), second.tolist(), strict=True)
    }
    distances = np.bitwise_count(hashes[:, np.newaxis] ^ hashes)
    rows, columns = np.nonzero(np.triu(distances <= near_duplicates.LARGEST_DISTANCE, k=1))
    assert found == set(zip(rows.tolist(), columns.tolist(), strict=True))
    assert len(found) >= 150


def test_a_data_set_reports_them(tmp_path: Path) -> None:
    from tledge.core.progress import Progress
    from tledge.train.data.dataset import read_dataset
    from tledge.train.data.split_draw import draw_splits

    for label, name in enumerate(("a", "b")):
        (tmp_path / name).mkdir()
        for seed in range(20):
            image = blobs(100 * label + seed)
            image.save(tmp_path / name / f"{seed}.jpg")
            recompressed(image.resize((120, 90))).save(tmp_path / name / f"{seed} small.jpg")
    dataset = read_dataset(tmp_path, Progress())
    assert dataset.near_duplicates == 40
    for seed in range(3):
        splits = draw_splits(dataset, seed).splits
        sides = {
            sample.path.replace(" small", ""): split
            for split in ("train", "validation", "test")
            for sample in splits.samples(split)
        }
        for split in ("train", "validation", "test"):
            assert all(sides[sample.path.replace(" small", "")] == split for sample in splits.samples(split))
