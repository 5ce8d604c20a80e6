"""A defence that only masks gradients is flagged, and an undefended model is not."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tledge.attacks.attack import Attack
from tledge.attacks.gradient_masking import MEANINGS, AttackSummary, MaskingSign, find_masking_signs
from tledge.attacks.loss_gradients import GradientModel
from tledge.attacks.methods.apgd import Apgd
from tledge.attacks.methods.fgsm import Fgsm
from tledge.attacks.methods.pgd import Pgd
from tledge.attacks.methods.square import Square
from tledge.attacks.model_probe import probe
from tledge.attacks.threat_model import ThreatModel
from tledge.core.errors import OptionError
from tledge.core.images import Pixels


def outcome(attack: str, accuracy: float, *, eps: float = 8, steps: int = 20, white_box: bool = True) -> AttackSummary:
    return AttackSummary(
        attack=attack,
        white_box=white_box,
        norm="linf",
        eps=eps,
        steps=steps,
        robust_accuracy=accuracy,
        photos=100,
    )


def names(flags: Any) -> list[str]:
    return [flag.name for flag in flags]


def attacked(model: GradientModel, digits: Any) -> list[AttackSummary]:
    """Outcomes of real attacks."""
    plan: list[tuple[Attack, int, tuple[int, ...]]] = [
        (Fgsm(), 1, (4, 16)),
        (Pgd(steps=5), 5, (16,)),
        (Pgd(steps=20), 20, (4, 16, 128)),
        (Apgd(steps=20), 20, (4, 16)),
        (Square(queries=150), 150, (4, 16, 48)),
    ]
    return [
        AttackSummary(
            attack=attack.name,
            white_box=attack.needs_gradients,
            norm="linf",
            eps=eps,
            steps=steps,
            robust_accuracy=attack.run(
                model, digits.images, digits.goal, threat=ThreatModel("linf", eps)
            ).robust_accuracy,
            photos=len(digits.images),
        )
        for attack, steps, every in plan
        for eps in every
    ]


def test_an_undefended_model_is_not_flagged(model: GradientModel, digits: Any) -> None:
    seen = probe(model, digits.images, digits.labels)
    outcomes = attacked(model, digits)
    assert {item.eps: item.robust_accuracy for item in outcomes if item.steps == 20}[128] == 0
    assert seen == ()
    assert find_masking_signs(outcomes, seen) == ()


def test_an_artifact_without_gradients_that_is_not_defended_is_not_flagged(model: GradientModel, digits: Any) -> None:
    assert probe(model.logits, digits.images, digits.labels) == ()


def test_a_staircase_before_the_logits_is_flagged(model: GradientModel, stairs: GradientModel, digits: Any) -> None:
    assert (stairs.logits(digits.images).argmax(axis=1) == digits.labels).mean() >= 0.9
    seen = probe(stairs, digits.images, digits.labels)
    assert set(names(seen)) >= {"zero_gradients", "more_steps_not_stronger", "unbounded_eps_not_fatal"}
    flags = find_masking_signs(attacked(stairs, digits), seen)
    assert flags[0].name == "gradient_masking"
    assert "black_box_beats_white_box" in names(flags)
    assert len(set(names(flags))) == len(flags)
    assert all(flag.name in MEANINGS and len(flag.sentence) > 30 for flag in flags)


def test_outcomes_alone_show_the_staircase(stairs: GradientModel, digits: Any) -> None:
    assert set(names(find_masking_signs(attacked(stairs, digits)))) >= {"gradient_masking", "black_box_beats_white_box"}


def test_random_logits_are_flagged(model: GradientModel, digits: Any) -> None:
    rng = np.random.default_rng(0)

    def noisy(images: Pixels) -> Any:
        return model.logits(images) + rng.normal(0, 0.3, (len(images), 10)).astype(np.float32)

    assert "random_outputs" in names(probe(noisy, digits.images, digits.labels))


def test_photos_that_are_all_wrong_cannot_be_asked_about(model: GradientModel, digits: Any) -> None:
    wrong = (model.logits(digits.images).argmax(axis=1) + 1) % 10
    with pytest.raises(OptionError, match="none of 24 photos is classified correctly"):
        probe(model, digits.images, wrong)


HONEST = [
    outcome("fgsm", 0.6, eps=1, steps=1),
    outcome("pgd", 0.3, eps=1),
    outcome("pgd", 0.05, eps=4),
    outcome("pgd", 0.0, eps=8),
    outcome("pgd", 0.31, eps=1, steps=50),  # within chance
    outcome("square", 0.5, eps=1, steps=1000, white_box=False),
    outcome("square", 0.19, eps=4, steps=1000, white_box=False),
    outcome("pgd", 0.0, eps=128),
]


@pytest.mark.unit
def test_honest_outcomes_are_not_flagged() -> None:
    assert find_masking_signs(HONEST) == ()
    assert find_masking_signs([]) == ()


@pytest.mark.unit
@pytest.mark.parametrize(
    ("extra", "flag", "sentence"),
    [
        (
            outcome("square", 0.2, eps=1, steps=1000, white_box=False),
            "black_box_beats_white_box",
            "20.0% correct after square (linf 1/255, 1000 steps), 30.0% correct after pgd (linf 1/255, 20 steps)",
        ),
        (
            outcome("pgd", 0.4, eps=1, steps=100),
            "more_steps_not_stronger",
            "30.0% correct after pgd (linf 1/255, 20 steps), 40.0% correct after pgd (linf 1/255, 100 steps)",
        ),
        (
            outcome("pgd", 0.1, eps=8),
            "larger_eps_not_stronger",
            "5.0% correct after pgd (linf 4/255, 20 steps), 10.0% correct after pgd (linf 8/255, 20 steps)",
        ),
        (
            outcome("apgd", 0.01, eps=128),
            "unbounded_eps_not_fatal",
            "1.0% correct after apgd (linf 128/255, 20 steps)",
        ),
    ],
)
def test_each_sign_is_flagged_alone(extra: AttackSummary, flag: str, sentence: str) -> None:
    outcomes = [
        *(item for item in HONEST if (item.attack, item.eps, item.steps) != (extra.attack, extra.eps, extra.steps)),
        extra,
    ]
    flags = find_masking_signs(outcomes)
    assert names(flags) == ["gradient_masking", flag]
    assert flags[1].sentence == sentence
    assert flag in flags[0].sentence


@pytest.mark.unit
def test_a_curve_that_stays_flat_is_flagged() -> None:
    flat = [outcome("pgd", 0.95, eps=eps) for eps in (1, 2, 4, 8)]
    assert names(find_masking_signs(flat)) == ["gradient_masking", "larger_eps_not_stronger"]
    assert find_masking_signs([replace(item, robust_accuracy=0.0) for item in flat]) == ()
    assert find_masking_signs([replace(item, white_box=False) for item in flat]) == (), "few queries may find nothing"
    assert find_masking_signs([replace(item, robust_accuracy=0.025, photos=40) for item in flat]) == (), (
        "one photo says nothing"
    )


@pytest.mark.unit
def test_what_a_model_has_shown_is_kept_once() -> None:
    seen = [MaskingSign("random_outputs", "first"), MaskingSign("random_outputs", "second")]
    flags = find_masking_signs(HONEST, seen)
    assert names(flags) == ["gradient_masking", "random_outputs"]
    assert flags[1].sentence == "first"
    assert find_masking_signs(HONEST, flags) == flags
