"""Probes a model for signs of gradient masking, on a few photos."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tledge.attacks.goal import Goal, Indices
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
from tledge.edge_runtime.batched_logits import LogitsFn, batched_logits

PHOTOS = 8
"""The most photos that are probed; with that few, a single one is a sign."""

ZERO = 1e-12
"""A photo whose gradient values are all below this has no gradient; float32 holds far smaller ones."""

ZERO_SHARE = 0.1
"""More than this fraction of photos without a gradient is a sign."""

NOISE = 1e-3
"""Largest difference between two logits of the same photo, relative to their spread: sums may run in another order."""

FEWER, MORE, STEP_SIZE = 2, 10, 0.25
"""Numbers of steps, and their length in radii of the ball: an attack with few steps cannot reach the edge."""

SMALL, LARGE = ThreatModel(LINF, 2), ThreatModel(LINF, 8)
NO_BOUNDS = ThreatModel(LINF, UNBOUNDED)
LAST_STEPS, LAST_RESTARTS, LAST_QUERIES = 20, 2, 200
OTHERS = 4
"""Photos from each end of the set that each photo is made to look like."""


def probe(
    model: GradientModel | LogitsFn, images: Pixels, labels: Indices, *, seed: int = 0, progress: Progress | None = None
) -> tuple[MaskingSign, ...]:
    """Returns the signs found in a model's logits, and in its gradients if it has any.

    Takes about as long as 300 gradients, or 50 to 1700 logits for a model without gradients.

    Args:
        model: a ``GradientModel``, or a function from uint8 (n, height, width, 3) to float32 logits (n, classes).
        images: uint8 (N, height, width, 3); the first correctly classified ones are probed.
        labels: (N,), the photos' classes.
        seed: 0 or more.
        progress: shows the checks.

    Raises:
        OptionError: no photo is classified correctly.
    """
    goal = Goal(labels)
    correct = np.flatnonzero(~goal.reached(batched_logits(model, images, batch_size=PHOTOS)))[:PHOTOS]
    if not len(correct):
        raise OptionError(
            f"none of {len(images)} photos is classified correctly: there is nothing to attack; check the labels"
        )
    photos, goal = images[correct], goal.select(correct)
    signs: list[MaskingSign] = []
    with (progress or Progress()).step("Gradient masking checks", 5, "checks") as step:
        signs += _check_repeatability(model, photos, step)
        signs += _check_gradients(model, photos, goal, seed, step)
        signs += _check_without_bounds(model, photos, goal, images, seed)
        step.advance(1)
    return tuple(signs)


def _check_repeatability(model: GradientModel | LogitsFn, photos: Pixels, step: Step) -> Iterator[MaskingSign]:
    first, second = (np.asarray(model(photos), np.float64) for _ in range(2))
    difference, spread = np.abs(first - second).max(), np.ptp(first, axis=1).mean()
    if difference > NOISE * max(spread, 1e-6):
        yield MaskingSign(
            RANDOM_OUTPUTS,
            f"the logits of {len(photos)} photos differ between two runs by up to {difference:.3g}; a photo's logits"
            f" span {spread:.3g} on average",
        )
    step.advance(1)


def _check_gradients(
    model: GradientModel | LogitsFn, photos: Pixels, goal: Goal, seed: int, step: Step
) -> Iterator[MaskingSign]:
    """Checks that there are gradients, and that more steps and a larger eps bring an attack nearer to its goal."""
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
            f"the mean margin is {fewer:.3g} after {FEWER} steps of pgd ({SMALL}), {more:.3g} after {MORE}",
        )
    step.advance(1)
    larger = margin_after(MORE, LARGE)
    if larger >= more:
        yield MaskingSign(
            LARGER_EPS,
            f"the mean margin after {MORE} steps of pgd is {more:.3g} at {SMALL}, {larger:.3g} at {LARGE}",
        )
    step.advance(1)


def _check_without_bounds(
    model: GradientModel | LogitsFn, photos: Pixels, goal: Goal, others: Pixels, seed: int
) -> Iterator[MaskingSign]:
    """Checks that an attack with next to no bounds fools the model on every photo."""
    if isinstance(model, GradientModel):
        attack = Pgd(steps=LAST_STEPS, restarts=LAST_RESTARTS)
        left = np.flatnonzero(~attack.run(model, photos, goal, threat=NO_BOUNDS, seed=seed).success)
        name = f"pgd with {LAST_STEPS} steps"
    else:
        left = _unfooled_by_others(model, photos, goal, others)
        if len(left):
            square = Square(queries=LAST_QUERIES)
            found = square.run(model, photos[left], goal.select(left), threat=NO_BOUNDS, seed=seed)
            left = left[~found.success]
        name = f"square with {LAST_QUERIES} queries"
    if len(left):
        yield MaskingSign(UNBOUNDED_EPS, f"{len(left)} of {len(photos)} photos correct after {name} ({NO_BOUNDS})")


def _unfooled_by_others(model: LogitsFn, photos: Pixels, goal: Goal, others: Pixels) -> Indices:
    """Returns the photos that stay correct when they are made plain grey, or like other photos as far as eps allows."""
    left = np.arange(len(photos))
    grey = np.full_like(photos[0], round(UNBOUNDED))
    step = max(1, len(others) // OTHERS)
    for other in (grey, *others[::step][:OTHERS], *others[::-step][:OTHERS]):
        if len(left):
            shown = NO_BOUNDS.round(np.broadcast_to(other, photos[left].shape), photos[left])
            left = left[~goal.select(left).reached(model(shown))]
    return left
