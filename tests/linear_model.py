"""A linear classifier with gradients in NumPy, whose every step can be computed by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from tledge.attacks.goal import Goal
from tledge.attacks.loss_gradients import GradientModel, Gradients
from tledge.attacks.losses import objective, one_hot


class LinearModel(GradientModel):
    """Logits are ``weights`` (classes, values) times the pixel values, plus ``bias`` (classes,).

    Attributes:
        shown: the images of each call for gradients, in order.
        shown_for_logits: those of each call for logits.
    """

    def __init__(self, weights: Any, bias: Any = 0.0) -> None:
        self._weights = np.asarray(weights, np.float64)
        self._bias = np.asarray(bias, np.float64)
        self.classes = len(self._weights)
        self.shown: list[Any] = []
        self.shown_for_logits: list[Any] = []

    def logits(self, images: Any) -> Any:
        self.shown_for_logits.append(np.array(images))
        return self._compute(images)

    def gradients(self, images: Any, goal: Goal, loss: str = "cross-entropy") -> Gradients:
        self.shown.append(np.array(images))
        logits = self._compute(images)
        labels = one_hot(goal.labels, self.classes)
        wanted = None if goal.target_classes is None else one_hot(goal.target_classes, self.classes)
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        by_logit = shares - labels if wanted is None else wanted - shares
        gradients = (by_logit @ self._weights).reshape(images.shape).astype(np.float32)
        return Gradients(logits, objective(np, loss, logits, labels, wanted).astype(np.float32), gradients)

    def _compute(self, images: Any) -> Any:
        flat = np.asarray(images, np.float64).reshape(len(images), -1)
        return (flat @ self._weights.T + self._bias).astype(np.float32)
