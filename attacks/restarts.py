"""Attacks along the gradient from random starts, one start after the other, for the photos not yet fooled."""

from __future__ import annotations

from abc import abstractmethod

from tledge.attacks.attack import Attack
from tledge.attacks.attack_batch import AttackBatch
from tledge.attacks.goal import Indices
from tledge.core.images import Pixels


class RestartingAttack(Attack):
    """An attack with some steps from each of several random starts; subclasses declare these attributes as fields.

    Attributes:
        steps: steps of each restart.
        restarts: random starts.
        early_stop: stop on a photo once an image of it reaches the goal. Otherwise all steps are made, and the image
            that went farthest beyond the goal is kept: such images transfer better to other models.
    """

    steps: int
    restarts: int
    early_stop: bool

    @property
    def budget(self) -> int:
        return self.restarts * (self.steps + 1)

    def search(self, batch: AttackBatch) -> Pixels:
        indices = batch.all
        for number in range(self.restarts):
            indices = self.restart(batch, indices, number)
            if self.early_stop:
                indices = indices[batch.unreached(indices)]
            if not len(indices):
                break
        return batch.best

    @abstractmethod
    def restart(self, batch: AttackBatch, indices: Indices, number: int) -> Indices:
        """Makes all steps from one random start; returns the indices of the photos that it attacked to the end."""
