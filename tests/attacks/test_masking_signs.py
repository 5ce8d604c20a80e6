"""Signs of gradient masking, at their limits and on both sides."""

from typing import Any

import numpy as np
import pytest
from linear_model import LinearModel

from tledge.attacks.gradient_masking import (
    MEANINGS,
    AttackSummary,
    MaskingSign,
    check_boxes,
    check_eps,
    check_scores,
    check_steps,
    find_masking_signs,
)
from tledge.attacks.loss_gradients import Gradients
from tledge.attacks.model_probe import probe
from tledge.core.errors import OptionError
from tledge.core.images import Pixels

pytestmark = pytest.mark.unit


def summary(accuracy: float, **changed: Any) -> AttackSummary:
    fields: dict[str, Any] = {
        "attack": "pgd",
        "white_box": True,
        "norm": "linf",
        "eps": 8.0,
        "steps": 20,
        "photos": 100,
    }
    return AttackSummary(robust_accuracy=accuracy, **{**fields, **changed})


def names(signs: Any) -> list[str]:
    return [sign.name for sign in signs]


SQUARE: dict[str, Any] = {"attack": "square", "white_box": False, "steps": 200}


@pytest.mark.parametrize(
    ("unjudged", "photos", "found"),
    [(0, 100, False), (2, 100, False), (3, 100, True), (1, 40, False), (2, 40, True), (1, 1, False), (20, 20, True)],
)
def test_flat_scores_on_more_photos_than_chance_are_a_sign(unjudged: int, photos: int, found: bool) -> None:
    signs = list(check_scores("square (linf 8/255)", unjudged, photos))
    assert names(signs) == ["flat_scores"] * found
    if found:
        assert f"same score on {unjudged} of {photos} photos" in signs[0].sentence
        assert names(find_masking_signs([], signs)) == ["gradient_masking", "flat_scores"]


@pytest.mark.parametrize(
    ("white", "black", "photos", "found"),
    [
        (0.02, 0.0, 100, False),  # 2 photos of 100 may be chance
        (0.03, 0.0, 100, True),
        (0.5, 0.47, 100, True),
        (0.5, 0.475, 40, False),  # one photo
        (0.5, 0.45, 40, True),  # two photos
        (0.5, 0.4875, 80, False),
        (0.5, 0.475, 80, True),
        (0.5, 0.5, 100, False),
        (0.47, 0.5, 100, False),
        (1.0, 0.0, 1, False),
        (2.0, 0.4, 0, True),
        (1.9, 0.4, 0, False),
    ],
)
def test_a_black_box_must_win_by_more_than_chance(white: float, black: float, photos: int, found: bool) -> None:
    pair = [summary(white, photos=photos), summary(black, photos=photos, **SQUARE)]
    assert names(check_boxes(pair)) == ["black_box_beats_white_box"] * found
    assert names(check_boxes(pair[::-1])) == ["black_box_beats_white_box"] * found


def test_boxes_are_compared_within_a_ball_and_by_their_best() -> None:
    white = [summary(0.9, attack="fgsm", steps=1), summary(0.3), summary(0.2, eps=16.0), summary(0.5, norm="l2")]
    black = [summary(0.8, **SQUARE), summary(0.25, **{**SQUARE, "attack": "other"})]
    signs = list(check_boxes([*white, *black]))
    assert signs == [
        MaskingSign(
            "black_box_beats_white_box",
            "25.0% correct after other (linf 8/255, 200 steps), 30.0% correct after pgd (linf 8/255, 20 steps)",
        )
    ]
    assert list(check_boxes([*white, summary(0.0, eps=4.0, **SQUARE), summary(0.0, norm="l1", **SQUARE)])) == []
    assert list(check_boxes(black)) == []
    two = [*white, summary(0.1, eps=16.0, **SQUARE), summary(0.1, **SQUARE)]
    assert [sign.sentence.split(")")[0] for sign in check_boxes(two)] == [
        "10.0% correct after square (linf 8/255, 200 steps",
        "10.0% correct after square (linf 16/255, 200 steps",
    ]


@pytest.mark.parametrize(
    ("fewer", "more", "changed", "found"),
    [
        (0.0, 0.02, {}, False),
        (0.0, 0.03, {}, True),
        (0.5, 0.53, {}, True),
        (0.5, 0.5, {}, False),
        (0.5, 0.4, {}, False),
        (0.5, 0.6, {"eps": 4.0}, False),
        (0.5, 0.6, {"eps": 16.0}, False),
        (0.5, 0.6, {"norm": "l2"}, False),
        (0.5, 0.6, {"attack": "apgd"}, False),
        (0.5, 0.6, {"attack": "zgd"}, False),
        (0.5, 0.6, {"steps": 20}, False),  # not more
        (0.6, 0.5, {"steps": 20}, False),
    ],
)
def test_more_steps_must_not_do_worse(fewer: float, more: float, changed: Any, found: bool) -> None:
    pair = [summary(more, **{"steps": 50, **changed}), summary(fewer)]
    assert names(check_steps(pair)) == ["more_steps_not_stronger"] * found
    assert [sign.sentence for sign in check_steps(pair)] == [
        f"{fewer:.1%} correct after pgd (linf 8/255, 20 steps), {more:.1%} correct after pgd (linf 8/255, 50 steps)"
    ] * found


@pytest.mark.parametrize(
    ("smaller", "larger", "changed", "found"),
    [
        (0.0, 0.02, {"eps": 16.0}, False),
        (0.0, 0.03, {"eps": 16.0}, True),
        (0.5, 0.53, {"eps": 16.0}, True),
        (0.5, 0.5, {"eps": 31.0}, False),  # not yet 4 times
        (0.5, 0.5, {"eps": 32.0}, True),
        (0.5, 0.5, {"eps": 33.0}, True),
        (0.5, 0.51, {"eps": 32.0}, True),
        (0.5, 0.49, {"eps": 32.0}, False),
        (0.02, 0.02, {"eps": 32.0}, False),  # nothing is left to win
        (0.01, 0.01, {"eps": 32.0}, False),
        (0.03, 0.03, {"eps": 32.0}, True),
        (0.5, 0.5, {"eps": 32.0, "white_box": False}, False),
        (0.5, 0.53, {"eps": 32.0, "white_box": False}, True),
        (0.5, 0.6, {"eps": 32.0, "norm": "l2"}, False),
        (0.5, 0.6, {"eps": 32.0, "attack": "apgd"}, False),
    ],
)
def test_a_larger_eps_must_do_better(smaller: float, larger: float, changed: Any, found: bool) -> None:
    pair = [summary(larger, **changed), summary(smaller)]
    assert names(check_eps(pair)) == ["larger_eps_not_stronger"] * found


@pytest.mark.parametrize(("steps", "found"), [(9, False), (10, True)])
def test_few_steps_need_not_get_far(steps: int, found: bool) -> None:
    pair = [summary(0.5, steps=steps), summary(0.5, eps=32.0, steps=steps)]
    assert names(check_eps(pair)) == ["larger_eps_not_stronger"] * found
    assert names(check_eps([summary(0.5, eps=128.0, steps=steps)])) == ["unbounded_eps_not_fatal"] * found
    assert names(check_eps([summary(0.5, steps=20), summary(0.6, eps=32.0, steps=50)])) == []


@pytest.mark.parametrize(
    ("accuracy", "changed", "found"),
    [
        (0.01, {}, True),
        (0.0, {}, False),
        (0.5, {"eps": 127.0}, False),
        (0.5, {"eps": 129.0}, True),
        (0.5, {"norm": "l2"}, False),
        (0.5, {"white_box": False}, False),
    ],
)
def test_an_eps_without_bounds_must_be_fatal(accuracy: float, changed: Any, found: bool) -> None:
    one = summary(accuracy, **{"eps": 128.0, **changed})
    assert names(check_eps([one])) == ["unbounded_eps_not_fatal"] * found


def test_every_pair_of_the_same_attack_is_compared() -> None:
    others = [summary(0.5), summary(0.4, eps=16.0, steps=50), summary(0.6, eps=24.0)]
    assert names(check_eps(others)) == ["larger_eps_not_stronger"]


def test_signs_are_summed_up_once_each() -> None:
    assert find_masking_signs([]) == ()
    (headline, sign) = find_masking_signs([], [MaskingSign("black_box_beats_white_box", "square won")])
    assert (headline.name, sign.name) == ("gradient_masking", "black_box_beats_white_box")
    given = [MaskingSign("zero_gradients", "no slope"), MaskingSign("gradient_masking", "old")]
    signs = find_masking_signs([summary(0.5), summary(0.6, steps=50)], given)
    assert names(signs) == ["gradient_masking", "zero_gradients", "more_steps_not_stronger"]
    assert signs[0].sentence == (
        f"{MEANINGS['gradient_masking']} (zero_gradients, more_steps_not_stronger: no slope; {signs[2].sentence})"
    )
    assert str(summary(0.5, steps=1)) == "pgd (linf 8/255, 1 step)"


PHOTOS = np.full((12, 2, 2, 3), 100, np.uint8)
LABELS = np.zeros(12, np.intp)


def honest(**changed: Any) -> LinearModel:
    """Red is taken for class 1 from a sum of 440 on; the photos have 400."""
    weights = np.zeros((2, 12))
    weights[1, ::3] = changed.get("slope", 0.1)
    return LinearModel(weights, [44.0 * changed.get("slope", 0.1) / 0.1, 0])


def test_an_honest_model_shows_no_sign() -> None:
    model = honest()
    assert probe(model, PHOTOS, LABELS) == ()
    assert probe(model.logits, PHOTOS, LABELS) == ()
    assert len(model.shown[0]) == 8


def test_nothing_is_probed_that_is_wrong() -> None:
    labels = LABELS.copy()
    labels[:7] = 1
    model = honest()
    probe(model, PHOTOS, labels)
    assert len(model.shown[0]) == 5
    with pytest.raises(OptionError, match="none of 12 photos is classified correctly"):
        probe(model, PHOTOS, LABELS + 1)


@pytest.mark.parametrize(("flat", "found"), [(0, False), (1, True), (8, True)])
def test_one_photo_of_eight_without_a_gradient_is_a_sign(flat: int, found: bool) -> None:
    class Flat(LinearModel):
        def gradients(self, images: Any, goal: Any, loss: str = "cross-entropy") -> Gradients:
            found = super().gradients(images, goal, loss)
            found.gradients[:flat] = 9e-13
            return found

    weights = np.zeros((2, 12))
    weights[1, ::3] = 0.1
    assert ("zero_gradients" in names(probe(Flat(weights, [44.0, 0]), PHOTOS, LABELS))) == found


@pytest.mark.parametrize(("noise", "found"), [(0.9e-3, False), (1.1e-3, True)])
def test_logits_must_come_back(noise: float, found: bool) -> None:
    """Relative to the 4 that the logits of a photo are apart."""
    calls: list[int] = []

    def model(images: Pixels) -> Any:
        calls.append(len(images))
        logits = honest().logits(images)
        logits[:, 0] += 4 * noise * (len(calls) == 4)  # 2 calls find the photos
        return logits

    assert ("random_outputs" in names(probe(model, PHOTOS, LABELS))) == found


def test_a_gradient_that_leads_astray_is_found() -> None:
    class Astray(LinearModel):
        def gradients(self, images: Any, goal: Any, loss: str = "cross-entropy") -> Gradients:
            found = super().gradients(images, goal, loss)
            found.gradients[:] *= -1
            return found

    weights = np.zeros((2, 12))
    weights[1, ::3] = 0.1
    signs = names(probe(Astray(weights, [44.0, 0]), PHOTOS, LABELS))
    assert signs == ["more_steps_not_stronger", "unbounded_eps_not_fatal"]


def test_photos_that_nothing_changes_are_counted() -> None:
    def stubborn(images: Pixels) -> Any:
        return np.array([[1, 0]] * len(images), np.float32)

    (sign,) = probe(stubborn, PHOTOS, LABELS)
    assert sign == MaskingSign(
        "unbounded_eps_not_fatal", "8 of 8 photos correct after square with 200 queries (linf 128/255)"
    )
