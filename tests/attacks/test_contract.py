"""Every attack in every norm that it supports."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from tledge.attacks.attack import ATTACKS, Attack, AttackResult, Goal
from tledge.attacks.loss_gradients import GradientModel
from tledge.attacks.threat_model import ThreatModel
from tledge.core.errors import OptionError
from tledge.core.images import Pixels

CASES = [(name, norm) for name in ATTACKS.names() for norm in ATTACKS.load(name).norms]
EPS = {"linf": (4, 12, 48), "l2": (150, 600, 2400)}
FEW_QUERIES = {"queries": 150, "steps": 10}

LEAST = {"fgsm": 0.6, "square": 0.7}
LEAST_TARGETED = {"fgsm": 0.1, "square": 0.25}
"""Shares of photos that the weaker attacks fool at the largest eps; the others fool 100% and 90%."""


def quick(name: str) -> Attack:
    """An attack with parameters that suit a tiny network."""
    attack: Any = ATTACKS.load(name)
    wanted = {key: value for key, value in FEW_QUERIES.items() if key in attack.parameters}
    changed: Attack = dataclasses.replace(attack, **wanted)
    return changed


@pytest.fixture(scope="module")
def results(model: GradientModel, digits: Any) -> dict[tuple[str, str, float], AttackResult]:
    return {
        (name, norm, eps): quick(name).run(model, digits.images, digits.goal, threat=ThreatModel(norm, eps), seed=1)
        for name, norm in CASES
        for eps in EPS[norm]
    }


@pytest.mark.unit
def test_the_attacks_are_those_of_the_folder() -> None:
    assert ATTACKS.names() == ("apgd", "fgsm", "pgd", "square")
    for name in ATTACKS.names():
        attack = ATTACKS.load(name)
        assert attack.name == name
        assert "arXiv" in attack.reference
        assert dataclasses.replace(attack) == attack  # type: ignore[type-var]


@pytest.mark.parametrize(("name", "norm"), CASES)
def test_images_are_bytes_within_the_ball_and_successes_are_true(
    name: str, norm: str, results: Any, model: GradientModel, digits: Any
) -> None:
    predicted = model.logits(digits.images).argmax(axis=1)
    for eps in EPS[norm]:
        result = results[name, norm, eps]
        assert result.adversarial.dtype == np.uint8
        assert result.adversarial.shape == digits.images.shape
        change = result.adversarial.astype(np.float64) - digits.images
        sizes = np.abs(change).max(axis=(1, 2, 3)) if norm == "linf" else np.sqrt((change**2).sum(axis=(1, 2, 3)))
        assert sizes.max() <= eps
        np.testing.assert_array_equal(result.success, model.logits(result.adversarial).argmax(axis=1) != digits.labels)
        np.testing.assert_array_equal(result.clean_success, predicted != digits.labels)
        assert (sizes[result.clean_success] == 0).all()
        assert (result.queries[result.clean_success] == 1).all()
        assert (sizes[result.success & ~result.clean_success] > 0).all()
        budget = quick(name).budget + 2  # the original and the verdict
        assert result.queries.max() <= budget
        assert (result.queries[~result.success] > budget / 2).all()
        assert result.seconds > 0


@pytest.mark.parametrize(("name", "norm"), CASES)
def test_a_larger_eps_fools_more_and_an_image_that_fails_comes_nearer_to_the_goal(
    name: str, norm: str, results: Any, model: GradientModel, digits: Any
) -> None:
    shares = [float(results[name, norm, eps].success.mean()) for eps in EPS[norm]]
    assert shares == sorted(shares)
    assert shares[-1] >= shares[0] + 0.4
    assert shares[-1] >= LEAST.get(name, 1.0)
    before = digits.goal.margins(model.logits(digits.images))
    for eps in EPS[norm]:
        after = digits.goal.margins(model.logits(results[name, norm, eps].adversarial))
        assert (after <= before + 1e-5).all()


@pytest.mark.parametrize(("name", "norm"), CASES)
def test_the_seed_decides(name: str, norm: str, results: Any, model: GradientModel, digits: Any) -> None:
    threat = ThreatModel(norm, EPS[norm][0])
    again = quick(name).run(model, digits.images, digits.goal, threat=threat, seed=1)
    first = results[name, norm, EPS[norm][0]]
    np.testing.assert_array_equal(again.adversarial, first.adversarial)
    np.testing.assert_array_equal(again.queries, first.queries)
    other = quick(name).run(model, digits.images, digits.goal, threat=threat, seed=2)
    assert name == "fgsm" or (other.adversarial != first.adversarial).any()


@pytest.mark.parametrize(("name", "norm"), [case for case in CASES if ATTACKS.load(case[0]).targeted])
def test_a_target_is_reached(name: str, norm: str, model: GradientModel, digits: Any) -> None:
    result = quick(name).run(model, digits.images, digits.targeted, threat=ThreatModel(norm, EPS[norm][2]), seed=0)
    predicted = model.logits(result.adversarial).argmax(axis=1)
    np.testing.assert_array_equal(result.success, predicted == digits.targeted.target_classes)
    assert result.success.mean() >= LEAST_TARGETED.get(name, 0.9)


@pytest.mark.parametrize("name", ATTACKS.names())
def test_photos_that_already_reach_the_goal_stay_unchanged(name: str, model: GradientModel, digits: Any) -> None:
    """All photos reach the goal without a change."""
    predicted = model.logits(digits.images).argmax(axis=1)
    wrong = Goal((predicted + 1) % 10, predicted)
    result = quick(name).run(model, digits.images, wrong, threat=ThreatModel("linf", 8), seed=0)
    assert result.success.all()
    assert result.clean_success.all()
    np.testing.assert_array_equal(result.adversarial, digits.images)
    assert (result.queries == 1).all()


@pytest.mark.parametrize("name", ATTACKS.names())
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((24, 32, 32, 3), np.float32)}, "must be uint8 .* received float32"),
        ({"images": np.zeros((0, 32, 32, 3), np.uint8)}, "N at least 1"),
        ({"images": np.zeros((24, 32, 32, 1), np.uint8)}, r"received uint8 \(24, 32, 32, 1\)"),
        ({"goal": Goal(np.zeros(3, np.intp))}, "received 3 labels for 24 photos"),
        ({"goal": Goal(np.full(24, 10))}, "label 10 is not one of this model's 10 classes"),
        ({"goal": Goal(np.zeros(24, np.intp), np.full(24, 11))}, "target class 11 is not one"),
        ({"seed": -1}, "seed must be 0 or more"),
    ],
)
def test_bad_input_is_rejected(name: str, change: Any, message: str, model: GradientModel, digits: Any) -> None:
    options = {"images": digits.images, "goal": digits.goal, "threat": ThreatModel("linf", 8), "seed": 0, **change}
    with pytest.raises(OptionError, match=message):
        quick(name).run(model, options.pop("images"), options.pop("goal"), **options)


@pytest.mark.parametrize("name", ATTACKS.names())
def test_without_gradients_the_attacks_that_remain_are_named(name: str, model: GradientModel, digits: Any) -> None:
    def logits(images: Pixels) -> Any:
        return model.logits(images)

    attack, options = quick(name), {"threat": ThreatModel("linf", 48), "seed": 1}
    if attack.needs_gradients:
        with pytest.raises(OptionError, match=f"{name} needs the gradients .* need only logits: square"):
            attack.run(logits, digits.images, digits.goal, **options)
    else:
        result = attack.run(logits, digits.images, digits.goal, **options)
        assert result.success.mean() >= LEAST[name]


@pytest.mark.unit
@pytest.mark.parametrize(
    ("labels", "targets", "message"),
    [
        ([0, 1], [1, 1], "the target class of 1 photos is their own class"),
        ([0, 1], [1], "received 1 target classes for 2 photos"),
        ([0.5], None, "labels must be class indices"),
        ([-1], None, "labels must be class indices"),
    ],
)
def test_goals_that_cannot_be_are_rejected(labels: Any, targets: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Goal(np.array(labels), None if targets is None else np.array(targets))
