"""The head of a linear probe: a multinomial logistic regression, fitted by L-BFGS to features that lie on disk.

The weight of the squared length of its kernel is chosen on the validation split, from strong to weak, each fit
beginning where the last one ended: with about as many features as photos, it decides between a head that generalizes
and one that has learned the photos by heart.

Source: the objective of C. M. Bishop, Pattern Recognition and Machine Learning, section 4.3.4, with a quadratic
penalty; the optimizer is SciPy's L-BFGS-B (Zhu et al., ACM Transactions on Mathematical Software 23, 1997).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tledge.core.errors import TrainingError
from tledge.train.feature_cache import Features, FeatureSet
from tledge.train.history import PROBE, Epoch

INVERSE_STRENGTHS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
"""What is tried, in the terms of scikit-learn's ``C``: the penalty is |W|^2 / (2 C n)."""

PATIENCE = 2
"""Weaker penalties that are tried without a better validation loss."""

TOLERANCE = 1e-5
"""Of the loss, relative: less than that a pass gains nothing."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Head:
    """A fitted head.

    Attributes:
        kernel: float32 (channels, classes).
        bias: float32 (classes,).
        strength: the inverse strength of its penalty.
    """

    kernel: Features
    bias: Features
    strength: float


def fit_head(
    train: FeatureSet,
    validation: FeatureSet,
    *,
    class_weights: npt.NDArray[np.float32],
    passes: int,
    on_fit: Callable[[Epoch], None] = lambda _: None,
) -> tuple[Head, tuple[Epoch, ...]]:
    """Fits a head and chooses its penalty.

    It learns on standardized features, since those of VGG are hundreds of times larger than those of MobileNet; mean
    and deviation are then folded into its weights.

    Args:
        train: what it learns from.
        validation: what its penalty is chosen by.
        class_weights: (classes,), the weight of a photo of each class.
        passes: the most passes over the training features for each penalty.
        on_fit: is told of each fit.

    Returns:
        The head with the lowest validation loss, and one row for each penalty that was tried.

    Raises:
        TrainingError: features or the loss are not finite.
    """
    objective = _Objective(train, class_weights)
    history: list[Epoch] = []
    weights = np.zeros(objective.shape)
    candidates: list[tuple[float, Floats, float]] = []
    for strength in INVERSE_STRENGTHS:
        began = time.perf_counter()
        weights = _minimize(objective, weights, strength, passes)
        loss, top1, _ = objective.evaluate(train, weights)
        val_loss, val_top1, _ = objective.evaluate(validation, weights)
        if not np.isfinite(loss + val_loss):
            raise TrainingError(
                f"the loss became {loss} in the linear probe: the backbone's features are not finite; look at its"
                " weights"
            )
        seconds = round(time.perf_counter() - began, 3)
        history.append(Epoch(PROBE, len(history) + 1, loss, top1, val_loss, val_top1, seconds))
        on_fit(history[-1])
        candidates.append((val_loss, weights, strength))
        losses = [candidate[0] for candidate in candidates]
        if len(losses) - 1 - losses.index(min(losses)) == PATIENCE:
            break
    _, weights, strength = min(candidates, key=lambda candidate: candidate[0])
    return Head(*objective.fold(weights), strength), tuple(history)


class _Objective:
    """Mean weighted cross-entropy of a head on standardized features.

    A head is (channels + 1, classes); its last row is the bias.
    """

    def __init__(self, train: FeatureSet, class_weights: npt.NDArray[np.float32]) -> None:
        self._train = train
        self._class_weights = class_weights.astype(np.float64)
        self._mean, self._deviation = _moments(train)
        self.shape = (len(self._mean) + 1, len(class_weights))
        self.photos = len(train.labels)

    def fold(self, weights: Floats) -> tuple[Features, Features]:
        """The kernel and bias that take features as they are."""
        kernel = weights[:-1] / self._deviation[:, np.newaxis]
        return kernel.astype(np.float32), (weights[-1] - self._mean @ kernel).astype(np.float32)

    def evaluate(self, features: FeatureSet, weights: Floats) -> tuple[float, float, Floats]:
        """Loss, top-1 and the gradient of the loss."""
        kernel, bias = self.fold(weights)
        loss = right = 0.0
        product, total = np.zeros(kernel.shape), np.zeros(len(bias))
        for part, labels in features.parts():
            logits = (part @ kernel + bias).astype(np.float64)
            logits -= logits.max(axis=1, keepdims=True)
            exponentials = np.exp(logits)
            sums = exponentials.sum(axis=1, keepdims=True)
            rows, weight = np.arange(len(labels)), self._class_weights[labels]
            loss += float(weight @ (np.log(sums[:, 0]) - logits[rows, labels]))
            right += float(np.count_nonzero(logits.argmax(axis=1) == labels))
            slope = exponentials / sums
            slope[rows, labels] -= 1
            slope *= weight[:, np.newaxis]
            product += part.T @ slope.astype(np.float32)
            total += slope.sum(axis=0)
        count = len(features.labels)
        gradient = (product - np.outer(self._mean, total)) / self._deviation[:, np.newaxis]
        return loss / count, right / count, np.vstack([gradient, total]) / count

    def __call__(self, flat: Floats, penalty: float) -> tuple[float, Floats]:
        """The penalized loss and its gradient, as SciPy wants them."""
        weights = flat.reshape(self.shape)
        loss, _, gradient = self.evaluate(self._train, weights)
        penalized = weights.copy()
        penalized[-1] = 0
        return loss + penalty / 2 * float(np.sum(penalized**2)), (gradient + penalty * penalized).ravel()


def _minimize(objective: _Objective, start: Floats, strength: float, passes: int) -> Floats:
    from scipy.optimize import minimize

    penalty = 1 / (strength * objective.photos)
    found = minimize(
        objective,
        start.ravel(),
        args=(penalty,),
        jac=True,
        method="L-BFGS-B",
        options={"maxfun": passes, "ftol": TOLERANCE, "gtol": TOLERANCE},
    )
    return np.asarray(found.x).reshape(objective.shape)


def _moments(features: FeatureSet) -> tuple[Floats, Floats]:
    """Mean and deviation of each channel; a dead channel's deviation is kept away from 0."""
    count = features.labels.size
    mean = sum(part.sum(axis=0, dtype=np.float64) for part, _ in features.parts()) / count
    square = sum(np.square(part - mean).sum(axis=0, dtype=np.float64) for part, _ in features.parts()) / count
    deviation = np.sqrt(square)
    return np.asarray(mean), np.maximum(deviation, 0.01 * deviation.mean() + np.finfo(np.float32).tiny)
