from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from support import stripes

from tledge.core import images
from tledge.core.errors import OptionError
from tledge.train.data.augmentation import SMALL_AND_UPRIGHT, UNCHANGED, Augmentation

pytestmark = pytest.mark.unit

pytestmark = pytest.mark.unit

PHOTO = Image.fromarray(stripes(True, 0, size=(90, 130)))


def test_unchanged_means_unchanged() -> None:
    for rule in images.RESIZE_RULES:
        for seed in range(5):  # the crop lies somewhere along the longer side
            changed = UNCHANGED.apply(PHOTO, (60, 60), resize=rule, rng=np.random.default_rng(seed))
            assert changed.shape == (60, 60, 3)
            assert changed.dtype == np.uint8
    stretched = UNCHANGED.apply(PHOTO, (60, 60), resize="stretch", rng=np.random.default_rng(0))
    np.testing.assert_array_equal(stretched, images.resize(PHOTO, (60, 60), "stretch"))


@pytest.mark.parametrize("rule", images.RESIZE_RULES)
@pytest.mark.parametrize("size", [(50, 50), (40, 70)])
def test_no_corner_comes_from_outside_of_the_photo(rule: str, size: tuple[int, int]) -> None:
    """Nothing black may creep in where a white photo is turned."""
    white = Image.new("RGB", (91, 130), "white")
    turning = Augmentation(flip=False, crop=1.0, rotation=30.0, colour=0.0)
    for seed in range(50):
        changed = turning.apply(white, size, resize=rule, rng=np.random.default_rng(seed))
        assert changed.shape == (*size, 3)
        assert changed.min() == 255, seed


def test_what_is_drawn_decides_and_nothing_else() -> None:
    usual = Augmentation()
    first, again = (usual.apply(PHOTO, (48, 48), resize="crop", rng=np.random.default_rng([1, 2, 3])) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    other = usual.apply(PHOTO, (48, 48), resize="crop", rng=np.random.default_rng([1, 2, 4]))
    assert np.abs(first.astype(int) - other).mean() > 2


def test_each_change_can_be_had_alone() -> None:
    ramp = Image.fromarray(np.tile(np.linspace(40, 200, 100).astype(np.uint8), (100, 1))).convert("RGB")
    flipped = [
        Augmentation(flip=True, crop=1.0, rotation=0, colour=0).apply(
            ramp, (32, 32), resize="crop", rng=np.random.default_rng(seed)
        )
        for seed in range(40)
    ]
    mirrored = [image[0, 0, 0] > image[0, -1, 0] for image in flipped]
    assert 10 <= sum(mirrored) <= 30
    cropped = Augmentation(flip=False, crop=0.5, rotation=0, colour=0)
    spans = [
        int(np.ptp(cropped.apply(ramp, (32, 32), resize="crop", rng=np.random.default_rng(seed))[0, :, 0]))
        for seed in range(40)
    ]
    assert min(spans) < 100 < 140 < max(spans)
    coloured = Augmentation(flip=False, crop=1.0, rotation=0, colour=0.5)
    grey = Image.new("RGB", (40, 40), (120, 120, 120))
    means = [
        coloured.apply(grey, (32, 32), resize="crop", rng=np.random.default_rng(seed)).mean() for seed in range(40)
    ]
    assert min(means) < 90 < 150 < max(means)


@pytest.mark.parametrize(
    "wrong", [{"crop": 0.0}, {"crop": 1.2}, {"rotation": -1.0}, {"rotation": 90.0}, {"colour": 1.0}]
)
def test_values_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    (name,) = wrong
    with pytest.raises(OptionError, match=f"`{name}` must be between"):
        Augmentation(**wrong)


@pytest.mark.parametrize(
    ("name", "allowed", "wrong"),
    [
        ("crop", (0.1, 1.0), (0.099, 1.001)),
        ("rotation", (0.0, 45.0), (-0.001, 45.001)),
        ("colour", (0.0, 0.9), (-0.001, 0.901)),
    ],
)
def test_the_limits_of_each_range(name: str, allowed: tuple[float, float], wrong: tuple[float, float]) -> None:
    for value in allowed:
        assert getattr(Augmentation(**{name: value}), name) == value
    for value in wrong:
        with pytest.raises(OptionError, match=f"`{name}` must be between {allowed[0]:g} and {allowed[1]:g}; received"):
            Augmentation(**{name: value})


def test_what_is_usual_for_photos_and_for_characters() -> None:
    assert Augmentation() == Augmentation(flip=True, crop=0.7, rotation=10.0, colour=0.2)
    assert Augmentation(flip=False, crop=0.9, rotation=0.0, colour=0.0) == SMALL_AND_UPRIGHT


def test_a_photo_is_large_enough_for_its_smallest_crop() -> None:
    assert Augmentation(crop=0.7).minimum_size((224, 160)) == (320, 229)
    assert UNCHANGED.minimum_size((224, 160)) == (224, 160)


class Fixed:
    """Draws what it is given, in place of random values from 0 to 1."""

    def __init__(self, *fractions: float) -> None:
        self._fractions = iter(fractions)

    def random(self) -> float:
        return next(self._fractions)

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        return low + (high - low) * next(self._fractions)


def augment(augmentation: Augmentation, image: Image.Image, *drawn: float, resize: str = "crop") -> np.ndarray:
    fixed: Any = Fixed(*drawn)
    return augmentation.apply(image, (20, 20), resize=resize, rng=fixed)


@pytest.mark.parametrize(
    ("left", "top", "box"), [(0, 0, (0, 0, 40, 40)), (1, 1, (60, 20, 100, 60)), (0.5, 0.25, (30, 5, 70, 45))]
)
def test_the_crop_lies_where_it_is_drawn(left: float, top: float, box: tuple[int, int, int, int]) -> None:
    """Angle, size and place are drawn; of 100 x 60 pixels, two thirds of the shorter side are 40."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 100, 3), np.uint8))
    two_thirds = Augmentation(flip=False, crop=1 / 3, rotation=0.0, colour=0.0)
    found = augment(two_thirds, image, 0.0, 0.5, left, top)
    np.testing.assert_array_equal(found, np.asarray(image.resize((20, 20), Image.Resampling.BILINEAR, box=box)))


def test_stretch_takes_the_same_share_of_both_sides() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 100, 3), np.uint8))
    found = augment(Augmentation(flip=False, crop=0.5, rotation=0, colour=0), image, 0, 0, 1, 0, resize="stretch")
    expected = image.resize((20, 20), Image.Resampling.BILINEAR, box=(50, 0, 100, 30))
    np.testing.assert_array_equal(found, np.asarray(expected))


def test_every_second_photo_is_mirrored() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8))
    flipping = Augmentation(flip=True, crop=1.0, rotation=0.0, colour=0.0)
    for drawn, mirrored in ((0.0, True), (0.499, True), (0.5, False), (0.999, False)):
        expected = np.asarray(image)[:, ::-1] if mirrored else np.asarray(image)
        np.testing.assert_array_equal(augment(flipping, image, 0, 0, 0, 0, drawn), expected)


@pytest.mark.parametrize(("drawn", "factor"), [(0.0, 0.6), (0.5, 1.0), (1.0, 1.4)])
def test_brightness_contrast_and_saturation_change_both_ways(drawn: float, factor: float) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(60, 160, (20, 20, 3), np.uint8))
    colourful = Augmentation(flip=False, crop=1.0, rotation=0.0, colour=0.4)
    for place, enhance in enumerate((ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)):
        values = [0.5, 0.5, 0.5]
        values[place] = drawn
        found = augment(colourful, image, 0, 0, 0, 0, *values)
        np.testing.assert_allclose(found, np.asarray(enhance(image).enhance(factor)), atol=1)


@pytest.mark.parametrize(("drawn", "degrees"), [(0.0, -45), (0.75, 22.5), (1.0, 45)])
def test_a_photo_is_turned_by_the_angle_that_is_drawn(drawn: float, degrees: float) -> None:
    rows, columns = np.indices((201, 201)) - 100
    turned = np.radians(degrees)
    slope = 127 + 0.6 * (columns * np.cos(turned) - rows * np.sin(turned))  # which lies level once it is turned back
    image = Image.fromarray(np.repeat(np.clip(np.rint(slope), 0, 255)[..., np.newaxis], 3, axis=2).astype(np.uint8))
    turning = Augmentation(flip=False, crop=0.5, rotation=45.0, colour=0.0)
    found = augment(turning, image, 1 - drawn, 0.0, 0.5, 0.5).astype(float)
    assert np.abs(np.diff(found[2:-2, 2:-2], axis=0)).mean() < 1.5
    assert abs(np.diff(found[2:-2, 2:-2], axis=1).mean()) > 1.5
