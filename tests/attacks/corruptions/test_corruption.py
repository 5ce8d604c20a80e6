"""Properties of every corruption."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from tledge.attacks.corruptions import CORRUPTIONS, EDGE_CORRUPTIONS, SEVERITIES, corrupt
from tledge.core.errors import OptionError, UnknownNameError
from tledge.core.images import Pixels

NAMES = [*CORRUPTIONS, *EDGE_CORRUPTIONS]
# ImageNet-C's own parameters: frost is laid over a photo that fades, fog of one thickness gets a finer structure, and
# an elastic photo is bent as a whole up to severity 2 and in small regions from 3 on.
NOT_FARTHER = {("frost", 4), ("fog", 4), ("elastic_transform", 3), ("elastic_transform", 4)}


def distance(one: Pixels, other: Pixels) -> float:
    """The root mean square difference of pixel values."""
    return float(np.sqrt(np.mean((one.astype(float) - other) ** 2)))


@pytest.mark.unit
def test_the_names_are_those_of_the_paper_and_of_the_issue() -> None:
    assert len(CORRUPTIONS) == 15
    assert len(EDGE_CORRUPTIONS) == 6
    assert len(set(NAMES)) == 21


@pytest.mark.parametrize("name", NAMES)
def test_photos_change_more_with_severity(name: str, photos: Pixels) -> None:
    before = photos.copy()
    distances = []
    for severity in SEVERITIES:
        corrupted = corrupt(photos, name, severity=severity, seed=0)
        assert corrupted.dtype == np.uint8
        assert corrupted.shape == photos.shape
        assert (corrupted != photos).any(axis=(1, 2, 3)).all()
        distances.append(distance(corrupted, photos))
    np.testing.assert_array_equal(photos, before)
    assert distances[0] >= 1.0
    for severity in SEVERITIES[1:]:
        if (name, severity) not in NOT_FARTHER:
            assert distances[severity - 1] > distances[severity - 2], distances


@pytest.mark.parametrize("name", NAMES)
def test_a_photo_comes_out_the_same_in_any_batch(name: str, photos: Pixels) -> None:
    few = photos[:4]
    whole = corrupt(few, name, severity=3, seed=7)
    np.testing.assert_array_equal(corrupt(few, name, severity=3, seed=7), whole)
    parts = [corrupt(few[:1], name, severity=3, seed=7), corrupt(few[1:], name, severity=3, seed=7, first=1)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


RANDOM = sorted(
    set(NAMES)
    - {"defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression", "low_quality_jpeg"}
)


@pytest.mark.parametrize("name", RANDOM)
def test_what_is_random_differs_between_photos_and_seeds(name: str, photos: Pixels) -> None:
    same = np.repeat(photos[:1], 8, axis=0)
    corrupted = corrupt(same, name, severity=3, seed=0)
    assert len({image.tobytes() for image in corrupted}) >= 2
    assert (corrupt(same, name, severity=3, seed=1) != corrupted).any()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(16, 40), (230, 33)])
def test_photos_may_be_small_or_oblong(name: str, shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, *shape, 3), dtype=np.uint8)
    for severity in (1, 5):
        assert corrupt(image, name, severity=severity, seed=0).shape == image.shape


@pytest.mark.unit
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0, 255])
def test_black_and_white_photos_stay_photos(name: str, value: int) -> None:
    image = np.full((1, 32, 32, 3), value, np.uint8)
    with np.errstate(divide="raise", invalid="raise"):
        corrupted = corrupt(image, name, severity=5, seed=0)
    assert corrupted.dtype == np.uint8


@pytest.mark.unit
def test_no_photos_are_no_photos() -> None:
    nothing = np.zeros((0, 32, 32, 3), np.uint8)
    assert corrupt(nothing, "fog", severity=1, seed=0).shape == nothing.shape


def test_an_unknown_corruption_suggests_the_nearest_name(photos: Pixels) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown corruption 'gausian_noise'. Did you mean 'gaussian_noise'\?"):
        corrupt(photos, "gausian_noise", severity=1, seed=0)


@pytest.mark.unit
@pytest.mark.parametrize("severity", [0, 6, -1])
def test_severities_are_one_to_five(severity: int, photos: Pixels) -> None:
    with pytest.raises(OptionError, match=f"from 1 to 5; received {severity}"):
        corrupt(photos, "fog", severity=severity, seed=0)


@pytest.mark.unit
@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 32, 32, 3), np.float32),
        np.zeros((32, 32, 3), np.uint8),
        np.zeros((2, 32, 32, 1), np.uint8),
        np.zeros((2, 15, 32, 3), np.uint8),
    ],
    ids=["dtype", "one photo", "grey", "too small"],
)
def test_what_is_no_batch_of_photos_is_rejected(images: Pixels) -> None:
    with pytest.raises(OptionError, match=r"uint8 \(N, height, width, 3\).*received") as caught:
        corrupt(images, "fog", severity=1, seed=0)
    assert str(images.shape) in str(caught.value)


def test_negative_seeds_and_indices_are_rejected(photos: Pixels) -> None:
    with pytest.raises(OptionError, match="received -1 and 0"):
        corrupt(photos, "fog", severity=1, seed=-1)
    with pytest.raises(OptionError, match="received 0 and -2"):
        corrupt(photos, "fog", severity=1, seed=0, first=-2)


def test_corrupting_needs_no_extra() -> None:
    code = (
        "import sys, numpy as np; from tledge.attacks.corruptions import *\n"
        "image = np.zeros((1, 32, 32, 3), np.uint8)\n"
        "for name in (*CORRUPTIONS, *EDGE_CORRUPTIONS): corrupt(image, name, severity=5, seed=0)\n"
        "print(sorted({'scipy', 'keras', 'tensorflow', 'jax', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr
