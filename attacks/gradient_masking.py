"""Signs of gradient masking: of a robust accuracy that a better attack would lower.

A model whose gradients do not lead to adversarial images looks robust to attacks that follow them, but is not. Each
sign is a flag with a sentence that describes the observation; the flag ``gradient_masking`` sums them up.

Sources: Athalye, Carlini and Wagner, arXiv 1802.00420, section 3.1; Carlini et al., arXiv 1902.06705, section 5.
``model_probe.probe`` finds the signs in a model itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

GRADIENT_MASKING = "gradient_masking"
BLACK_BOX = "black_box_beats_white_box"
ZERO_GRADIENTS = "zero_gradients"
RANDOM_OUTPUTS = "random_outputs"
MORE_STEPS = "more_steps_not_stronger"
LARGER_EPS = "larger_eps_not_stronger"
UNBOUNDED_EPS = "unbounded_eps_not_fatal"
QUANTIZATION = "quantization_hides"
FLAT_SCORES = "flat_scores"

MEANINGS: Mapping[str, str] = {
    GRADIENT_MASKING: "gradients look masked: robust accuracy is an upper bound, which a better attack would lower",
    BLACK_BOX: "a black-box attack succeeded more often than every white-box attack: the gradients are misleading",
    ZERO_GRADIENTS: "the gradients of correctly classified photos are zero, so gradient-based attacks make no progress",
    RANDOM_OUTPUTS: "logits of the same photos differ between runs, so attacks follow noise and one run proves little",
    MORE_STEPS: "more steps of the same attack fooled no more photos",
    LARGER_EPS: "a larger eps fooled no more photos, although it allows every change that a smaller one allows",
    UNBOUNDED_EPS: "an eps of 128/255 allows turning every photo plain grey, but the attack did not fool the model on"
    " all of them",
    QUANTIZATION: "direct attacks succeed less often than on the float32 artifact, but photos that fool another model"
    " also fool this one: rounding masks the gradient and adds no robustness (Bernhard et al., arXiv 1909.12741)",
    FLAT_SCORES: "the scores are too coarse to judge robustness without gradients: a saturated or rounded softmax gives"
    " most changed photos the same score; attack the logits, or the Keras model",
}
"""What each flag means."""

TOLERANCE = 0.02
"""Differences in robust accuracy up to this are no sign; differences of one photo never are."""

UNBOUNDED = 128.0
"""An eps in the norm linf at which every photo can be made plain grey."""

MANY_STEPS = 10
"""With at least this many steps, a white-box attack is expected to succeed wherever it can."""

MUCH_LARGER = 4.0
"""A white-box attack must do better at an eps this many times larger, unless nothing is left to fool."""


@dataclass(frozen=True)
class MaskingSign:
    """One sign of gradient masking: a key of ``MEANINGS``, and the observation in a sentence."""

    name: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class AttackSummary:
    """The robust accuracy of a model under one attack.

    Summaries that are compared must be of the same model and the same photos.

    Attributes:
        attack: the attack's name.
        white_box: whether it used gradients of the model, or of the one that the model was made from.
        norm, eps: the threat model.
        steps: steps of each restart, or queries.
        robust_accuracy: fraction of photos on which it failed.
        photos: number of photos.
    """

    attack: str
    white_box: bool
    norm: str
    eps: float
    steps: int
    robust_accuracy: float
    photos: int

    def __str__(self) -> str:
        return f"{self.attack} ({self.norm} {self.eps:g}/255, {self.steps} step{'s' * (self.steps != 1)})"


def find_masking_signs(
    summaries: Sequence[AttackSummary], model_signs: Iterable[MaskingSign] = ()
) -> tuple[MaskingSign, ...]:
    """Returns all signs, preceded by ``gradient_masking`` if there are any.

    Args:
        summaries: attacks on one model with the same photos.
        model_signs: signs found in the model itself, by ``model_probe.probe``.

    Returns:
        At most one sign of each name; empty if there is no sign of gradient masking.
    """
    found: dict[str, MaskingSign] = {}
    for sign in (*model_signs, *check_boxes(summaries), *check_steps(summaries), *check_eps(summaries)):
        if sign.name != GRADIENT_MASKING:
            found.setdefault(sign.name, sign)
    if not found:
        return ()
    sentences = "; ".join(sign.sentence for sign in found.values())
    headline = MaskingSign(GRADIENT_MASKING, f"{MEANINGS[GRADIENT_MASKING]} ({', '.join(found)}: {sentences})")
    return (headline, *found.values())


def check_boxes(summaries: Sequence[AttackSummary]) -> Iterator[MaskingSign]:
    """Yields a sign for each ball in which a black-box attack beats all white-box attacks."""
    for ball in sorted({(item.norm, item.eps) for item in summaries}):
        inside = [item for item in summaries if (item.norm, item.eps) == ball]
        white = [item for item in inside if item.white_box]
        black = [item for item in inside if not item.white_box]
        if white and black:
            best_white, best_black = (min(items, key=lambda item: item.robust_accuracy) for items in (white, black))
            if _is_above(best_white, best_black):
                yield MaskingSign(BLACK_BOX, f"{_describe(best_black)}, {_describe(best_white)}")


def check_steps(summaries: Sequence[AttackSummary]) -> Iterator[MaskingSign]:
    """Yields a sign for each attack that does worse with more steps in the same ball."""
    for fewer, more in _pairs(summaries, "steps"):
        if (fewer.norm, fewer.eps) == (more.norm, more.eps) and _is_above(more, fewer):
            yield MaskingSign(MORE_STEPS, f"{_describe(fewer)}, {_describe(more)}")


def check_eps(summaries: Sequence[AttackSummary]) -> Iterator[MaskingSign]:
    """Yields a sign for each attack that a larger eps does not help, or that fails with next to no bounds."""
    for smaller, larger in _pairs(summaries, "eps"):
        if (smaller.norm, smaller.steps) != (larger.norm, larger.steps):
            continue
        flat = (
            larger.white_box
            and larger.steps >= MANY_STEPS
            and larger.eps >= MUCH_LARGER * smaller.eps
            and larger.robust_accuracy >= smaller.robust_accuracy > _chance(smaller.photos)
        )
        if flat or _is_above(larger, smaller):
            yield MaskingSign(LARGER_EPS, f"{_describe(smaller)}, {_describe(larger)}")
    for item in summaries:
        unbounded = item.norm == "linf" and item.eps >= UNBOUNDED
        if unbounded and item.robust_accuracy > 0 and item.white_box and item.steps >= MANY_STEPS:
            yield MaskingSign(UNBOUNDED_EPS, _describe(item))


def check_scores(attack: str, unjudged: int, photos: int) -> Iterator[MaskingSign]:
    """Yields a sign if an attack without gradients got flat scores for more photos than chance explains."""
    if unjudged > photos * _chance(photos):
        yield MaskingSign(
            FLAT_SCORES, f"most queries of {attack} got the same score on {unjudged} of {photos} photos that it left"
        )


def _pairs(summaries: Sequence[AttackSummary], attribute: str) -> Iterator[tuple[AttackSummary, AttackSummary]]:
    """Yields pairs of the same attack, the one with the smaller value of an attribute first."""
    ordered = sorted(summaries, key=lambda item: float(getattr(item, attribute)))
    for first, second in combinations(ordered, 2):
        if first.attack == second.attack and getattr(first, attribute) < getattr(second, attribute):
            yield first, second


def _is_above(first: AttackSummary, second: AttackSummary) -> bool:
    """Returns whether the first robust accuracy is higher by more than chance."""
    return first.robust_accuracy - second.robust_accuracy > _chance(first.photos)


def _chance(photos: int) -> float:
    """Returns the fraction of photos up to which a difference is no sign: at least one photo."""
    return max(TOLERANCE, 1.5 / max(photos, 1))


def _describe(item: AttackSummary) -> str:
    return f"{item.robust_accuracy:.1%} correct after {item}"
