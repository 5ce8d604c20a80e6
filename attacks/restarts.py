"""What attacks along the gradient share: random starts, one after the other, for the photos that still resist."""

from __future__ import annotations

from abc import abstractmethod

from tledge.attacks.attack import Attack
from tledge.attacks.attack_batch import AttackBatch
from tledge.attacks.goal import Indices
from tledge.core.images import Pixels


class RestartingAttack(Attack):
    """An attack of some steps from each of some random starts; subclasses declare these as their fields.

    Attributes:
        steps: of each restart.
        restarts: random starts.
        early_stop: a photo is left alone once an image of it reaches the goal. Without it, all steps are made, and the
            image that went the farthest beyond the goal is kept: for images that are to fool another model, too.
    """

    steps: int
    restarts: int
    early_stop: bool

    @property
    def budget(self) -> int:
        return self.restarts * (self.steps + 1)

    def search(self, search: AttackBatch) -> Pixels:
        places = search.all
        for number in range(self.restarts):
            places = self.restart(search, places, number)
            if self.early_stop:
                places = places[search.missed(places)]
            if not len(places):
                break
        return search.best

    @abstractmethod
    def restart(self, search: AttackBatch, places: Indices, number: int) -> Indices:
        """Makes all steps from one random start; returns the places that it worked on to the end."""
