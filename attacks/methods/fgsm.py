"""FGSM: one step of full length along the gradient. Weak; for comparison with published results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tledge.attacks.attack import Attack
from tledge.attacks.attack_batch import AttackBatch
from tledge.attacks.losses import CROSS_ENTROPY
from tledge.core.images import Pixels


@dataclass(frozen=True)
class Fgsm(Attack):
    """The fast gradient sign method; in L2, a step along the gradient itself.

    Source: Goodfellow, Shlens and Szegedy, arXiv 1412.6572, section 4.
    """

    needs_gradients: ClassVar[bool] = True
    reference: ClassVar[str] = "arXiv 1412.6572"

    @property
    def budget(self) -> int:
        return 1

    def search(self, batch: AttackBatch) -> Pixels:
        gradients = batch.gradients(batch.originals, batch.all, CROSS_ENTROPY).gradients
        change = batch.threat.steepest(gradients)
        change *= batch.threat.eps
        change += batch.originals
        return batch.round(change, batch.all)


ATTACK = Fgsm()
