"""Goals of attacks, and what the base class of all attacks makes of a search."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
from linear_model import LinearModel

from tledge.attacks.attack import Attack
from tledge.attacks.attack_batch import AttackBatch
from tledge.attacks.goal import Goal
from tledge.attacks.threat_model import ThreatModel
from tledge.core.errors import ModelError, OptionError
from tledge.core.images import Pixels

pytestmark = pytest.mark.unit

RED = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
"""The logits of a photo of one pixel are its red, green and blue."""


def pixel(*values: int) -> Pixels:
    return np.array(values, np.uint8).reshape(-1, 1, 1, 3)


@dataclass(frozen=True)
class Planted(Attack):
    """Returns what it was given, whatever the photos are."""

    needs_gradients: ClassVar[bool] = False
    found: Any = None

    @property
    def budget(self) -> int:
        return 5

    def search(self, batch: AttackBatch) -> Pixels:
        found: Pixels = self.found[: len(batch)]
        return found


def test_the_first_of_equal_logits_is_predicted() -> None:
    tie = np.array([[2, 2, 0], [2, 2, 0]], np.float32)
    goal = Goal(np.array([0, 1]))
    assert goal.reached(tie).tolist() == [False, True]
    assert goal.margins(tie).tolist() == [0, 0]


def test_goals_of_some_photos() -> None:
    goal = Goal(np.array([0, 1, 2]), np.array([1, 2, 0]))
    some = goal.select(np.array([True, False, True]))
    assert (some.labels.tolist(), some.targeted, len(some)) == ([0, 2], True, 2)
    assert some.target_classes is not None
    assert some.target_classes.tolist() == [1, 0]
    assert not Goal(np.array([0])).targeted
    assert Goal(np.array([0])).select(np.array([0])).target_classes is None


def test_classes_are_counted_from_0() -> None:
    goal = Goal(np.array([0, 2]), np.array([1, 3]))
    goal.check_classes(4)
    with pytest.raises(OptionError, match=r"^target class 3 is not one of this model's 3 classes, counted from 0$"):
        goal.check_classes(3)
    with pytest.raises(OptionError, match=r"^label 2 is not one"):
        goal.check_classes(2)
    Goal(np.empty(0, np.intp)).check_classes(2)


def test_only_the_base_class_decides_what_succeeded() -> None:
    """Six photos of red, green and blue; the last is no red one, as it should be."""
    images = pixel(*[100, 98, 0] * 4, *[100, 50, 0], *[0, 9, 0])
    found = pixel(*[99, 100, 0], *[100, 99, 0], *[98, 90, 0], *[100, 98, 90], *[0, 255, 0]).astype(np.float32)
    goal, model = Goal(np.zeros(6, np.intp)), LinearModel(RED)
    result = Planted(found=found).run(model, images, goal, threat=ThreatModel("linf", 4))
    assert result.success.tolist() == [True, False, False, False, False, True]
    assert result.clean_success.tolist() == [False] * 5 + [True]
    np.testing.assert_array_equal(
        result.adversarial,
        pixel(
            *[99, 100, 0],  # fooled
            *[100, 99, 0],  # nearer, by 1
            *[100, 98, 0],  # [98, 94, 0] is farther, and not kept
            *[100, 98, 0],  # [100, 98, 4] is as near, and not kept
            *[96, 54, 0],  # put into the ball, where it is nearer
            *[0, 9, 0],
        ),
    )
    assert result.queries.tolist() == [2, 2, 2, 2, 2, 1]
    assert result.robust_accuracy == pytest.approx(4 / 6)


def test_a_targeted_attack_succeeds_at_its_class_alone() -> None:
    images = pixel(*[100, 98, 98] * 2)
    found = pixel(*[98, 102, 98], *[98, 98, 102])
    goal = Goal(np.zeros(2, np.intp), np.array([2, 2]))
    result = Planted(found=found).run(LinearModel(RED), images, goal, threat=ThreatModel("linf", 4))
    assert result.success.tolist() == [False, True]
    np.testing.assert_array_equal(result.adversarial[0, 0, 0], [100, 98, 98])  # 4 from blue, where it was 2


def test_logits_that_are_not_finite_are_an_error() -> None:
    images, goal = pixel(1, 0, 0), Goal(np.array([0]))
    for bad in (np.nan, np.inf):
        with pytest.raises(ModelError, match="not finite"):
            Planted(found=images).run(LinearModel(RED, bad), images, goal, threat=ThreatModel("linf", 4))


def test_the_best_image_of_a_search_is_kept() -> None:
    """The nearest to the goal, whichever came first; one that reaches it before all that do not; then the farthest."""
    from tledge.attacks.attack_batch import QueryCounter

    original = pixel(9, 0, 0)
    counter, goal = QueryCounter(LinearModel(RED), 3), Goal(np.array([0]))
    batch = AttackBatch(counter, original, goal, photos=np.array([2]), threat=ThreatModel("linf", 9), seed=0)
    kept = []
    for image in ([9, 5, 0], [9, 8, 0], [9, 8, 1], [9, 7, 0], [7, 9, 0], [9, 9, 0], [6, 9, 0], [8, 9, 0]):
        batch.logits(pixel(*image), np.array([0]))
        kept.append(batch.best[0, 0, 0].tolist())
        assert batch.unreached(np.array([0])).tolist() == [image[0] == 9 and 7 not in [row[0] for row in kept]]
    first_margins = [[9, 5, 0], [9, 8, 0], [9, 8, 0], [9, 8, 0]]
    assert kept == [*first_margins, [7, 9, 0], [7, 9, 0], [6, 9, 0], [6, 9, 0]]
    assert counter.queries.tolist() == [0, 0, 8]


def test_random_numbers_depend_on_seed_photo_and_stream() -> None:
    from tledge.attacks.attack_batch import QueryCounter

    counter, goal = QueryCounter(LinearModel(RED), 9), Goal(np.zeros(2, np.intp))
    batch = AttackBatch(
        counter, pixel(9, 0, 0, 50, 60, 70), goal, photos=np.array([4, 8]), threat=ThreatModel("linf", 9), seed=3
    )
    assert batch.rng(1).random() == np.random.default_rng((3, 8, 0)).random()
    drawn = batch.draw_starts(np.array([1]), 5)
    expected = ThreatModel("linf", 9).draw(pixel(50, 60, 70)[0], np.random.default_rng((3, 8, 5)))
    np.testing.assert_array_equal(drawn, expected[np.newaxis])
