import numpy as np
import pytest
from PIL import Image
from support import stripes

from tledge.core import images
from tledge.core.errors import OptionError
from tledge.train.data.augmentation import UNCHANGED, Augmentation

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
