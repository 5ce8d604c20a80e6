"""PGD: steps along the gradient from random starts, back into the ball after each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tledge.attacks.attack import check_at_least
from tledge.attacks.attack_batch import AttackBatch
from tledge.attacks.goal import Indices
from tledge.attacks.losses import CROSS_ENTROPY
from tledge.attacks.restarts import RestartingAttack

REACH = 2.5
"""All steps together in radii of the ball, without a step size: from any start, all of it can be reached."""


@dataclass(frozen=True)
class Pgd(RestartingAttack):
    """Projected gradient descent on the cross-entropy.

    The gradient is taken where an image of 8 bits lies, at the rounded image; steps shorter than a pixel value add up
    in an image that is not rounded.

    Source: Madry et al., arXiv 1706.06083, section 2.1 and, for the step size, its code's 2.5 eps / steps.

    Attributes:
        steps: of each restart.
        restarts: random starts.
        step_size: length of a step, in pixel values; 2.5 eps / steps without it.
        early_stop: see ``RestartingAttack``.
    """

    needs_gradients: ClassVar[bool] = True
    reference: ClassVar[str] = "arXiv 1706.06083"

    steps: int = 20
    restarts: int = 1
    step_size: float | None = None
    early_stop: bool = True

    def __post_init__(self) -> None:
        check_at_least(1, steps=self.steps, restarts=self.restarts)
        if self.step_size is not None:
            check_at_least(1e-6, step_size=self.step_size)

    def restart(self, search: AttackBatch, places: Indices, number: int) -> Indices:
        size = self.step_size or REACH * search.threat.eps / self.steps
        images = search.draw_starts(places, number)
        for _ in range(self.steps):
            gradients = search.gradients(search.round(images, places), places, CROSS_ENTROPY).gradients
            if self.early_stop:
                missed = search.missed(places)
                if not missed.all():
                    places, images, gradients = places[missed], images[missed], gradients[missed]
                if not len(places):
                    return places
            change = search.threat.steepest(gradients)
            change *= size
            change += images
            images = search.project(change, places)
        search.logits(search.round(images, places), places)
        return places


ATTACK = Pgd()
