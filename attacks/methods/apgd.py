"""APGD: steps along the gradient with momentum; each photo's progress decides its step size."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tledge.attacks.attack import check_at_least
from tledge.attacks.attack_batch import AttackBatch
from tledge.attacks.goal import Indices
from tledge.attacks.loss_gradients import Gradients
from tledge.attacks.losses import CROSS_ENTROPY, LOSSES, check_loss
from tledge.attacks.restarts import RestartingAttack
from tledge.core.errors import UnknownNameError
from tledge.core.images import Floats

KEPT_STEP = 0.75
"""Weight of the new step; the rest is momentum from the step before."""

RISING = 0.75
"""Fraction of steps that must have raised the loss for the step size to stay the same."""

FIRST_STEP = 2.0
"""Length of the first step, in radii of the ball."""

FIRST_CHECK, SHRINKING, SHORTEST = 0.22, 0.03, 0.06
"""When the step size is checked, as fractions of all steps: the first check; by how much each interval is shorter than
the one before; the shortest interval."""


@dataclass(frozen=True)
class Apgd(RestartingAttack):
    """Auto-PGD: PGD that chooses its own step size.

    As in PGD, the loss and its gradient are taken at the rounded image.

    Source: Croce and Hein, arXiv 2003.01690, algorithm 1.

    Attributes:
        steps: steps of each restart.
        restarts: random starts.
        loss: "cross-entropy" or "dlr"; DLR needs 3 classes, or 4 to aim at a class.
        early_stop: see ``RestartingAttack``.
    """

    needs_gradients: ClassVar[bool] = True
    reference: ClassVar[str] = "arXiv 2003.01690"

    steps: int = 50
    restarts: int = 1
    loss: str = CROSS_ENTROPY
    early_stop: bool = True

    def __post_init__(self) -> None:
        check_at_least(1, steps=self.steps, restarts=self.restarts)
        if self.loss not in LOSSES:
            raise UnknownNameError("loss function", self.loss, LOSSES)

    def check(self, classes: int, targeted: bool) -> None:
        super().check(classes, targeted)
        check_loss(self.loss, classes, targeted)

    def restart(self, batch: AttackBatch, indices: Indices, number: int) -> Indices:
        images = batch.draw_starts(indices, number)
        first = self._evaluate(batch, images, indices)
        ascent = _Ascent.start(indices, images, first, FIRST_STEP * batch.threat.eps)
        checks = checkpoints(self.steps)
        for step in range(1, self.steps + 1):
            if self.early_stop:
                ascent = ascent.select(batch.unreached(ascent.indices))
                if not len(ascent.indices):
                    return ascent.indices
            images = ascent.propose(batch, KEPT_STEP if step > 1 else 1.0)
            if step == self.steps:
                batch.logits(batch.round(images, ascent.indices), ascent.indices)
                break
            ascent.advance(images, self._evaluate(batch, images, ascent.indices))
            if step in checks:
                ascent.check(step - max((check for check in checks if check < step), default=0))
        return ascent.indices

    def _evaluate(self, batch: AttackBatch, images: Floats, indices: Indices) -> Gradients:
        return batch.gradients(batch.round(images, indices), indices, self.loss)


@dataclass
class _Ascent:
    """The state of the ascent of n photos.

    Attributes:
        indices: of the photos in the batch.
        images, before: float32 (n, height, width, 3), now and one step ago.
        gradients, losses: at ``images``.
        best_images, best_gradients, best_losses: those with the largest loss so far.
        sizes: (n,), length of a step.
        rises: (n,), steps since the last check that raised the loss.
        checked_losses: (n,), the largest loss at the last check.
        halved: (n,), whether the last check halved the step size.
    """

    indices: Indices
    images: Floats
    before: Floats
    gradients: Floats
    losses: Floats
    best_images: Floats
    best_gradients: Floats
    best_losses: Floats
    sizes: Floats
    rises: npt.NDArray[np.int_]
    checked_losses: Floats
    halved: npt.NDArray[np.bool_]

    @classmethod
    def start(cls, indices: Indices, images: Floats, found: Gradients, size: float) -> _Ascent:
        count = len(indices)
        return cls(
            indices=indices,
            images=images,
            before=images,
            gradients=found.gradients,
            losses=found.losses,
            best_images=images.copy(),
            best_gradients=found.gradients.copy(),
            best_losses=found.losses.copy(),
            sizes=np.full(count, size, np.float32),
            rises=np.zeros(count, np.int_),
            checked_losses=found.losses.copy(),
            halved=np.zeros(count, np.bool_),
        )

    def select(self, kept: npt.NDArray[np.bool_]) -> _Ascent:
        """Returns the state of some of the photos."""
        if kept.all():
            return self
        return _Ascent(**{field.name: getattr(self, field.name)[kept] for field in fields(self)})

    def propose(self, batch: AttackBatch, share: float) -> Floats:
        """Returns the next images: a projected step, mixed with momentum unless its share is 1."""
        step: Any = batch.threat.steepest(self.gradients)
        step *= self.sizes.reshape(-1, 1, 1, 1)
        step += self.images
        step = batch.project(step, self.indices)
        if share == 1:
            moved: Floats = step
            return moved
        step -= self.images
        step *= share
        momentum = self.images - self.before
        momentum *= 1 - share
        step += momentum
        step += self.images
        return batch.project(step, self.indices)

    def advance(self, images: Floats, found: Gradients) -> None:
        """Moves on to these images."""
        self.rises += found.losses > self.losses
        self.before, self.images = self.images, images
        self.gradients, self.losses = found.gradients, found.losses
        better = found.losses > self.best_losses
        self.best_images[better], self.best_gradients[better] = images[better], found.gradients[better]
        self.best_losses[better] = found.losses[better]

    def check(self, steps: int) -> None:
        """Halves the step size of photos without progress in the last ``steps``; they continue from their best image.

        Conditions 1 and 2 of section 3.2.
        """
        stuck = self.rises < RISING * steps
        stuck |= ~self.halved & (self.best_losses <= self.checked_losses)
        self.sizes[stuck] /= 2
        for now, best in (
            (self.images, self.best_images),
            (self.gradients, self.best_gradients),
            (self.losses, self.best_losses),
        ):
            now[stuck] = best[stuck]
        self.halved, self.checked_losses = stuck, self.best_losses.copy()
        self.rises[:] = 0


def checkpoints(steps: int) -> tuple[int, ...]:
    """Returns the steps after which the step size is checked: section 3.2 of the paper."""
    shares = [0.0, FIRST_CHECK]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - SHRINKING, SHORTEST))
    return tuple(sorted({math.ceil(round(share * steps, 6)) for share in shares[1:] if share < 1}))


ATTACK = Apgd()
