"""Logits and loss gradients of a Keras model, on TensorFlow and on JAX. The only module of this room that needs Keras.

The whole step, from pixel values to the gradient, is one compiled function; photos go through it in small batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tledge.attacks.goal import Goal
from tledge.attacks.losses import CROSS_ENTROPY, check_loss, objective, one_hot
from tledge.core.errors import ModelError, OptionError, TargetError
from tledge.core.extras import keras_backend, require
from tledge.core.images import Floats, Pixels

BACKENDS = ("tensorflow", "jax")

CPU_BATCH = 8
"""Photos per batch on a CPU. The activations of more do not fit its caches: in batches of 32, a photo of 160 px takes
twice as long."""

GPU_BATCH = 64
"""Photos per batch on a GPU."""

SMALLER = 4
"""Where each batch size is compiled separately, a last batch that is not full may be this many times smaller."""


@dataclass(frozen=True)
class Gradients:
    """Logits, losses and gradients of N photos.

    Attributes:
        logits: float32 (N, classes).
        losses: float32 (N,); the value that the attack maximizes, see ``losses.objective``.
        gradients: float32 (N, height, width, 3), of each photo's loss with respect to its pixel values.
    """

    logits: Floats
    losses: Floats
    gradients: Floats


def gradient_backend() -> str:
    """Returns Keras's backend. Raises MissingExtraError or TargetError if it cannot compute gradients here."""
    require("keras", keras_backend(), extra="train", purpose="computing gradients")
    import keras

    backend = str(keras.backend.backend())
    if backend not in BACKENDS:
        raise TargetError(
            f"gradients need Keras on {' or '.join(BACKENDS)}; its backend is {backend}: set KERAS_BACKEND=tensorflow"
        )
    return backend


class GradientModel:
    """A Keras classifier that can be attacked through its gradients.

    Each call uses the model's current weights; the model itself is never changed.

    Args:
        model: ``keras.Model`` from pixel values 0 to 255, (N, height, width, 3), to logits, (N, classes).
        batch_size: photos per batch; None for the best size on this device.

    Raises:
        MissingExtraError: Keras or its backend is not installed.
        TargetError: Keras runs on a backend other than TensorFlow and JAX.
        OptionError: ``batch_size`` is below 1.
        ModelError: the model is not an image classifier, or it returns probabilities.
    """

    def __init__(self, model: Any, *, batch_size: int | None = None) -> None:
        self._backend = gradient_backend()
        if batch_size is not None and batch_size < 1:
            raise OptionError(f"batch_size must be 1 or more; received {batch_size}")
        _check_classifier(model)
        self.model = model
        self.classes = int(model.output_shape[-1])
        self._on_cpu = _is_on_cpu(self._backend)
        self._batch = batch_size or (CPU_BATCH if self._on_cpu else GPU_BATCH)
        self._compiled: dict[tuple[object, ...], Callable[..., Any]] = {}

    def __call__(self, images: Pixels | Floats) -> Floats:
        """Returns :meth:`logits`, so that the model can be used as a ``LogitsFn``."""
        return self.logits(images)

    def logits(self, images: Pixels | Floats) -> Floats:
        """Returns the model's logits in inference mode.

        Args:
            images: uint8, or float32 within 0 to 255, (N, height, width, 3).

        Returns:
            float32 (N, classes).
        """
        compiled = self._compile("logits", None)
        parts = [np.asarray(compiled(batch))[:count] for batch, count in self._batches(images)]
        return np.concatenate([np.zeros((0, self.classes), np.float32), *parts])

    def gradients(self, images: Pixels | Floats, goal: Goal, loss: str = CROSS_ENTROPY) -> Gradients:
        """Returns the loss of each photo and its gradient with respect to the pixel values, in inference mode.

        Args:
            images: uint8, or float32 within 0 to 255, (N, height, width, 3).
            goal: the goal of each photo.
            loss: one of ``losses.LOSSES``.

        Raises:
            UnknownNameError: the loss is unknown.
            OptionError: the loss needs more classes.
        """
        check_loss(loss, self.classes, goal.targeted)
        compiled = self._compile(loss, goal.targeted)
        labels = one_hot(goal.labels, self.classes)
        target_classes = labels if goal.target_classes is None else one_hot(goal.target_classes, self.classes)
        found = Gradients(
            np.empty((len(images), self.classes), np.float32),
            np.empty(len(images), np.float32),
            np.empty(images.shape, np.float32),
        )
        done = 0
        for batch, count in self._batches(images):
            part = slice(done, done + count)
            classes = [_pad(values[part], len(batch)) for values in (labels, target_classes)]
            for whole, computed in zip(
                (found.logits, found.losses, found.gradients), compiled(batch, *classes), strict=True
            ):
                whole[part] = np.asarray(computed)[:count]
            done += count
        return found

    def _batches(self, images: Pixels | Floats) -> Iterator[tuple[Pixels | Floats, int]]:
        """Yields batches of compiled sizes, each with the number of its photos that are not padding."""
        for begin in range(0, len(images), self._batch):
            batch = images[begin : begin + self._batch]
            yield _pad(batch, self._compiled_size(len(batch))), len(batch)

    def _compiled_size(self, count: int) -> int:
        if self._backend == "tensorflow" and self._on_cpu:
            return count  # its graph takes any batch size
        smaller = -(-self._batch // SMALLER)
        return smaller if count <= smaller else self._batch

    def _compile(self, loss: str, targeted: bool | None) -> Callable[..., Any]:
        key = (loss, targeted)
        if key not in self._compiled:
            build = _build_on_tensorflow if self._backend == "tensorflow" else _build_on_jax
            self._compiled[key] = build(self.model, loss, targeted)
        return self._compiled[key]


def _build_on_tensorflow(model: Any, loss: str, targeted: bool | None) -> Callable[..., Any]:
    """Builds one graph for any number of photos, without XLA, which is many times slower on a CPU."""
    import keras
    import tensorflow as tf

    def predict(images: Any) -> Any:
        return model(tf.cast(images, tf.float32), training=False)

    def step(images: Any, labels: Any, target_classes: Any) -> Any:
        images = tf.cast(images, tf.float32)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            logits = model(images, training=False)
            losses = objective(keras.ops, loss, logits, labels, target_classes if targeted else None)
        gradients = tape.gradient(losses, images, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return logits, losses, gradients

    shape = tf.TensorShape([None, *model.input_shape[1:]])
    classes = tf.TensorSpec([None, model.output_shape[-1]], tf.float32)
    functions = {
        kind: tf.function(
            predict if targeted is None else step,
            input_signature=[tf.TensorSpec(shape, kind), *([] if targeted is None else [classes, classes])],
            jit_compile=False,
        )
        for kind in (tf.uint8, tf.float32)
    }

    def run(images: Pixels | Floats, *classes: Floats) -> Any:
        return functions[tf.uint8 if images.dtype == np.uint8 else tf.float32](images, *classes)

    return run


def _build_on_jax(model: Any, loss: str, targeted: bool | None) -> Callable[..., Any]:
    import jax
    import keras

    def predict(weights: Any, images: Any) -> Any:
        logits, _ = model.stateless_call(*weights, images.astype(np.float32), training=False)
        return logits

    def total(images: Any, weights: Any, labels: Any, target_classes: Any) -> Any:
        logits = predict(weights, images)
        losses = objective(keras.ops, loss, logits, labels, target_classes if targeted else None)
        return losses.sum(), (logits, losses)

    def step(weights: Any, images: Any, labels: Any, target_classes: Any) -> Any:
        differentiate = jax.value_and_grad(total, has_aux=True)
        (_, (logits, losses)), gradients = differentiate(images.astype(np.float32), weights, labels, target_classes)
        return logits, losses, gradients

    compiled = jax.jit(predict if targeted is None else step)

    def run(images: Pixels | Floats, *classes: Floats) -> Any:
        weights = [
            [variable.value for variable in group]
            for group in (model.trainable_variables, model.non_trainable_variables)
        ]
        return compiled(weights, images, *classes)

    return run


def _pad(values: Any, length: int) -> Any:
    """Returns an array padded with rows of zeros to a number of rows."""
    if len(values) == length:
        return values
    padded = np.zeros((length, *values.shape[1:]), values.dtype)
    padded[: len(values)] = values
    return padded


def _is_on_cpu(backend: str) -> bool:
    if backend == "tensorflow":
        import tensorflow as tf

        return not tf.config.list_physical_devices("GPU")
    import jax

    return str(jax.default_backend()) == "cpu"


def _check_classifier(model: Any) -> None:
    """Raises ModelError unless the model is a classifier from pixel values to logits."""
    import keras

    is_model = isinstance(model, keras.Model)
    ends = (model.input, model.output) if is_model and getattr(model, "inputs", None) else ()
    if not ends or not all(isinstance(end, keras.KerasTensor) for end in ends):
        raise ModelError(f"attacks need a built keras.Model with one input and one output; received {model!r}")
    shape, output_shape = model.input_shape, model.output_shape
    if len(shape) != 4 or shape[-1] != 3 or len(output_shape) != 2 or (output_shape[-1] or 0) < 2:
        raise ModelError(
            "attacks need a classifier from (N, height, width, 3) to (N, classes), 2 classes or more; received one from"
            f" {shape} to {output_shape}"
        )
    last = model.layers[-1]
    activation = getattr(last, "activation", None)
    name = "softmax" if isinstance(last, keras.layers.Softmax) else getattr(activation, "__name__", "")
    if name in ("softmax", "sigmoid"):
        raise ModelError(
            f"attacks need logits, but '{last.name}' ends in a {name}, whose gradient vanishes where the model is"
            " certain; remove it"
        )
