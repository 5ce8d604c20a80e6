"""What a trained Keras model reaches on a split, class by class. Imports Keras."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tledge.core.progress import Step
from tledge.core.splits import Splits
from tledge.core.statistics import expected_calibration_error, wilson_interval
from tledge.train.inference import run_over


@dataclass(frozen=True)
class Evaluation:
    """Figures of one split, all from its logits.

    Attributes:
        logits: float64 (photos, classes).
        labels: (photos,).
    """

    logits: npt.NDArray[np.float64]
    labels: npt.NDArray[np.intp]

    @cached_property
    def top1(self) -> float:
        """The fraction of photos whose largest logit is their class's."""
        return float(np.mean(self._predicted == self.labels))

    @cached_property
    def top1_interval(self) -> tuple[float, float]:
        """The 95% Wilson interval of ``top1``."""
        return wilson_interval(int(np.count_nonzero(self._predicted == self.labels)), len(self.labels))

    @cached_property
    def loss(self) -> float:
        """Mean cross-entropy."""
        of_the_label = self._log_probabilities[np.arange(len(self.labels)), self.labels]
        return float(-np.mean(of_the_label))

    @property
    def temperature(self) -> float:
        """What the logits are to be divided by for the least loss; 1 where no answer is wrong, which bounds nothing.

        Source: Guo et al., On calibration of modern neural networks, arXiv 1706.04599, section 4.2.
        """
        return 1.0 if self.top1 == 1 else self._best_temperature

    @property
    def calibrated_loss(self) -> float:
        """The loss at the best temperature: unlike the plain one, it does not depend on how sure the model is trained
        to be, only on how well it tells photos apart.
        """
        return self.at_temperature(self._best_temperature).loss

    @cached_property
    def _best_temperature(self) -> float:
        from scipy.optimize import minimize_scalar

        found = minimize_scalar(lambda power: self.at_temperature(2**power).loss, bounds=(-2, 2), method="bounded")
        return float(2**found.x)

    def at_temperature(self, temperature: float) -> Evaluation:
        """The same with all logits divided by ``temperature``."""
        return Evaluation(self.logits / temperature, self.labels)

    @cached_property
    def calibration_error(self) -> float:
        """By how much the score of the first answer is off from how often it is right, see ``core.statistics``."""
        scores = np.exp(self._log_probabilities.max(axis=1))
        return expected_calibration_error(scores, self._predicted == self.labels)

    def to_metrics(self, split: str) -> dict[str, float]:
        """The figures of ``run.json``, each under the split's name."""
        low, high = self.top1_interval
        return {
            f"{split}_top1": self.top1,
            f"{split}_top1_low": low,
            f"{split}_top1_high": high,
            f"{split}_loss": self.loss,
            f"{split}_calibration_error": self.calibration_error,
        }

    @cached_property
    def confusion(self) -> npt.NDArray[np.intp]:
        """(classes, classes): how many photos of the row's class were taken for the column's."""
        classes = self.logits.shape[1]
        pairs = np.bincount(self.labels * classes + self._predicted, minlength=classes * classes)
        matrix: npt.NDArray[np.intp] = pairs.reshape(classes, classes)
        return matrix

    @cached_property
    def precision(self) -> npt.NDArray[np.float64]:
        """(classes,): of the photos that were taken for a class, the fraction that is of it; NaN where none was."""
        return _fractions(np.diag(self.confusion), self.confusion.sum(axis=0))

    @cached_property
    def recall(self) -> npt.NDArray[np.float64]:
        """(classes,): of the photos of a class, the fraction that was taken for it; NaN where there are none."""
        return _fractions(np.diag(self.confusion), self.confusion.sum(axis=1))

    @cached_property
    def _predicted(self) -> npt.NDArray[np.intp]:
        predicted: npt.NDArray[np.intp] = self.logits.argmax(axis=1)
        return predicted

    @cached_property
    def _log_probabilities(self) -> npt.NDArray[np.float64]:
        shifted = self.logits - self.logits.max(axis=1, keepdims=True)
        result: npt.NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return result


def evaluate(
    model: Any, splits: Splits, split: str, *, size: tuple[int, int], resize: str, step: Step | None = None
) -> Evaluation:
    """Runs a model over a split.

    Args:
        model: a ``keras.Model`` from pixel values to logits.
        splits: the photos.
        split: "train", "validation" or "test".
        size: (height, width) that photos get.
        resize: the rule by which they get it.
        step: is told of it.
    """
    samples = splits.samples(split)
    logits = np.concatenate(list(run_over(model, splits.paths(samples), size=size, resize=resize, step=step)))
    return Evaluation(logits.astype(np.float64), np.array([sample.label for sample in samples], np.intp))


def _fractions(part: npt.NDArray[np.intp], whole: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    fractions: npt.NDArray[np.float64] = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return fractions
