"""Adversarial training: each batch is attacked before it is learned from, as validation photos are. Imports Keras.

Sources: Wong, Rice and Kolter, Fast is better than free, arXiv 2001.03994, for the attack in training, one step from a
random start; Madry et al., arXiv 1706.06083, for several steps on validation photos.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tledge.attacks.goal import Goal
from tledge.attacks.loss_gradients import GradientModel
from tledge.attacks.losses import CROSS_ENTROPY, cross_entropy
from tledge.attacks.threat_model import LINF, WHITE, ThreatModel
from tledge.core.image_batches import batches
from tledge.core.splits import Splits
from tledge.train.backend import draw_noise, gradient_of, restored
from tledge.train.evaluation import Evaluation
from tledge.train.inference import BATCH_SIZE

STEP = 1.25
"""Length of the step in training, in radii of the ball: algorithm 3 and section 5 of Wong et al."""

RISING = 0.4
"""The share of all steps in which the radius rises from 0 to its whole length: from the first step on at its whole
length, a backbone of clean photos forgets what it knew."""

WIDEST = 1.5
"""The largest radius that a photo is drawn, in eps; the smallest is 0. So the model sees clean photos as well."""

VALIDATION_STEPS = 3
"""Steps of the attack on validation photos."""

REACH = 2.5
"""All of those together, in radii of the ball."""


class AdversarialLearner(keras.Model):  # type: ignore[misc]
    """A classifier that learns from photos as an attacker would change them.

    In each step each photo is attacked, see :func:`perturb`, within a radius that is drawn uniformly between 0 and
    ``WIDEST`` eps, or less while it rises, and is learned from as the attack left it.

    Args:
        model: the classifier, from pixel values 0 to 255, (N, height, width, 3), to logits, (N, classes); its layers
            are shared.
        eps: the radius that the model is to stand up to, in pixel values of which white is 255.
        steps: of the whole training.
        seed: of all that is drawn.
    """

    def __init__(self, model: Any, *, eps: int, steps: int, seed: int) -> None:
        super().__init__(model.input, model.output)
        self._eps = eps
        self._rising = max(RISING * steps, 1.0)
        self._seed = seed

    def train_step(self, *given: Any) -> Any:
        """One step on an attacked batch; Keras gives the batch last, on JAX after the state of the training."""
        *state, batch = given
        pixels, labels, weights = keras.utils.unpack_x_y_sample_weight(batch)
        with restored(self, state):
            number = self.optimizer.iterations
            attacked = perturb(self, pixels, labels, radius=self._radii(pixels), seed=self._seed, number=2 * number)
        return super().train_step(*state, (attacked, labels, weights))

    def _radii(self, pixels: Any) -> Any:
        """(N, 1, 1, 1), in pixel values."""
        number = self.optimizer.iterations
        risen = keras.ops.minimum(keras.ops.cast(number, "float32") / self._rising, 1.0)
        drawn = draw_noise((keras.ops.shape(pixels)[0], 1, 1, 1), self._seed, 2 * number + 1)
        return WIDEST * self._eps * risen * (drawn + 1) / 2


def perturb(model: Any, pixels: Any, labels: Any, *, radius: Any, seed: int, number: Any) -> Any:
    """One step of FGSM from a random start, in the L-infinity norm; the result is not rounded to whole pixel values.

    Source: Wong et al., algorithm 3.

    Args:
        model: from pixel values to logits (N, classes).
        pixels: 0 to 255, (N, height, width, 3).
        labels: one-hot, (N, classes).
        radius: the largest change, in pixel values; one number, or (N, 1, 1, 1).
        seed: of the start.
        number: the same seed and number give the same start.

    Returns:
        Within ``radius`` of the pixels and within 0 to 255, of the same shape.
    """
    ops = keras.ops
    low, high = ops.maximum(pixels - radius, 0.0), ops.minimum(pixels + radius, float(WHITE))
    start = ops.clip(pixels + radius * draw_noise(ops.shape(pixels), seed, number), low, high)

    def total_loss(images: Any) -> Any:
        return ops.sum(cross_entropy(ops, model(images, training=False), labels))

    moved = start + STEP * radius * ops.sign(gradient_of(total_loss, start))
    return ops.stop_gradient(ops.clip(moved, low, high))


def evaluate_under_attack(
    model: GradientModel, splits: Splits, split: str, *, eps: int, size: tuple[int, int], resize: str
) -> tuple[Evaluation, Evaluation]:
    """Evaluates a model on the photos of a split, and on the same under a few steps of PGD.

    The attack is short: its robust accuracy is an upper bound, good for comparing the epochs of a training.

    Args:
        model: which.
        splits: the photos.
        split: which of them.
        eps: the radius in the L-infinity norm, in pixel values.
        size: (height, width) that photos get.
        resize: the rule by which they get it.

    Returns:
        On the photos as they are, and under attack; a photo that is wrong as it is stays wrong under attack.
    """
    samples = splits.samples(split)
    labels = np.array([sample.label for sample in samples], np.intp)
    threat = ThreatModel(LINF, eps)
    clean, attacked = [], []
    done = 0
    for pixels in batches(splits.paths(samples), size, resize, BATCH_SIZE):
        goal = Goal(labels[done : done + len(pixels)])
        images = pixels.astype(np.float32)
        for step in range(VALIDATION_STEPS):
            found = model.gradients(images, goal, CROSS_ENTROPY)
            if step == 0:
                clean.append(found.logits)
            images += REACH * eps / VALIDATION_STEPS * threat.steepest(found.gradients)
            images = threat.project(images, pixels)
        logits = model.logits(threat.round(images, pixels))
        nearer = goal.margins(logits) < goal.margins(clean[-1])  # else the photo as it is does an attacker more good
        attacked.append(np.where(nearer[:, np.newaxis], logits, clean[-1]))
        done += len(pixels)
    first, second = (Evaluation(np.concatenate(parts).astype(np.float64), labels) for parts in (clean, attacked))
    return first, second
