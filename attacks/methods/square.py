"""Square: random squares of change, kept where they help. Needs only the model's logits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tledge.attacks.attack import Attack, check_at_least
from tledge.attacks.attack_batch import AttackBatch
from tledge.attacks.goal import Goal
from tledge.attacks.losses import CROSS_ENTROPY, objective, one_hot
from tledge.attacks.squares import start_squares
from tledge.attacks.threat_model import LINF
from tledge.core.errors import OptionError
from tledge.core.images import Floats, Pixels

HALVINGS = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
"""Fractions of the queries after which the squares' area is halved: section 3.3 of the paper."""

BLOCK = 64
"""Queries whose random numbers are drawn together."""


@dataclass(frozen=True)
class Square(Attack):
    """Random search with squares.

    It lowers the margin, or the cross-entropy of the target class, as in the paper. A change that leaves the loss equal
    is kept too: the logits of quantized models form plateaus, and this crosses them.

    Source: Andriushchenko et al., arXiv 1912.00049.

    Attributes:
        queries: the most images that are tried for a photo; the search stops once one reaches the goal.
        p_init: fraction of the image's area that the first squares cover.
    """

    needs_gradients: ClassVar[bool] = False
    reference: ClassVar[str] = "arXiv 1912.00049"

    queries: int = 1000
    p_init: float = 0.8

    def __post_init__(self) -> None:
        check_at_least(1, queries=self.queries)
        if not 0 < self.p_init <= 1:
            raise OptionError(
                f"p_init must be a fraction of the image's area, above 0 and up to 1; received {self.p_init:g}"
            )

    @property
    def budget(self) -> int:
        return self.queries

    def search(self, batch: AttackBatch) -> Pixels:
        indices = batch.all
        rngs = [batch.rng(index) for index in indices]
        squares = start_squares(batch.originals, batch.threat, rngs)
        losses = _losses(batch.goal, batch.logits(squares.images, indices))
        draws = np.empty((len(indices), 0, squares.draws), np.float32)
        for query in range(1, self.queries):
            unreached = batch.unreached(indices)
            if not unreached.all():
                indices, losses, draws = indices[unreached], losses[unreached], draws[unreached]
                rngs = [rng for rng, still in zip(rngs, unreached, strict=True) if still]
                squares.select(unreached)
            if not len(indices):
                break
            if (query - 1) % BLOCK == 0:
                draws = np.stack([rng.random((BLOCK, squares.draws), np.float32) for rng in rngs])
            squares.propose(self._side(query, batch), draws[:, (query - 1) % BLOCK])
            proposed = _losses(batch.goal.select(indices), batch.logits(squares.images, indices))
            kept = proposed <= losses
            squares.settle(kept)
            losses = np.where(kept, proposed, losses)
        return batch.best

    def _side(self, query: int, batch: AttackBatch) -> int:
        """Returns the side of the squares of a query, in pixels."""
        height, width = (int(length) for length in batch.originals.shape[1:3])
        halvings = len([passed for passed in HALVINGS if query / self.queries > passed])
        side = round(math.sqrt(self.p_init * 0.5**halvings * height * width))
        if batch.threat.norm == LINF:
            return min(max(side, 1), height, width)
        side = max(side, 3)  # an odd side has a middle
        return min(side + 1 - side % 2, height, width)


def _losses(goal: Goal, logits: Floats) -> Floats:
    """Returns the loss that the search lowers: (n,)."""
    if goal.target_classes is None:
        return goal.margins(logits)
    count = logits.shape[1]
    losses = -objective(np, CROSS_ENTROPY, logits, one_hot(goal.labels, count), one_hot(goal.target_classes, count))
    return np.asarray(losses, np.float32)


ATTACK = Square()
