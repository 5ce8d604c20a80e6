"""PGD: steps along the gradient from random starts, each projected back into the ball."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tledge.attacks.attack import check_at_least
from tledge.attacks.attack_batch import AttackBatch
from tledge.attacks.goal import Indices
from tledge.attacks.losses import CROSS_ENTROPY
from tledge.attacks.restarts import RestartingAttack

REACH = 2.5
"""Total length of the default steps, in radii of the ball: above 2, so that every start can reach the whole ball."""


@dataclass(frozen=True)
class Pgd(RestartingAttack):
    """Projected gradient descent on the cross-entropy.

    Gradients are taken at the rounded image, which is what a model will see. Steps shorter than one pixel value add up
    in an image that is not rounded.

    Source: Madry et al., arXiv 1706.06083, section 2.1; the step size of 2.5 eps / steps is that of its code.

    Attributes:
        steps: steps of each restart.
        restarts: random starts.
        step_size: length of a step, in pixel values; None for 2.5 eps / steps.
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

    def restart(self, batch: AttackBatch, indices: Indices, number: int) -> Indices:
        size = self.step_size or REACH * batch.threat.eps / self.steps
        images = batch.draw_starts(indices, number)
        for _ in range(self.steps):
            gradients = batch.gradients(batch.round(images, indices), indices, CROSS_ENTROPY).gradients
            if self.early_stop:
                unreached = batch.unreached(indices)
                if not unreached.all():
                    indices, images, gradients = indices[unreached], images[unreached], gradients[unreached]
                if not len(indices):
                    return indices
            change = batch.threat.steepest(gradients)
            change *= size
            change += images
            images = batch.project(change, indices)
        batch.logits(batch.round(images, indices), indices)
        return indices


ATTACK = Pgd()
