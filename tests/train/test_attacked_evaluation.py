"""Validation under attack, with a linear model whose gradient is known."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tledge.attacks.goal import Goal
from tledge.core.splits import Sample, Splits
from tledge.train.evaluation import evaluate_under_attack, lower_margins

pytestmark = pytest.mark.unit

EPS = 6


class Brightness:
    """Class 1 is a mean brightness above 128, class 0 one below; one unit of brightness is one logit."""

    def __init__(self) -> None:
        self.steps: list[Any] = []

    def logits(self, pixels: Any) -> Any:
        means = np.asarray(pixels, np.float32).mean(axis=(1, 2, 3))
        return np.stack([128 - means, means - 128], axis=1)

    def gradients(self, images: Any, goal: Goal, loss: str) -> Any:
        self.steps.append(images.copy())
        signs = np.where(goal.labels == 1, -1, 1).astype(np.float32)
        return SimpleNamespace(logits=self.logits(images), gradients=signs[:, None, None, None] * np.ones_like(images))


class Paradox(Brightness):
    """Its gradient points the wrong way: an attack that follows it does the model good."""

    def gradients(self, images: Any, goal: Goal, loss: str) -> Any:
        found = super().gradients(images, goal, loss)
        return SimpleNamespace(logits=found.logits, gradients=-found.gradients)


@pytest.fixture
def splits(tmp_path: Path) -> Splits:
    """40 grey photos, more than a batch: 10 of each brightness 130, 140 (class 1), 120 (class 0), 131 (class 0)."""
    samples = []
    for number, (grey, label) in enumerate([(130, 1), (140, 1), (120, 0), (131, 0)] * 10):
        Image.new("RGB", (8, 8), (grey,) * 3).save(tmp_path / f"{number}.png")
        samples.append(Sample(f"{number}.png", label, ""))
    return Splits(root=tmp_path, class_names=("dark", "bright"), train=(), validation=tuple(samples), test=())


def test_photos_within_the_radius_of_the_border_are_lost(splits: Splits) -> None:
    model: Any = Brightness()
    clean, attacked = evaluate_under_attack(model, splits, "validation", eps=EPS, size=(8, 8), resize="crop")
    assert clean.labels.tolist() == attacked.labels.tolist() == [1, 1, 0, 0] * 10
    np.testing.assert_allclose(clean.logits[:4, 1], [2, 12, -8, 3])
    np.testing.assert_allclose(attacked.logits[:4, 1], [2 - EPS, 12 - EPS, -8 + EPS, 3 + EPS])
    assert (clean.top1, attacked.top1) == (0.75, 0.5)
    starts = [images[0, 0, 0, 0] for images in model.steps]
    assert starts == pytest.approx([130, 125, 124] * 2), "three steps, of 2.5 eps together, within the radius"


def test_an_attack_that_fails_counts_as_none(splits: Splits) -> None:
    model: Any = Paradox()
    clean, attacked = evaluate_under_attack(model, splits, "validation", eps=EPS, size=(8, 8), resize="crop")
    np.testing.assert_array_equal(attacked.logits, clean.logits)


def test_of_two_answers_the_one_with_the_smaller_margin_counts() -> None:
    goal = Goal(np.array([0, 0, 0, 1]))
    clean = np.array([[3, 0], [3, 0], [1, 4], [0, 2]], np.float32)
    attacked = np.array([[1, 0], [5, 0], [1, 3], [7, 9]], np.float32)
    assert lower_margins(goal, clean, attacked).tolist() == [[1, 0], [3, 0], [1, 4], [0, 2]]
