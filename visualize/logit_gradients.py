"""Logits and their gradients with respect to a Keras model's input, on TensorFlow and on JAX.

``attacks.GradientModel`` differentiates an attack's loss with respect to pixels. This module differentiates one logit
with respect to any input tensor, for instance the activations of a layer, through the part of a model after it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tledge.attacks.goal import Indices
from tledge.attacks.loss_gradients import gradient_backend
from tledge.core.images import Floats

Step = Callable[[Floats, Floats], tuple[Any, Any]]


class LogitGradient:
    """Computes gradients of logits with respect to a model's input, in inference mode.

    Args:
        model: a ``keras.Model`` from float32 (N, ...) to logits (N, classes).

    Raises:
        MissingExtraError: Keras or its backend is not installed.
        OptionError: Keras runs on a backend other than TensorFlow and JAX.
    """

    def __init__(self, model: Any) -> None:
        build = _build_on_tensorflow if gradient_backend() == "tensorflow" else _build_on_jax
        self._classes = int(model.output_shape[-1])
        self._step = build(model)

    def __call__(self, values: Floats, classes: Indices) -> tuple[Floats, Floats]:
        """Returns logits and the gradient of one logit for each input.

        Args:
            values: float32 (N, ...), the model's input.
            classes: (N,), index of the logit to differentiate.

        Returns:
            The logits, float32 (N, classes), and the gradients, float32 in the shape of ``values``.
        """
        chosen = np.eye(self._classes, dtype=np.float32)[classes]
        logits, gradients = self._step(values.astype(np.float32, copy=False), chosen)
        return np.asarray(logits, np.float32), np.asarray(gradients, np.float32)


def _build_on_tensorflow(model: Any) -> Step:
    """Builds one graph for any batch size, without XLA, which is many times slower on a CPU."""
    import tensorflow as tf

    def step(values: Any, chosen: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            logits = tf.cast(model(values, training=False), tf.float32)
            total = tf.reduce_sum(logits * chosen)
        return logits, tape.gradient(total, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    signature = [
        tf.TensorSpec([None, *model.input_shape[1:]], tf.float32),
        tf.TensorSpec([None, model.output_shape[-1]], tf.float32),
    ]
    compiled: Step = tf.function(step, input_signature=signature, jit_compile=False)
    return compiled


def _build_on_jax(model: Any) -> Step:
    import jax

    def total(values: Any, weights: Any, chosen: Any) -> Any:
        logits, _ = model.stateless_call(*weights, values, training=False)
        return (logits * chosen).sum(), logits

    def step(weights: Any, values: Any, chosen: Any) -> Any:
        (_, logits), gradients = jax.value_and_grad(total, has_aux=True)(values, weights, chosen)
        return logits, gradients

    compiled = jax.jit(step)

    def run(values: Floats, chosen: Floats) -> tuple[Any, Any]:
        groups = (model.trainable_variables, model.non_trainable_variables)
        logits, gradients = compiled([[variable.value for variable in group] for group in groups], values, chosen)
        return logits, gradients

    return run
