import functools
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from support import blobs

from tledge.core.images import Pixels
from tledge.core.perceptual_hash import thumbnail
from tledge.train.data import near_duplicates
from tledge.train.data.near_duplicates import group_near_duplicates

pytestmark = pytest.mark.unit

PHOTOS = 60


@functools.cache
def original(seed: int) -> Image.Image:
    return blobs(seed)


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


def basis(row: int, column: int) -> NDArray[np.float64]:
    """One frequency of the cosine transform of 16 x 16 pixels."""
    steps = np.pi * (2 * np.arange(16) + 1) / 32
    return np.outer(np.cos(row * steps), np.cos(column * steps))


LOW = [(row, column) for row in range(8) for column in range(8) if (row, column) != (0, 0)] + [(8, 0)]
"""The frequencies whose signs are the hash."""


def from_signs(seed: int) -> NDArray[np.float64]:
    """A thumbnail without its mean, with all frequencies of the hash, of random signs."""
    signs = np.random.default_rng(seed).choice([-1, 1], len(LOW))
    mixed = sum(sign * basis(*frequency) for sign, frequency in zip(signs, LOW, strict=True))
    return 60 * mixed / np.abs(mixed).max()


def as_thumbnails(*images: NDArray[np.float64]) -> Pixels:
    return np.stack([np.rint(128 + image).astype(np.uint8) for image in images])


def with_correlation(image: NDArray[np.float64], correlation: float) -> NDArray[np.float64]:
    """The same with a high frequency on top: its hash stays, and its correlation is as wanted."""
    ratio = np.sqrt(1 / correlation**2 - 1)
    return image + ratio * np.linalg.norm(image) / np.linalg.norm(basis(13, 13)) * basis(13, 13)


@pytest.mark.parametrize(("correlation", "groups"), [(0.9, [0, 1]), (0.945, [0, 1]), (0.955, [0, 0]), (0.99, [0, 0])])
def test_near_duplicates_correlate_by_0_95_or_more(correlation: float, groups: list[int]) -> None:
    for seed in range(5):
        first = from_signs(seed)
        second = with_correlation(first, correlation)
        assert np.corrcoef(as_thumbnails(first, second).reshape(2, -1))[0, 1] == pytest.approx(correlation, abs=0.003)
        assert group_near_duplicates(as_thumbnails(first, second)).tolist() == groups
        assert group_near_duplicates(as_thumbnails(first, second[:, ::-1])).tolist() == groups
        assert group_near_duplicates(as_thumbnails(first, 0.5 * second + 30)).tolist() == groups
    assert group_near_duplicates(as_thumbnails(first, -first)).tolist() == [0, 1], "a negative is another picture"
    assert group_near_duplicates(as_thumbnails(first, first[::-1])).tolist() == [0, 1], "so is one upside down"


def test_the_hash_holds_the_signs_of_the_lowest_frequencies() -> None:
    for seed in range(5):
        signs = np.random.default_rng(seed).choice([-1, 1], len(LOW))
        table = dict(zip(LOW, signs, strict=True))
        bits = [
            table[(8, 0) if (row, column) == (0, 0) else (row, column)] > 0 for row in range(8) for column in range(8)
        ]
        expected = np.packbits(bits).view(np.uint64)[0]
        assert near_duplicates._hash(as_thumbnails(from_signs(seed)))[0] == expected


def candidates(hashes: NDArray[np.uint64]) -> set[tuple[int, int]]:
    found = near_duplicates._candidates(hashes, hashes)
    return {pair for first, second in found for pair in zip(first.tolist(), second.tolist(), strict=True)}


@pytest.mark.parametrize(("bits", "found"), [(0, True), (1, True), (7, True), (8, False), (9, False)])
@pytest.mark.parametrize("spread", [1, 8])
def test_candidates_differ_in_at_most_7_bits(bits: int, spread: int, found: bool) -> None:
    """Within a band of 8 bits, and in as many bands as possible."""
    changed = sum(1 << (bit * spread % 63) for bit in range(bits))
    hashes = np.array([0x123456789ABCDEF0, 0x123456789ABCDEF0 ^ changed], np.uint64)
    assert candidates(hashes) == ({(0, 1)} if found else set())


@pytest.mark.parametrize("offset", range(8))
def test_a_pair_is_compared_once_for_each_band_on_which_it_agrees(offset: int) -> None:
    """Bands are of 8 bits; a bit is changed in some of them."""
    hashes = np.random.default_rng(offset).integers(0, 2**64, 2, np.uint64)
    for changed in ((), (0,), (7,), (0, 7), (1, 2, 3), (0, 1, 2, 3, 4, 5, 6), (1, 2, 3, 4, 5, 6, 7)):
        bits = np.uint64(sum(1 << (8 * band + offset) for band in changed))
        made = np.array([hashes[0], hashes[0] ^ bits, hashes[1]], np.uint64)
        found = [
            pair
            for first, second in near_duplicates._candidates(made, made)
            for pair in zip(first.tolist(), second.tolist(), strict=True)
        ]
        assert found == [(0, 1)] * (8 - len(changed))


def test_pairs_that_are_compared_in_blocks_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = np.array([5, 5, 5, 9, 9, 5], np.uint64)
    expected = {(first, second) for second in range(6) for first in range(second)}
    assert candidates(hashes) == expected
    for block in (1, 2, 7, 36):
        monkeypatch.setattr(near_duplicates, "BLOCK", block)
        assert candidates(hashes) == expected


def test_a_chain_of_near_duplicates_is_one_group_named_by_its_first_photo() -> None:
    """Each is like the next one; the first and the last are not alike."""
    first, other = from_signs(0), from_signs(1)
    chain = [first, with_correlation(first, 0.97)]
    chain.append(chain[1] + 0.25 * np.linalg.norm(first) / np.linalg.norm(basis(12, 14)) * basis(12, 14))
    assert group_near_duplicates(as_thumbnails(chain[0], chain[2])).tolist() == [0, 1]
    assert group_near_duplicates(as_thumbnails(*chain)).tolist() == [0, 0, 0]
    assert group_near_duplicates(as_thumbnails(other, chain[2], chain[0], other, chain[1])).tolist() == [0, 1, 1, 0, 1]
    assert group_near_duplicates(as_thumbnails(other)).tolist() == [0]


def test_a_thumbnail_is_grey_and_16_pixels_wide() -> None:
    small = thumbnail(Image.new("RGB", (64, 32), (255, 0, 0)))
    assert small.shape == (16, 16)
    assert np.unique(small).tolist() == [76], "red is 0.299 of white"


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copies_are_found_and_others_are_not(change: str) -> None:
    originals = [original(seed) for seed in range(PHOTOS)]
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
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, 400, np.uint64)
    for place in range(200):
        bits = rng.choice(64, size=place % 10, replace=False)
        hashes[200 + place] = hashes[place] ^ np.bitwise_or.reduce(np.uint64(1) << bits.astype(np.uint64), initial=0)
    found = candidates(hashes)
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
