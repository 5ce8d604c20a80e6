"""The training loop that both trainings share. Imports TensorFlow: for the child process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tledge.core.image_batches import batches
from tledge.core.images import Pixels
from tledge.export.tfmot.job import Job, JobPhotos, TuningEpoch

LABELS_WEIGHT = 0.5
"""Of the cross-entropy with the labels; the rest is the divergence from the teacher."""

WARM_UP = 0.1
"""The share of the steps over which the learning rate rises."""

Logits = npt.NDArray[np.float32]


def say(**facts: object) -> None:
    """Tells the parent process, in one line of JSON."""
    print(json.dumps(facts), flush=True)


class Teacher:
    """The float model's answers, computed once for each photo and once for its mirror image.

    Args:
        model: a ``tf_keras.Model`` to logits.
        photos: how many.
        classes: how many.
    """

    def __init__(self, model: Any, photos: int, classes: int) -> None:
        self._infer = _inference(model)
        self._known = np.full((2, photos, classes), np.nan, np.float32)

    def logits(self, images: Pixels, places: npt.NDArray[np.intp], mirrored: npt.NDArray[np.bool_]) -> Logits:
        """Its logits (n, classes) for images (n, height, width, 3), which are the photos at ``places``."""
        turned = mirrored.astype(np.intp)
        missing = np.isnan(self._known[turned, places, 0])
        if missing.any():
            self._known[turned[missing], places[missing]] = self._infer(images[missing])
        return self._known[turned, places]


@dataclass(frozen=True)
class Judgement:
    """What a model reaches on a split; see ``TuningEpoch``."""

    loss: float
    top1: float
    agreement: float


@dataclass
class Lesson:
    """A model that learns from photos and a teacher.

    Attributes:
        job: how.
        model: a ``tf_keras.Model`` to logits.
        teacher: the float model.
        variables: what learns.
        zeros_stay: kernels' weights that are zero at the start remain so.
        before_step: called before each step.
        after_epoch: called before each judgement.
    """

    job: Job
    model: Any
    teacher: Any
    variables: Sequence[Any]
    zeros_stay: bool = False
    before_step: Callable[[], None] = lambda: None
    after_epoch: Callable[[], None] = lambda: None

    def learn(self, first_judged: int) -> tuple[TuningEpoch, ...]:
        """Trains, and leaves the model with the weights of the epoch of the least validation loss.

        Args:
            first_judged: the first epoch that can be chosen; 0 is the model as it is now.
        """
        rng = np.random.default_rng(self.job.seed)
        classes = self.model.output_shape[-1]
        teachers = [Teacher(self.teacher, len(split.paths), classes) for split in (self.job.train, self.job.validation)]
        step, infer = self._step(), _inference(self.model)
        history: list[TuningEpoch] = []
        best: tuple[float, list[Any]] = (np.inf, [])
        for epoch in range(min(first_judged, 1), self.job.epochs + 1):
            train_loss = self._go_through(step, teachers[0], rng, epoch) if epoch > 0 else None
            self.after_epoch()
            judged = self._judge(infer, teachers[1])
            history.append(TuningEpoch(epoch=epoch, train_loss=train_loss, kept=False, **vars(judged)))
            if epoch >= first_judged and judged.loss < best[0]:
                best = (judged.loss, self.model.get_weights())
                history = [replace(entry, kept=entry.epoch == epoch) for entry in history]
            say(epoch=_describe(history[-1], self.job.epochs))
        self.model.set_weights(best[1])
        return tuple(history)

    def _step(self) -> Callable[[Pixels, npt.NDArray[np.int64], Logits, float], float]:
        import tf_keras

        optimizer = tf_keras.optimizers.Adam()
        optimizer.build(self.variables)
        kernels = [variable for variable in self.variables if self.zeros_stay and len(variable.shape) > 1]
        masks = [tf.cast(kernel != 0, tf.float32) for kernel in kernels]

        @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
        def update(images: Any, labels: Any, answers: Any) -> Any:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(self.variables)
                loss = _loss(self.model(tf.cast(images, tf.float32), training=True), labels, answers)
            optimizer.apply_gradients(zip(tape.gradient(loss, self.variables), self.variables, strict=True))
            for kernel, mask in zip(kernels, masks, strict=True):
                kernel.assign(kernel * mask)
            return loss

        def run(images: Pixels, labels: npt.NDArray[np.int64], answers: Logits, rate: float) -> float:
            optimizer.learning_rate.assign(rate)
            return float(update(tf.constant(images), tf.constant(labels), tf.constant(answers)))

        return run

    def _go_through(self, step: Callable[..., float], teacher: Teacher, rng: np.random.Generator, epoch: int) -> float:
        """One epoch; returns the mean loss."""
        photos = self.job.train
        order = rng.permutation(len(photos.paths))
        labels = np.array(photos.labels)
        steps = -(-len(order) // self.job.batch_size)
        losses = 0.0
        for number, (places, images) in enumerate(self._load(photos, order)):
            mirrored = (rng.random(len(places)) < 0.5) & self.job.flip
            images[mirrored] = images[mirrored, :, ::-1]
            self.before_step()
            rate = self._rate(((epoch - 1) * steps + number + 0.5) / (self.job.epochs * steps))
            loss = step(images, labels[places], teacher.logits(images, places, mirrored), rate)
            losses += loss * len(places)
            say(images=len(places), detail=f"epoch {epoch}/{self.job.epochs}, loss {losses / len(order):.3f}")
        return losses / len(order)

    def _rate(self, progress: float) -> float:
        """The learning rate after a share of the steps."""
        if progress < WARM_UP:
            return self.job.learning_rate * progress / WARM_UP
        return float(self.job.learning_rate * (1 + np.cos(np.pi * (progress - WARM_UP) / (1 - WARM_UP))) / 2)

    def _judge(self, infer: Callable[[Pixels], Logits], teacher: Teacher) -> Judgement:
        photos = self.job.validation
        found, wanted = [], []
        for places, images in self._load(photos, np.arange(len(photos.paths))):
            found.append(infer(images))
            wanted.append(teacher.logits(images, places, np.zeros(len(places), bool)))
            say(images=len(places))
        logits, answers, labels = np.concatenate(found), np.concatenate(wanted), np.array(photos.labels)
        chosen = logits.argmax(axis=1)
        return Judgement(
            loss=float(_loss(tf.constant(logits), tf.constant(labels), tf.constant(answers))),
            top1=float((chosen == labels).mean()),
            agreement=float((chosen == answers.argmax(axis=1)).mean()),
        )

    def _load(self, photos: JobPhotos, order: npt.NDArray[np.intp]) -> Iterator[tuple[npt.NDArray[np.intp], Pixels]]:
        size = self.job.batch_size
        paths = [Path(photos.paths[place]) for place in order]
        loaded = batches(paths, self.job.size, self.job.resize, batch_size=size)
        for start, images in zip(range(0, len(order), size), loaded, strict=True):
            yield order[start : start + size], images


def _inference(model: Any) -> Callable[[Pixels], Logits]:
    """A model's logits (n, classes) for images, uint8 (n, height, width, 3)."""
    infer = tf.function(lambda images: model(tf.cast(images, tf.float32), training=False), reduce_retracing=True)
    return lambda images: np.asarray(infer(tf.constant(images)))


def _loss(logits: Any, labels: Any, answers: Any) -> Any:
    """Cross-entropy with the labels and divergence from the teacher's answers, weighted; a scalar."""
    logs = tf.nn.log_softmax(logits)
    wanted = tf.nn.log_softmax(answers)
    divergence = tf.reduce_mean(tf.reduce_sum(tf.exp(wanted) * (wanted - logs), axis=1))
    entropy = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
    return LABELS_WEIGHT * entropy + (1 - LABELS_WEIGHT) * divergence


def _describe(epoch: TuningEpoch, epochs: int) -> str:
    return (
        f"epoch {epoch.epoch}/{epochs}  validation loss {epoch.loss:.3f}  top-1 {epoch.top1:.3f}"
        f"  agreement {epoch.agreement:.3f}"
    )
