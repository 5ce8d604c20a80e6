"""Asks a model for signs of hidden gradients, on a few photos."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tledge.attacks.attack import Goal, Logits
from tledge.attacks.goal import Indices
from tledge.attacks.gradient_masking import (
    LARGER_EPS,
    MORE_STEPS,
    RANDOM_OUTPUTS,
    UNBOUNDED,
    UNBOUNDED_EPS,
    ZERO_GRADIENTS,
    MaskingSign,
)
from tledge.attacks.loss_gradients import GradientModel
from tledge.attacks.methods.pgd import Pgd
from tledge.attacks.methods.square import Square
from tledge.attacks.threat_model import LINF, ThreatModel
from tledge.core.errors import OptionError
from tledge.core.images import Pixels
from tledge.core.progress import Progress, Step

PHOTOS = 8
"""That are attacked; of so many, one is a sign."""

ZERO = 1e-12
"""Of a photo's largest gradient; float32 holds far smaller ones."""

ZERO_SHARE = 0.1
"""Photos with no gradient at all that are a sign."""

NOISE = 1e-3
"""By which answers to the same photo may differ, relative to how far the logits spread: sums in another order."""

FEWER, MORE, STEP_SIZE = 2, 10, 0.25
"""Steps, and their length in radii of the ball: with few of them, an attack cannot get to its edge."""

SMALL, LARGE = ThreatModel(LINF, 2), ThreatModel(LINF, 8)
NO_BOUNDS = ThreatModel(LINF, UNBOUNDED)
LAST_STEPS, LAST_RESTARTS, LAST_QUERIES = 20, 2, 200
OTHERS = 4
"""Photos of other classes that each photo is made to look like."""


def probe(
    model: GradientModel | Logits, images: Pixels, labels: Indices, *, seed: int = 0, progress: Progress | None = None
) -> tuple[MaskingSign, ...]:
    """The signs that a model shows: of its answers, and of its gradients where there are any.

    Takes about as long as 300 gradients, or as 50 to 1700 answers where there is none.

    Args:
        model: a ``GradientModel``, or a function from uint8 (n, height, width, 3) to float32 logits (n, classes).
        images: uint8 (N, height, width, 3); the first of those that get their class are taken.
        labels: (N,), their classes.
        seed: 0 or more.
        progress: is told of it.

    Raises:
        OptionError: no photo gets its class.
    """
    goal = Goal(labels)
    before = np.concatenate([model(images[begin : begin + PHOTOS]) for begin in range(0, len(images), PHOTOS)])
    places = np.flatnonzero(~goal.reached(before))[:PHOTOS]
    if not len(places):
        raise OptionError(
            f"none of {len(images)} photos is classified as it should be: there is nothing to attack; check the labels"
        )
    photos, goal = images[places], goal.select(places)
    flags: list[MaskingSign] = []
    with (progress or Progress()).step("Checks against fooling oneself", 5, "checks") as step:
        for found in (_repeat(model, photos, step), _look_at_gradients(model, photos, goal, seed, step)):
            flags += found
        flags += _remove_bounds(model, photos, goal, images, seed)
        step.advance(1)
    return tuple(flags)


def _repeat(model: GradientModel | Logits, photos: Pixels, step: Step) -> Iterator[MaskingSign]:
    first, second = (np.asarray(model(photos), np.float64) for _ in range(2))
    difference, spread = np.abs(first - second).max(), np.ptp(first, axis=1).mean()
    if difference > NOISE * max(spread, 1e-6):
        yield MaskingSign(
            RANDOM_OUTPUTS,
            f"the same {len(photos)} photos shown twice got logits that differ by up to {difference:.3g}, where logits"
            f" spread over {spread:.3g}",
        )
    step.advance(1)


def _look_at_gradients(
    model: GradientModel | Logits, photos: Pixels, goal: Goal, seed: int, step: Step
) -> Iterator[MaskingSign]:
    """Whether there are gradients, and whether following them longer and farther leads farther."""
    if not isinstance(model, GradientModel):
        step.advance(3)
        return
    sizes = np.abs(model.gradients(photos, goal).gradients).reshape(len(photos), -1).max(axis=1)
    zero = int((sizes < ZERO).sum())
    if zero > ZERO_SHARE * len(photos):
        yield MaskingSign(
            ZERO_GRADIENTS, f"the gradient of the loss is zero everywhere on {zero} of {len(photos)} photos"
        )
    step.advance(1)

    def margin_after(steps: int, threat: ThreatModel) -> float:
        attack = Pgd(steps=steps, step_size=STEP_SIZE * threat.eps, early_stop=False)
        found = attack.run(model, photos, goal, threat=threat, seed=seed)
        return float(goal.margins(model.logits(found.adversarial)).mean())

    fewer, more = margin_after(FEWER, SMALL), margin_after(MORE, SMALL)
    if more >= fewer:
        yield MaskingSign(
            MORE_STEPS,
            f"pgd ({SMALL}) with {FEWER} steps brought the mean margin to {fewer:.3g}, with {MORE} to {more:.3g}",
        )
    step.advance(1)
    larger = margin_after(MORE, LARGE)
    if larger >= more:
        yield MaskingSign(
            LARGER_EPS,
            f"pgd with {MORE} steps brought the mean margin to {more:.3g} in {SMALL}, to {larger:.3g} in {LARGE}",
        )
    step.advance(1)


def _remove_bounds(
    model: GradientModel | Logits, photos: Pixels, goal: Goal, others: Pixels, seed: int
) -> Iterator[MaskingSign]:
    """Whether an attack with next to no bounds fools the model on every photo."""
    if isinstance(model, GradientModel):
        attack = Pgd(steps=LAST_STEPS, restarts=LAST_RESTARTS)
        left = np.flatnonzero(~attack.run(model, photos, goal, threat=NO_BOUNDS, seed=seed).success)
        name = f"pgd with {LAST_STEPS} steps"
    else:
        left = _look_like_others(model, photos, goal, others)
        if len(left):
            square = Square(queries=LAST_QUERIES)
            found = square.run(model, photos[left], goal.select(left), threat=NO_BOUNDS, seed=seed)
            left = left[~found.success]
        name = f"square with {LAST_QUERIES} queries"
    if len(left):
        yield MaskingSign(UNBOUNDED_EPS, f"{name} ({NO_BOUNDS}) left {len(left)} of {len(photos)} photos right")


def _look_like_others(model: Logits, photos: Pixels, goal: Goal, others: Pixels) -> Indices:
    """The photos that stay right when they are made plain grey, and then as other photos are, as far as eps allows."""
    left = np.arange(len(photos))
    grey = np.full_like(photos[0], round(UNBOUNDED))
    step = max(1, len(others) // OTHERS)
    for other in (grey, *others[::step][:OTHERS], *others[::-step][:OTHERS]):
        if len(left):
            shown = NO_BOUNDS.round(np.broadcast_to(other, photos[left].shape), photos[left])
            left = left[~goal.select(left).reached(model(shown))]
    return left
