"""Fingerprints of training photos: what they recognize, what they do not, and how large they are."""

import hashlib
import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from tledge.core import images, seen_photos
from tledge.core.errors import ArtifactError
from tledge.core.perceptual_hash import Thumbnails, thumbnail
from tledge.core.seen_photos import MOST_BYTES, SeenPhotos, remember_photos

pytestmark = pytest.mark.unit

NONE: tuple[list[str], Thumbnails] = ([], np.empty((0, 16, 16), np.uint8))


def picture(seed: int) -> Image.Image:
    """Smooth random colours, as different from those of another seed as two photos are."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (12, 14, 3), np.uint8))
    return small.resize((300, 260), Image.Resampling.BICUBIC)


def digests(count: int, kind: str = "file") -> list[str]:
    return [hashlib.sha256(f"{kind} {number}".encode()).hexdigest() for number in range(count)]


def saved(image: Image.Image, kind: str, quality: int) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, kind, quality=quality)
    return images.decode_bytes(stream.getvalue())


PHOTOS = [picture(seed) for seed in range(40)]
OTHERS = [picture(seed) for seed in range(1000, 1200)]


def thumbnails(pictures: list[Image.Image]) -> Thumbnails:
    return np.stack([thumbnail(item) for item in pictures])


@pytest.fixture(scope="module")
def seen() -> SeenPhotos:
    return remember_photos(digests(40), thumbnails(PHOTOS), (digests(200, "held out"), thumbnails(OTHERS)))


def test_copies_are_recognized_and_other_photos_are_not(seen: SeenPhotos) -> None:
    assert (seen.photos, seen.stored, seen.appearance, seen.complete) == (40, 40, True, True)
    for change in (
        lambda image: image,
        lambda image: saved(image, "JPEG", 60),
        lambda image: saved(image, "WEBP", 80),
        lambda image: image.resize((150, 130)),
        lambda image: image.resize((600, 520)),
        ImageOps.mirror,
        lambda image: ImageEnhance.Brightness(image).enhance(0.95),
    ):
        copies = thumbnails([change(image) for image in PHOTOS])
        assert seen.recognize(digests(40, "copy"), copies).mean() >= 0.95
    assert not seen.recognize(digests(200, "other"), thumbnails(OTHERS)).any()
    upside_down = thumbnails([ImageOps.flip(image) for image in PHOTOS])
    assert not seen.recognize(digests(40, "copy"), upside_down).any()


def test_a_photo_without_contrast_is_recognized_by_its_file_alone() -> None:
    def grey(contrast: int) -> Thumbnails:
        return np.tile(np.array([100 - contrast, 100 + contrast], np.uint8), (1, 16, 8))

    for contrast, found in ((3, False), (4, True)):  # standard deviations; the bound is 4
        seen = remember_photos(digests(1), grey(contrast), NONE)
        assert seen.recognize(digests(1), grey(contrast)).all()
        assert seen.recognize(digests(1, "copy"), grey(contrast)).tolist() == [found]


@pytest.mark.parametrize(
    ("held_out", "alike", "appearance"),
    [(200, 4, True), (200, 5, False), (60, 1, True), (60, 2, True), (60, 3, False), (20, 2, True), (20, 3, False)],
)
def test_photos_that_all_look_the_same_are_recognized_by_their_files(
    held_out: int, alike: int, appearance: bool
) -> None:
    """The interval of 4 of 200 begins at 0.8%, that of 5 at 1.1%. Two photos that look alike are no sign."""
    others = thumbnails([*PHOTOS[:alike], *OTHERS[alike:held_out]])
    seen = remember_photos(digests(40), thumbnails(PHOTOS), (digests(held_out, "held out"), others))
    assert seen.appearance is appearance
    assert seen.recognize(digests(40), thumbnails(PHOTOS)).all()
    assert seen.recognize(digests(40, "copy"), thumbnails(PHOTOS)).all() == appearance
    assert seen.recognize(digests(40)).all() != appearance  # without thumbnails, only files are recognized


def test_the_record_is_bounded_and_survives_json() -> None:
    rng = np.random.default_rng(0)
    many = rng.integers(0, 256, (2_000, 16, 16), np.uint8)
    seen = remember_photos(digests(2_000), many, NONE)
    assert len(seen.keys) == 4 * 2_000 * 3 // 3  # 24 bits of each photo, in base64
    assert seen.recognize(digests(2_000, "copy"), many).all()
    keys = rng.integers(0, 2**64, 150_000, np.uint64)
    for count, stored in ((100_000, 100_000), (100_001, 100_000)):
        large = seen_photos._store(keys[:count], appearance=True)
        assert (large.photos, large.stored, large.complete) == (count, stored, count == stored)
        assert len(large.keys) == 266_668
        assert 3 * len(large.keys) // 4 - 2 <= MOST_BYTES
    assert SeenPhotos(**vars(seen)) == seen


def test_no_photo_can_be_found_from_the_record() -> None:
    """Each stored value stands for 1,000 or more of the 2**48 possible codes, which are signs of a thumbnail anyway."""
    for count in (1, 40, 66_666, 66_667, 100_000):
        assert 2**48 / (count << seen_photos._low_bits(count)) > 1_000
    rng = np.random.default_rng(0)
    seen = seen_photos._store(rng.integers(0, 2**64, 100_000, np.uint64), appearance=True)
    codes = rng.integers(0, 2**48, 2**18, np.uint64)
    fits = np.isin(seen._reduce(seen_photos._mix(codes)), seen._values())
    assert fits.mean() == pytest.approx(2**-14, rel=0.5)  # a random code may fit as well as that of a photo


def test_a_damaged_record_is_an_error(seen: SeenPhotos) -> None:
    fields = vars(seen)
    with pytest.raises(ValueError, match="20 characters cannot hold 40 fingerprints"):
        SeenPhotos(**{**fields, "keys": "A" * 20})
    for keys in ("A" * len(seen.keys), "?" * len(seen.keys)):
        with pytest.raises(ArtifactError, match="are damaged .*; export again"):
            SeenPhotos(**{**fields, "keys": keys}).recognize(digests(1))
