"""The training loop shared by quantization-aware training and pruning. Imports TensorFlow: for the child process.

Source: Hinton et al. 2015, Distilling the knowledge in a neural network, arXiv 1503.02531, at temperature 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tledge.core.image_batches import batches
from tledge.core.images import Pixels
from tledge.core.progress import Step
from tledge.export.tfmot.job import Job, JobPhotos, TuningEpoch

LABELS_WEIGHT = 0.5
"""Weight of the cross-entropy with the labels; the rest is the weight of the divergence from the teacher."""

Logits = npt.NDArray[np.float32]


class Teacher:
    """The float model's logits, computed once for each photo and once for its mirror image."""

    def __init__(self, model: Any, photos: int, classes: int) -> None:
        self._infer = _inference(model)
        self._known = np.full((2, photos, classes), np.nan, np.float32)

    def logits(self, images: Pixels, indexes: npt.NDArray[np.intp], mirrored: npt.NDArray[np.bool_]) -> Logits:
        """Returns the logits (n, classes) of images (n, height, width, 3), already mirrored where ``mirrored`` is true.

        Args:
            indexes: (n,), of the photos.
            mirrored: (n,).
        """
        side = mirrored.astype(np.intp)
        missing = np.isnan(self._known[side, indexes, 0])
        if missing.any():
            self._known[side[missing], indexes[missing]] = self._infer(images[missing])
        return self._known[side, indexes]


@dataclass
class Distillation:
    """A model trained on labels and on a teacher's logits.

    Attributes:
        keep_zeros: kernel weights that are zero before training stay zero.
        before_step: called before each training step.
        after_epoch: called before each evaluation.
    """

    job: Job
    model: Any
    teacher: Any
    variables: Sequence[Any]
    step: Step
    keep_zeros: bool = False
    before_step: Callable[[], None] = lambda: None
    after_epoch: Callable[[], None] = lambda: None

    def train(self, first_candidate: int) -> tuple[TuningEpoch, ...]:
        """Trains, and leaves the model with the weights of the epoch with the lowest validation loss.

        Args:
            first_candidate: the first epoch that can be chosen; 0 is the model before training.
        """
        epochs, classes = self.job.options.epochs, self.model.output_shape[-1]
        rng = np.random.default_rng(self.job.options.seed)
        train_teacher = Teacher(self.teacher, len(self.job.train.paths), classes)
        validation_teacher = Teacher(self.teacher, len(self.job.validation.paths), classes)
        update, infer = self._make_update(), _inference(self.model)
        history: list[TuningEpoch] = []
        best: tuple[float, list[Any]] = (np.inf, [])
        for epoch in range(min(first_candidate, 1), epochs + 1):
            self.step.begin(f"epoch {epoch}/{epochs}")
            train_loss = self._train_epoch(update, train_teacher, rng, epoch) if epoch > 0 else None
            self.after_epoch()
            reached = replace(self._evaluate(infer, validation_teacher), epoch=epoch, train_loss=train_loss)
            history.append(reached)
            if epoch >= first_candidate and reached.loss < best[0]:
                best = (reached.loss, self.model.get_weights())
                history = [replace(entry, kept=entry.epoch == epoch) for entry in history]
            self.step.mark(
                f"validation loss {reached.loss:.3f}  top-1 {reached.top1:.3f}  agreement {reached.agreement:.3f}"
            )
        self.model.set_weights(best[1])
        return tuple(history)

    def _make_update(self) -> Callable[[Pixels, npt.NDArray[np.int64], Logits, float], float]:
        """Returns the training step, which takes images, labels, the teacher's logits and the learning rate."""
        import tf_keras

        optimizer = tf_keras.optimizers.Adam()
        optimizer.build(self.variables)
        kernels = [variable for variable in self.variables if self.keep_zeros and len(variable.shape) > 1]
        masks = [tf.cast(kernel != 0, tf.float32) for kernel in kernels]

        @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
        def update(images: Any, labels: Any, teacher_logits: Any) -> Any:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(self.variables)
                loss = _loss(self.model(tf.cast(images, tf.float32), training=True), labels, teacher_logits)
            optimizer.apply_gradients(zip(tape.gradient(loss, self.variables), self.variables, strict=True))
            for kernel, mask in zip(kernels, masks, strict=True):
                kernel.assign(kernel * mask)
            return loss

        def run(images: Pixels, labels: npt.NDArray[np.int64], teacher_logits: Logits, rate: float) -> float:
            optimizer.learning_rate.assign(rate)
            return float(update(tf.constant(images), tf.constant(labels), tf.constant(teacher_logits)))

        return run

    def _train_epoch(
        self, update: Callable[..., float], teacher: Teacher, rng: np.random.Generator, epoch: int
    ) -> float:
        """Trains for one epoch; returns the mean loss."""
        photos, options, steps = self.job.train, self.job.options, self.job.steps_per_epoch
        order = rng.permutation(len(photos.paths))
        labels = np.array(photos.labels)
        losses = 0.0
        for number, (indexes, images) in enumerate(self._load(photos, order)):
            mirrored = (rng.random(len(indexes)) < 0.5) & options.flip
            images[mirrored] = images[mirrored, :, ::-1]
            self.before_step()
            rate = self.job.learning_rate_at(((epoch - 1) * steps + number + 0.5) / (options.epochs * steps))
            loss = update(images, labels[indexes], teacher.logits(images, indexes, mirrored), rate)
            losses += loss * len(indexes)
            self.step.advance(len(indexes), f"loss {losses / len(order):.3f}")
        return losses / len(order)

    def _evaluate(self, infer: Callable[[Pixels], Logits], teacher: Teacher) -> TuningEpoch:
        """Measures the model on the validation split, as an epoch 0 that is not kept."""
        photos = self.job.validation
        found, expected = [], []
        for indexes, images in self._load(photos, np.arange(len(photos.paths))):
            found.append(infer(images))
            expected.append(teacher.logits(images, indexes, np.zeros(len(indexes), bool)))
            self.step.advance(len(indexes))
        logits, teacher_logits, labels = np.concatenate(found), np.concatenate(expected), np.array(photos.labels)
        predicted = logits.argmax(axis=1)
        return TuningEpoch(
            loss=float(_loss(tf.constant(logits), tf.constant(labels), tf.constant(teacher_logits))),
            top1=float((predicted == labels).mean()),
            agreement=float((predicted == teacher_logits.argmax(axis=1)).mean()),
        )

    def _load(self, photos: JobPhotos, order: npt.NDArray[np.intp]) -> Iterator[tuple[npt.NDArray[np.intp], Pixels]]:
        size = self.job.batch_size
        paths = [Path(photos.paths[index]) for index in order]
        loaded = batches(paths, self.job.options.size, self.job.options.resize, batch_size=size)
        for start, images in zip(range(0, len(order), size), loaded, strict=True):
            yield order[start : start + size], images


def _inference(model: Any) -> Callable[[Pixels], Logits]:
    """Returns a function from images, uint8 (n, height, width, 3), to a model's logits (n, classes)."""
    infer = tf.function(lambda images: model(tf.cast(images, tf.float32), training=False), reduce_retracing=True)
    return lambda images: np.asarray(infer(tf.constant(images)))


def _loss(logits: Any, labels: Any, teacher_logits: Any) -> Any:
    """Returns the weighted sum of the cross-entropy with the labels and the divergence from the teacher, a scalar."""
    logs = tf.nn.log_softmax(logits)
    expected = tf.nn.log_softmax(teacher_logits)
    divergence = tf.reduce_mean(tf.reduce_sum(tf.exp(expected) * (expected - logs), axis=1))
    entropy = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
    return LABELS_WEIGHT * entropy + (1 - LABELS_WEIGHT) * divergence
