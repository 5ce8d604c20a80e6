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

TIES = 10
"""After this many equal scores in a row, the model's scores are taken to be flat around an image."""

RAISE = 5
"""Queries with flat scores tell nothing and do not count, up to this many times the queries in all."""


@dataclass(frozen=True)
class Square(Attack):
    """Random search with squares.

    It lowers the margin, or the cross-entropy of the target class, as in the paper; where that ties, the other of the
    two decides. A change that leaves both equal is kept too: the logits of quantized models form plateaus, and this
    crosses them. Where many scores in a row are equal (a saturated or rounded softmax), the photo is restarted from
    random blocks until a score differs.

    Source: Andriushchenko et al., arXiv 1912.00049.

    Attributes:
        queries: the most images that are tried for a photo; the search stops once one reaches the goal. Images whose
            scores tell nothing do not count, up to ``RAISE`` times as many in all.
        p_init: fraction of the image's area that the first squares cover.
    """

    needs_gradients: ClassVar[bool] = False
    reference: ClassVar[str] = "arXiv 1912.00049"
    version: ClassVar[int] = 2  # since it restarts where scores tie

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
        judged, tied = np.ones(len(indices), np.int_), np.zeros(len(indices), np.int_)
        for query in range(1, RAISE * self.queries):
            left = batch.unreached(indices) & (judged < self.queries)
            if not left.all():
                indices, losses, draws = indices[left], losses[left], draws[left]
                judged, tied = judged[left], tied[left]
                rngs = [rng for rng, still in zip(rngs, left, strict=True) if still]
                squares.select(left)
            if not len(indices):
                break
            if (query - 1) % BLOCK == 0:
                draws = np.stack([rng.random((BLOCK, squares.draws), np.float32) for rng in rngs])
            flat = tied >= TIES
            restarts = {int(row): batch.rng(indices[row], query) for row in np.flatnonzero(flat)}
            sides = [self._side(int(count), batch) for count in judged]
            squares.propose(sides, draws[:, (query - 1) % BLOCK], restarts)
            proposed = _losses(batch.goal.select(indices), batch.logits(squares.images, indices))
            nearer, equal = proposed[:, 0] < losses[:, 0], proposed[:, 0] == losses[:, 0]
            kept = nearer | equal & (proposed[:, 1] <= losses[:, 1])
            squares.settle(kept)
            tied = np.where((proposed == losses).all(axis=1), tied + 1, 0)
            losses[kept] = proposed[kept]
            batch.ties[indices] += tied > TIES
            judged += tied <= TIES
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
    """Returns the loss that the search lowers, and the one that decides where it ties: (n, 2)."""
    count = logits.shape[1]
    wanted = goal.labels if goal.target_classes is None else goal.target_classes
    entropies = objective(
        np,
        CROSS_ENTROPY,
        logits,
        one_hot(goal.labels, count),
        None if goal.target_classes is None else one_hot(wanted, count),
    )
    losses = (goal.margins(logits), -entropies)
    return np.stack(losses if goal.target_classes is None else losses[::-1], axis=1).astype(np.float32)


ATTACK = Square()
