"""Square: random squares of change, kept where they help. Needs nothing but a model's answers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from tledge.attacks.attack import Attack, check_at_least
from tledge.attacks.attack_batch import AttackBatch
from tledge.attacks.goal import Goal
from tledge.attacks.losses import CROSS_ENTROPY, objective, one_hot
from tledge.attacks.squares import start_squares
from tledge.attacks.threat_model import LINF
from tledge.core.errors import OptionError
from tledge.core.images import Pixels

Floats = npt.NDArray[np.float32]

HALVINGS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
"""Shares of the queries after which the squares' area is halved: section 3.3 of the paper."""

BLOCK = 64
"""Queries that random numbers are drawn for at a time."""


@dataclass(frozen=True)
class Square(Attack):
    """Random search with squares.

    Untargeted, it lowers the margin; targeted, the cross-entropy of the target, as in the paper. A change that makes no
    difference is kept, too: the logits of quantized models lie on steps, and this walks along them.

    Source: Andriushchenko et al., arXiv 1912.00049.

    Attributes:
        queries: the most images of a photo that are tried; a fooled photo is left alone.
        p_init: the share of the image's area that the first squares cover.
    """

    needs_gradients: ClassVar[bool] = False
    reference: ClassVar[str] = "arXiv 1912.00049"

    queries: int = 1000
    p_init: float = 0.8

    def __post_init__(self) -> None:
        check_at_least(1, queries=self.queries)
        if not 0 < self.p_init <= 1:
            raise OptionError(f"p_init is a share of the image's area, above 0 and up to 1; received {self.p_init:g}")

    @property
    def budget(self) -> int:
        return self.queries

    def search(self, search: AttackBatch) -> Pixels:
        places = search.all
        rngs = [search.rng(place) for place in places]
        squares = start_squares(search.originals, search.threat, rngs)
        losses = _losses(search.goal, search.logits(squares.images, places))
        draws = np.empty((len(places), 0, squares.draws), np.float32)
        for query in range(1, self.queries):
            missed = search.missed(places)
            if not missed.all():
                places, losses, draws = places[missed], losses[missed], draws[missed]
                rngs = [rng for rng, still in zip(rngs, missed, strict=True) if still]
                squares.select(missed)
            if not len(places):
                break
            if (query - 1) % BLOCK == 0:
                draws = np.stack([rng.random((BLOCK, squares.draws), np.float32) for rng in rngs])
            squares.propose(self._side(query, search), draws[:, (query - 1) % BLOCK])
            found = _losses(search.goal.select(places), search.logits(squares.images, places))
            kept = found <= losses
            squares.settle(kept)
            losses = np.where(kept, found, losses)
        return search.best

    def _side(self, query: int, search: AttackBatch) -> int:
        """The side of the squares of a query, in pixels."""
        height, width = (int(length) for length in search.originals.shape[1:3])
        halvings = len([passed for passed in HALVINGS if query / self.queries > passed])
        side = round(math.sqrt(self.p_init * 0.5**halvings * height * width))
        if search.threat.norm == LINF:
            return min(max(side, 1), height, width)
        side = max(side, 3)  # odd ones have a middle
        return min(side + 1 - side % 2, height, width)


def _losses(goal: Goal, logits: Floats) -> Floats:
    """What is lowered: (n,)."""
    if goal.targets is None:
        return goal.margins(logits)
    count = logits.shape[1]
    losses = -objective(np, CROSS_ENTROPY, logits, one_hot(goal.labels, count), one_hot(goal.targets, count))
    return np.asarray(losses, np.float32)


ATTACK = Square()
