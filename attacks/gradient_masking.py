"""Signs that a robust accuracy says more about the attack than about the model.

A model that hides its gradients looks robust to attacks that follow them, and is not. Each sign is a flag with a
sentence that names what was seen; ``gradient_masking`` sums them up.

Sources: Athalye, Carlini and Wagner, arXiv 1802.00420, section 3.1; Carlini et al., arXiv 1902.06705, section 5.
``probing.probe`` finds the signs that a model itself shows.
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

MEANINGS: Mapping[str, str] = {
    GRADIENT_MASKING: "the model hides its gradients, or the attacks did not find them: its robust accuracy is an upper"
    " bound that a better attack would lower",
    BLACK_BOX: "an attack that sees only answers succeeded more often than one that also has the gradients: these"
    " mislead",
    ZERO_GRADIENTS: "gradients are zero where the model answers right: an attack that follows them does not move",
    RANDOM_OUTPUTS: "the same photo got two answers: an attack sees noise, and one run of it says little",
    MORE_STEPS: "more steps of the same attack fooled no more photos, or fewer: they lead nowhere",
    LARGER_EPS: "a larger eps allows everything that a smaller one does, and yet the attack did no better",
    UNBOUNDED_EPS: "at an eps of 128/255 every photo can be made plain grey, and yet the attack did not fool the model"
    " on all of them",
    QUANTIZATION: "attacks on its own answers do worse than on those of the float32 artifact, and transferred photos"
    " fool it all the same: rounded answers hide the way, and protect from nothing (Bernhard et al., arXiv 1909.12741)",
}
"""The sentence behind each flag."""

TOLERANCE = 0.02
"""Robust accuracy by which an attack may be worse than it should before that is a sign; and always one photo."""

UNBOUNDED = 128.0
"""An eps in the norm linf that leaves nothing of a photo."""

MANY_STEPS = 10
"""With so many, an attack with gradients must reach what can be reached."""

MUCH_LARGER = 4.0
"""Times eps, at which an attack with gradients must have got further where there is further to go."""


@dataclass(frozen=True)
class MaskingSign:
    """One sign.

    Attributes:
        name: a key of ``MEANINGS``.
        sentence: what was seen.
    """

    name: str
    sentence: str


@dataclass(frozen=True, kw_only=True)
class AttackSummary:
    """What an attack left of a model's accuracy.

    All outcomes that are judged together must be of the same photos, and of attacks on the same model.

    Attributes:
        attack: its name.
        white_box: whether it had the gradients of the model, or of the one that the model was made from.
        norm, eps: what it might change.
        steps: of the search: steps of each restart, or queries.
        robust_accuracy: the share of photos that were still right.
        photos: how many.
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


def find_masking_signs(outcomes: Sequence[AttackSummary], seen: Iterable[MaskingSign] = ()) -> tuple[MaskingSign, ...]:
    """All signs, with ``gradient_masking`` before them if there is any.

    Args:
        outcomes: of attacks on one model and on the same photos.
        seen: signs that the model itself has shown.

    Returns:
        At most one flag of each name; none is good.
    """
    found: dict[str, MaskingSign] = {}
    for flag in (*seen, *check_boxes(outcomes), *check_steps(outcomes), *check_eps(outcomes)):
        if flag.name != GRADIENT_MASKING:
            found.setdefault(flag.name, flag)
    if not found:
        return ()
    signs = "; ".join(flag.sentence for flag in found.values())
    headline = MaskingSign(GRADIENT_MASKING, f"{MEANINGS[GRADIENT_MASKING]} ({', '.join(found)}: {signs})")
    return (headline, *found.values())


def check_boxes(outcomes: Sequence[AttackSummary]) -> Iterator[MaskingSign]:
    """Attacks without gradients that beat all those with them in the same ball."""
    for ball in sorted({(item.norm, item.eps) for item in outcomes}):
        inside = [item for item in outcomes if (item.norm, item.eps) == ball]
        white = [item for item in inside if item.white_box]
        black = [item for item in inside if not item.white_box]
        if white and black:
            best_white, best_black = (min(items, key=lambda item: item.robust_accuracy) for items in (white, black))
            if _is_above(best_white, best_black):
                yield MaskingSign(BLACK_BOX, f"{_told(best_black)}, {_told(best_white)}")


def check_steps(outcomes: Sequence[AttackSummary]) -> Iterator[MaskingSign]:
    """The same attack in the same ball, with more steps and to less effect."""
    for fewer, more in _pairs(outcomes, "steps"):
        if (fewer.norm, fewer.eps) == (more.norm, more.eps) and _is_above(more, fewer):
            yield MaskingSign(MORE_STEPS, f"{_told(fewer)}, {_told(more)}")


def check_eps(outcomes: Sequence[AttackSummary]) -> Iterator[MaskingSign]:
    """The same attack with a larger eps and to less effect, or to none; and with next to no bounds, but not fatal."""
    for smaller, larger in _pairs(outcomes, "eps"):
        if (smaller.norm, smaller.steps) != (larger.norm, larger.steps):
            continue
        idle = (
            larger.white_box
            and larger.steps >= MANY_STEPS
            and larger.eps >= MUCH_LARGER * smaller.eps
            and larger.robust_accuracy >= smaller.robust_accuracy > _chance(smaller)
        )
        if idle or _is_above(larger, smaller):
            yield MaskingSign(LARGER_EPS, f"{_told(smaller)}, {_told(larger)}")
    for item in outcomes:
        fatal = item.robust_accuracy == 0 or item.eps < UNBOUNDED or item.norm != "linf"
        if not fatal and item.white_box and item.steps >= MANY_STEPS:
            yield MaskingSign(UNBOUNDED_EPS, _told(item))


def _pairs(outcomes: Sequence[AttackSummary], attribute: str) -> Iterator[tuple[AttackSummary, AttackSummary]]:
    """Outcomes of the same attack, the one with the smaller value of an attribute first."""
    ordered = sorted(outcomes, key=lambda item: float(getattr(item, attribute)))
    for first, second in combinations(ordered, 2):
        if first.attack == second.attack and getattr(first, attribute) < getattr(second, attribute):
            yield first, second


def _is_above(first: AttackSummary, second: AttackSummary) -> bool:
    """Whether more photos stayed right than chance and a photo would explain."""
    return first.robust_accuracy - second.robust_accuracy > _chance(first)


def _chance(item: AttackSummary) -> float:
    """A share of photos that says nothing: a few in a hundred, and always one photo."""
    return max(TOLERANCE, 1.5 / max(item.photos, 1))


def _told(item: AttackSummary) -> str:
    return f"{item} left {item.robust_accuracy:.1%}"
