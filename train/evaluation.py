"""Runs a Keras model on photos, unchanged or under a short attack, and computes its figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from tledge.attacks.goal import Goal
from tledge.attacks.loss_gradients import GradientModel
from tledge.attacks.losses import CROSS_ENTROPY
from tledge.attacks.threat_model import LINF, ThreatModel
from tledge.core.image_batches import batches
from tledge.core.progress import Step
from tledge.core.splits import Splits
from tledge.core.statistics import expected_calibration_error, wilson_interval
from tledge.train.history import Epoch

BATCH_SIZE = 32
"""Photos a batch; larger batches do not fit a CPU's caches and are slower."""

ATTACK_STEPS = 3

ATTACK_LENGTH = 2.5
"""Length of all steps of the attack together, in radii of the ball."""

Logits = npt.NDArray[np.float32]


class ResizeRule(TypedDict):
    """How photos are resized for a model: (height, width), and one of ``core.images.RESIZE_RULES``."""

    size: tuple[int, int]
    resize: str


@dataclass(frozen=True)
class Evaluation:
    """The figures of one split, computed from its logits.

    Attributes:
        logits: float64 (photos, classes).
        labels: (photos,).
    """

    logits: npt.NDArray[np.float64]
    labels: npt.NDArray[np.intp]

    @cached_property
    def top1(self) -> float:
        """The fraction of photos that are classified correctly."""
        return float(np.mean(self._predicted == self.labels))

    @cached_property
    def top1_interval(self) -> tuple[float, float]:
        """The 95% Wilson interval of ``top1``."""
        return wilson_interval(int(np.count_nonzero(self._predicted == self.labels)), len(self.labels))

    @cached_property
    def loss(self) -> float:
        """The mean cross-entropy."""
        of_the_label = self._log_probabilities[np.arange(len(self.labels)), self.labels]
        return float(-np.mean(of_the_label))

    @property
    def temperature(self) -> float:
        """The number to divide the logits by for the lowest loss.

        It is 1 if every photo is classified correctly: then the loss has no minimum.

        Source: Guo et al., On calibration of modern neural networks, arXiv 1706.04599, section 4.2.
        """
        return 1.0 if self.top1 == 1 else self._best_temperature

    @property
    def calibrated_loss(self) -> float:
        """The loss at the best temperature.

        Unlike ``loss``, it does not depend on how confident a model is trained to be (by label smoothing, for
        instance), only on how well it separates the classes.
        """
        return self.at_temperature(self._best_temperature).loss

    @cached_property
    def _best_temperature(self) -> float:
        from scipy.optimize import minimize_scalar

        found = minimize_scalar(lambda power: self.at_temperature(2**power).loss, bounds=(-2, 2), method="bounded")
        return float(2**found.x)

    def at_temperature(self, temperature: float) -> Evaluation:
        """Returns the evaluation with all logits divided by ``temperature``."""
        return Evaluation(self.logits / temperature, self.labels)

    @cached_property
    def calibration_error(self) -> float:
        """The expected calibration error of the top-1 score; see ``core.statistics``."""
        scores = np.exp(self._log_probabilities.max(axis=1))
        return expected_calibration_error(scores, self._predicted == self.labels)

    def to_metrics(self, split: str) -> dict[str, float]:
        """Returns the metrics of ``run.json``; the split is part of their names."""
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
        """(classes, classes): how many photos of the row's class were classified as the column's."""
        classes = self.logits.shape[1]
        pairs = np.bincount(self.labels * classes + self._predicted, minlength=classes * classes)
        matrix: npt.NDArray[np.intp] = pairs.reshape(classes, classes)
        return matrix

    @cached_property
    def precision(self) -> npt.NDArray[np.float64]:
        """(classes,): of the photos classified as a class, the fraction that belong to it; NaN if there are none."""
        return _fractions(np.diag(self.confusion), self.confusion.sum(axis=0))

    @cached_property
    def recall(self) -> npt.NDArray[np.float64]:
        """(classes,): of the photos of a class, the fraction classified correctly; NaN if there are none."""
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


@dataclass(frozen=True)
class ValidationResult:
    """The evaluation of an epoch on the validation split.

    Attributes:
        clean: on the unchanged photos.
        attacked: on the same photos under attack; None outside of adversarial training.
    """

    clean: Evaluation
    attacked: Evaluation | None = None

    @property
    def loss(self) -> float:
        """The loss that epochs are compared by: under attack if there is one."""
        return (self.attacked or self.clean).calibrated_loss

    def to_epoch(self, phase: str, epoch: int, *, loss: float, top1: float, seconds: float) -> Epoch:
        """Returns the row of ``history.csv``; see :class:`~tledge.train.history.Epoch` for the arguments."""
        row = Epoch(phase, epoch, loss, top1, self.clean.calibrated_loss, self.clean.top1, seconds)
        if self.attacked is None:
            return row
        return replace(row, val_robust_loss=self.attacked.calibrated_loss, val_robust_accuracy=self.attacked.top1)


def predict_photos(
    model: Any, paths: Sequence[Path], *, size: tuple[int, int], resize: str, step: Step | None = None
) -> Iterator[npt.NDArray[np.float32]]:
    """Runs a model on photos, in order. The photos of the next batches are decoded meanwhile.

    Args:
        model: a ``keras.Model`` from pixel values (N, height, width, 3).
        size: (height, width) of the resized photos.

    Yields:
        The outputs for the next n photos, float32 (n, outputs).
    """
    for pixels in batches(paths, size, resize, BATCH_SIZE):
        batch = np.zeros((BATCH_SIZE, *pixels.shape[1:]), np.float32)  # always the same shape: compiled once
        batch[: len(pixels)] = pixels
        yield np.asarray(model.predict_on_batch(batch), np.float32)[: len(pixels)]
        if step is not None:
            step.advance(len(pixels))


def evaluate(
    model: Any, splits: Splits, split: str, *, size: tuple[int, int], resize: str, step: Step | None = None
) -> Evaluation:
    """Evaluates a model on a split.

    Args:
        model: a ``keras.Model`` from pixel values to logits.
        split: "train", "validation" or "test".
        size: (height, width) of the resized photos.
    """
    samples = splits.samples(split)
    logits = np.concatenate(list(predict_photos(model, splits.paths(samples), size=size, resize=resize, step=step)))
    return Evaluation(logits.astype(np.float64), np.array([sample.label for sample in samples], np.intp))


def evaluate_under_attack(
    model: GradientModel, splits: Splits, split: str, *, eps: int, size: tuple[int, int], resize: str
) -> tuple[Evaluation, Evaluation]:
    """Evaluates a model on the photos of a split, unchanged and under a few steps of PGD.

    The attack is short: its robust accuracy is an upper bound, good enough to compare the epochs of a training.

    Source: Madry et al., Towards deep learning models resistant to adversarial attacks, arXiv 1706.06083.

    Args:
        model, splits, split, size, resize: as in :func:`evaluate`.
        eps: the radius in the L-infinity norm, in pixel values 0 to 255.

    Returns:
        The evaluation on the unchanged photos, and under attack. A photo that is misclassified unchanged stays
        misclassified under attack.
    """
    samples = splits.samples(split)
    labels = np.array([sample.label for sample in samples], np.intp)
    threat = ThreatModel(LINF, eps)
    clean, attacked = [], []
    done = 0
    for pixels in batches(splits.paths(samples), size, resize, BATCH_SIZE):
        goal = Goal(labels[done : done + len(pixels)])
        images = pixels.astype(np.float32)
        for step in range(ATTACK_STEPS):
            found = model.gradients(images, goal, CROSS_ENTROPY)
            if step == 0:
                clean.append(found.logits)
            images += ATTACK_LENGTH * eps / ATTACK_STEPS * threat.steepest(found.gradients)
            images = threat.project(images, pixels)
        attacked.append(lower_margins(goal, clean[-1], model.logits(threat.round(images, pixels))))
        done += len(pixels)
    first, second = (Evaluation(np.concatenate(parts).astype(np.float64), labels) for parts in (clean, attacked))
    return first, second


def lower_margins(goal: Goal, clean: Logits, attacked: Logits) -> Logits:
    """Returns for each photo the logits that are closer to the attack's goal; the clean ones if both are equally close.

    Args:
        clean: (N, classes), on the unchanged photos.
        attacked: (N, classes), on the attacked photos.
    """
    closer = goal.margins(attacked) < goal.margins(clean)
    return np.where(closer[:, np.newaxis], attacked, clean)


def _fractions(part: npt.NDArray[np.intp], whole: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    fractions: npt.NDArray[np.float64] = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return fractions
