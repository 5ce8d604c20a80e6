"""APGD: steps along the gradient with momentum, of a length that each photo's own progress decides."""

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

Floats = npt.NDArray[np.float32]

KEPT_STEP = 0.75
"""The share of a step that is new; the rest goes on from the step before."""

RISING = 0.75
"""The share of steps that must have raised the loss for the step size to stay."""

FIRST_STEP = 2.0
"""Length of the first steps, in radii of the ball."""

FIRST_CHECK, SHRINKING, SHORTEST = 0.22, 0.03, 0.06
"""When the step size is looked at, as shares of all steps: the first time; by how much each interval is shorter than
the one before; the shortest interval."""


@dataclass(frozen=True)
class Apgd(RestartingAttack):
    """Auto-PGD, which has no step size to choose.

    As in PGD, the loss and its gradient are those of the rounded image.

    Source: Croce and Hein, arXiv 2003.01690, algorithm 1.

    Attributes:
        steps: of each restart.
        restarts: random starts.
        loss: "cross-entropy" or "dlr"; that needs 3 classes, and 4 where a class is aimed at.
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

    def restart(self, search: AttackBatch, places: Indices, number: int) -> Indices:
        images = search.draw_starts(places, number)
        climb = _Climb.begin(places, images, self._look(search, images, places), FIRST_STEP * search.threat.eps)
        checks = checkpoints(self.steps)
        for step in range(1, self.steps + 1):
            if self.early_stop:
                climb = climb.select(search.missed(climb.places))
                if not len(climb.places):
                    return climb.places
            images = climb.move(search, KEPT_STEP if step > 1 else 1.0)
            if step == self.steps:
                search.logits(search.round(images, climb.places), climb.places)
                break
            climb.take(images, self._look(search, images, climb.places))
            if step in checks:
                climb.check(step - max((check for check in checks if check < step), default=0))
        return climb.places

    def _look(self, search: AttackBatch, images: Floats, places: Indices) -> Gradients:
        return search.gradients(search.round(images, places), places, self.loss)


@dataclass
class _Climb:
    """Where n photos are on their way up.

    Attributes:
        places: in the search.
        images, before: float32 (n, height, width, 3), now and a step ago.
        gradients, losses: there, now.
        best_images, best_gradients, best_losses: where the loss was the largest.
        sizes: length of a step.
        rises: steps since the last check that raised the loss.
        checked_losses: the largest loss at the last check.
        halved: whether the step size was, there.
    """

    places: Indices
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
    def begin(cls, places: Indices, images: Floats, found: Gradients, size: float) -> _Climb:
        count = len(places)
        return cls(
            places=places,
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

    def select(self, kept: npt.NDArray[np.bool_]) -> _Climb:
        """That of some of the photos."""
        if kept.all():
            return self
        return _Climb(**{field.name: getattr(self, field.name)[kept] for field in fields(self)})

    def move(self, search: AttackBatch, share: float) -> Floats:
        """The next images, not yet taken."""
        step: Any = search.threat.steepest(self.gradients)
        step *= self.sizes.reshape(-1, 1, 1, 1)
        step += self.images
        step = search.project(step, self.places)
        if share == 1:
            moved: Floats = step
            return moved
        step -= self.images
        step *= share
        momentum = self.images - self.before
        momentum *= 1 - share
        step += momentum
        step += self.images
        return search.project(step, self.places)

    def take(self, images: Floats, found: Gradients) -> None:
        """Goes on to these images."""
        self.rises += found.losses > self.losses
        self.before, self.images = self.images, images
        self.gradients, self.losses = found.gradients, found.losses
        better = found.losses > self.best_losses
        self.best_images[better], self.best_gradients[better] = images[better], found.gradients[better]
        self.best_losses[better] = found.losses[better]

    def check(self, steps: int) -> None:
        """Halves the steps of photos that got nowhere in the last ``steps``; they go on from their best image.

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
    """The steps after which the step size is looked at: section 3.2 of the paper."""
    shares = [0.0, FIRST_CHECK]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - SHRINKING, SHORTEST))
    return tuple(sorted({math.ceil(round(share * steps, 6)) for share in shares[1:] if share < 1}))


ATTACK = Apgd()
