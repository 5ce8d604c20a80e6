"""The head of a linear probe: a multinomial logistic regression, fitted by L-BFGS to features on disk.

Its L2 penalty is chosen on the validation split: penalties are tried from strong to weak, and each fit starts from the
last one. With about as many features as photos, the penalty decides whether the head generalizes or overfits.

Source: the objective of C. M. Bishop, Pattern Recognition and Machine Learning, section 4.3.4, with a quadratic
penalty; the optimizer is SciPy's L-BFGS-B (Zhu et al., ACM Transactions on Mathematical Software 23, 1997).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tledge.core.errors import TrainingError
from tledge.train.feature_cache import Features, FeatureSet
from tledge.train.history import PROBE, Epoch

INVERSE_STRENGTHS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
"""The penalties to try, as scikit-learn's ``C``: the penalty is |W|^2 / (2 C n), for n photos."""

PATIENCE = 2
"""Penalties without a better validation loss after which no weaker ones are tried."""

TOLERANCE = 1e-5
"""Relative change of the loss, and size of the gradient, below which a fit has converged."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LogisticHead:
    """A fitted head.

    Attributes:
        kernel: float32 (channels, classes).
        bias: float32 (classes,).
        inverse_strength: one of ``INVERSE_STRENGTHS``.
    """

    kernel: Features
    bias: Features
    inverse_strength: float


def fit_head(
    train: FeatureSet,
    validation: FeatureSet,
    *,
    class_weights: npt.NDArray[np.float32],
    passes: int,
    on_fit: Callable[[Epoch], None] = lambda _: None,
) -> tuple[LogisticHead, tuple[Epoch, ...]]:
    """Fits a head and chooses its penalty.

    The head is fitted to standardized features, because those of VGG are hundreds of times larger than those of
    MobileNet. Mean and deviation are then folded into its weights.

    Args:
        class_weights: (classes,), the weight of a photo of each class.
        passes: the maximum number of passes over the training features for each penalty.
        on_fit: called with the row of each fit.

    Returns:
        The head with the lowest validation loss, and one row for each penalty tried.

    Raises:
        TrainingError: the features or the loss are not finite.
    """
    objective = _Objective(train, class_weights)
    history: list[Epoch] = []
    weights = np.zeros(objective.shape)
    candidates: list[tuple[float, Floats, float]] = []
    for inverse_strength in INVERSE_STRENGTHS:
        started = time.perf_counter()
        weights = _minimize(objective, weights, penalty=1 / (inverse_strength * objective.photos), passes=passes)
        loss, top1, _ = objective.evaluate(train, weights)
        val_loss, val_top1, _ = objective.evaluate(validation, weights)
        if not np.isfinite(loss + val_loss):
            raise TrainingError(
                f"the loss became {loss} in the linear probe: the backbone's features are not finite; check its weights"
            )
        seconds = round(time.perf_counter() - started, 3)
        history.append(Epoch(PROBE, len(history) + 1, loss, top1, val_loss, val_top1, seconds))
        on_fit(history[-1])
        candidates.append((val_loss, weights, inverse_strength))
        if out_of_patience([row.val_loss for row in history]):
            break
    _, weights, inverse_strength = min(candidates, key=lambda candidate: candidate[0])
    return LogisticHead(*objective.fold(weights), inverse_strength), tuple(history)


def out_of_patience(losses: Sequence[float]) -> bool:
    """Returns whether the last ``PATIENCE`` penalties brought no lower validation loss than one before."""
    return len(losses) - 1 - losses.index(min(losses)) >= PATIENCE


class _Objective:
    """The mean weighted cross-entropy of a head on standardized features.

    The weights of a head are (channels + 1, classes); the last row is the bias.
    """

    def __init__(self, train: FeatureSet, class_weights: npt.NDArray[np.float32]) -> None:
        self._train = train
        self._class_weights = class_weights.astype(np.float64)
        self._mean, self._deviation = _moments(train)
        self.shape = (len(self._mean) + 1, len(class_weights))
        self.photos = len(train.labels)

    def fold(self, weights: Floats) -> tuple[Features, Features]:
        """Returns the kernel and bias for features that are not standardized."""
        kernel = weights[:-1] / self._deviation[:, np.newaxis]
        return kernel.astype(np.float32), (weights[-1] - self._mean @ kernel).astype(np.float32)

    def evaluate(self, features: FeatureSet, weights: Floats) -> tuple[float, float, Floats]:
        """Returns the loss, top-1 and the gradient of the loss."""
        kernel, bias = self.fold(weights)
        loss = correct = 0.0
        product, total = np.zeros(kernel.shape), np.zeros(len(bias))
        for part, labels in features.parts():
            logits = (part @ kernel + bias).astype(np.float64)
            logits -= logits.max(axis=1, keepdims=True)
            exponentials = np.exp(logits)
            sums = exponentials.sum(axis=1, keepdims=True)
            rows, weight = np.arange(len(labels)), self._class_weights[labels]
            loss += float(weight @ (np.log(sums[:, 0]) - logits[rows, labels]))
            correct += float(np.count_nonzero(logits.argmax(axis=1) == labels))
            errors = exponentials / sums
            errors[rows, labels] -= 1
            errors *= weight[:, np.newaxis]
            product += part.T @ errors.astype(np.float32)
            total += errors.sum(axis=0)
        count = len(features.labels)
        gradient = (product - np.outer(self._mean, total)) / self._deviation[:, np.newaxis]
        return loss / count, correct / count, np.vstack([gradient, total]) / count

    def __call__(self, flat: Floats, penalty: float) -> tuple[float, Floats]:
        """Returns the penalized loss and its gradient, as SciPy expects them."""
        weights = flat.reshape(self.shape)
        loss, _, gradient = self.evaluate(self._train, weights)
        penalized = weights.copy()
        penalized[-1] = 0
        return loss + penalty / 2 * float(np.sum(penalized**2)), (gradient + penalty * penalized).ravel()


def _minimize(objective: _Objective, start: Floats, *, penalty: float, passes: int) -> Floats:
    from scipy.optimize import minimize

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
    """Returns the mean and deviation of each channel; the deviation of a dead channel is kept away from 0."""
    count = features.labels.size
    mean = sum(part.sum(axis=0, dtype=np.float64) for part, _ in features.parts()) / count
    square = sum(np.square(part - mean).sum(axis=0, dtype=np.float64) for part, _ in features.parts()) / count
    deviation = np.sqrt(square)
    return np.asarray(mean), np.maximum(deviation, 0.01 * deviation.mean() + np.finfo(np.float32).tiny)
