"""Adversarial training: each batch is attacked before the model learns from it. Imports Keras.

Source: Wong, Rice and Kolter, Fast is better than free, arXiv 2001.03994: one step of FGSM from a random start.
"""

from __future__ import annotations

from typing import Any

import keras

from tledge.attacks.losses import cross_entropy
from tledge.attacks.threat_model import WHITE
from tledge.train.backend import draw_noise, gradient_of, stateless_scope
from tledge.train.step_schedules import ramp_factor, scale_radius

STEP = 1.25
"""Length of the step, in radii of the ball: algorithm 3 and section 5 of Wong et al."""


class AdversarialModel(keras.Model):  # type: ignore[misc]
    """A classifier that is trained on attacked photos; see :func:`perturb`.

    The radius of each photo is drawn uniformly between 0 and 1.5 eps, and less early in training; see
    ``train.step_schedules``.

    Args:
        model: the classifier, from pixel values 0 to 255, (N, height, width, 3), to logits, (N, classes). Its layers
            are shared.
        eps: the radius to train against, in pixel values 0 to 255.
        steps: steps of the whole training.
        seed: the seed of all random values.
    """

    def __init__(self, model: Any, *, eps: int, steps: int, seed: int) -> None:
        super().__init__(model.input, model.output)
        self._eps = eps
        self._steps = steps
        self._seed = seed

    def train_step(self, *given: Any) -> Any:
        """Trains on an attacked batch. Keras passes the batch last; on JAX, the state of the training comes before."""
        *state, batch = given
        pixels, labels, weights = keras.utils.unpack_x_y_sample_weight(batch)
        with stateless_scope(self, state):
            number = self.optimizer.iterations
            attacked = perturb(self, pixels, labels, radius=self._radii(pixels), seed=self._seed, number=2 * number)
        return super().train_step(*state, (attacked, labels, weights))

    def _radii(self, pixels: Any) -> Any:
        """Returns a radius for each photo, (N, 1, 1, 1), in pixel values."""
        number = self.optimizer.iterations
        factor = ramp_factor(keras.ops, keras.ops.cast(number, "float32"), self._steps)
        noise = draw_noise((keras.ops.shape(pixels)[0], 1, 1, 1), self._seed, 2 * number + 1)
        return scale_radius(noise, eps=self._eps, factor=factor)


def perturb(model: Any, pixels: Any, labels: Any, *, radius: Any, seed: int, number: Any) -> Any:
    """Attacks a batch with one step of FGSM from a random start, in the L-infinity norm.

    Source: Wong et al., algorithm 3. The result is not rounded to whole pixel values.

    Args:
        model: from pixel values to logits (N, classes).
        pixels: 0 to 255, (N, height, width, 3).
        labels: one-hot, (N, classes).
        radius: the largest change, in pixel values; one number, or (N, 1, 1, 1).
        number: a whole number; the same seed and number give the same start.

    Returns:
        Pixel values of the same shape, within ``radius`` of the original ones and within 0 to 255.
    """
    ops = keras.ops
    low, high = ops.maximum(pixels - radius, 0.0), ops.minimum(pixels + radius, float(WHITE))
    start = ops.clip(pixels + radius * draw_noise(ops.shape(pixels), seed, number), low, high)

    def total_loss(images: Any) -> Any:
        return ops.sum(cross_entropy(ops, model(images, training=False), labels))

    moved = start + STEP * radius * ops.sign(gradient_of(total_loss, start))
    return ops.stop_gradient(ops.clip(moved, low, high))
