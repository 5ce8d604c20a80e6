"""The best weights of a phase of epochs, and whether to go on looking for better ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

SHARES = (0.25, 0.5, 0.75)
"""Shares of the best epoch's weights to try, between those that the phase started with (0) and its own (1)."""

Weights = Sequence[npt.NDArray[Any]]


@dataclass(kw_only=True)
class BestWeights:
    """The weights with the lowest validation loss so far.

    Attributes:
        start: the weights that the phase started with.
        start_loss: their validation loss; infinite where they are random and cannot be kept.
        weights: the weights of the best epoch; ``start`` before the first one.
        epoch: the best epoch, from 1; 0 before the first one.
        loss: its validation loss.
    """

    start: Weights
    start_loss: float
    weights: Weights
    epoch: int = 0
    loss: float = math.inf

    def update(self, weights: Weights, *, epoch: int, loss: float) -> None:
        """Takes an epoch's weights if its validation loss is lower than every one before."""
        if loss < self.loss:
            self.weights, self.epoch, self.loss = weights, epoch, loss

    def out_of_patience(self, epochs: int, patience: int) -> bool:
        """Returns whether the last ``patience`` of the ``epochs`` trained so far brought no better loss."""
        return epochs - self.epoch >= patience

    def mix(self, share: float) -> Weights:
        """Returns ``share`` parts of the best epoch's weights and ``1 - share`` parts of those at the start."""
        return [(1 - share) * start + share * best for start, best in zip(self.start, self.weights, strict=True)]

    def choose_share(self, validation_loss: Callable[[Weights], float] | None = None) -> float:
        """Returns the share with the lowest validation loss; see :meth:`mix`.

        Source: Wortsman et al., Robust fine-tuning of zero-shot models, arXiv 2109.01903.

        Args:
            validation_loss: returns the loss of a mixture. Without it, only 0 and 1 are compared.
        """
        losses = {0.0: self.start_loss, 1.0: self.loss}
        if validation_loss is not None and self.epoch:
            losses |= {share: validation_loss(self.mix(share)) for share in SHARES}
        return min(losses, key=lambda share: losses[share])
