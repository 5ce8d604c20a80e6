"""Epochs over the photos: fine-tuning of the upper layers, and full training of all of them. Imports Keras.

A copy of the model learns, on all devices and in the precision that was asked for; after each epoch its weights go back
into the float32 model of this host, which is what is evaluated, kept and saved. In adversarial training it
is evaluated, and epochs are compared, under attack.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tledge.attacks.loss_gradients import GradientModel
from tledge.core.progress import Progress, Step
from tledge.core.splits import Splits
from tledge.train.adversarial_batches import AdversarialLearner, evaluate_under_attack
from tledge.train.backbone import Backbone
from tledge.train.backend import Devices, use_xla
from tledge.train.checkpoint import Checkpoint
from tledge.train.data.training_batches import Floats, LoadedBatches, TrainingBatches
from tledge.train.evaluation import Evaluation, evaluate
from tledge.train.history import FINE_TUNE, FULL, Epoch, describe_validation
from tledge.train.inference import ResizeRule
from tledge.train.model import assemble, freeze_before
from tledge.train.sparkline import sparkline
from tledge.train.train_settings import Settings

MOMENTUM = 0.9
"""Of the batch norms' moving statistics in full training: Keras' 0.99 to 0.999 needs thousands of steps to settle, and
a small data set has hundreds."""

NOT_DECAYED = ("bias", "gamma", "beta")
"""Variables that weight decay would only move off their purpose."""

SHARES = (0.25, 0.5, 0.75)
"""Of the way from the linear probe's weights to the fine-tuned ones, where else to look for the best."""

LOOK_EVERY = 20
"""Steps between two looks at the loss, each of which waits for the device."""


@dataclass(frozen=True, kw_only=True)
class EpochsResult:
    """How a phase of epochs ended; the model has the best weights.

    Attributes:
        history: all epochs, those of earlier phases included.
        best_epoch: whose weights they are; 0 for those that the phase began with.
        share: how much of them is that epoch's; the rest is what the phase began with.
        failure: why it could not go on; empty if it ended as it should.
    """

    history: tuple[Epoch, ...]
    best_epoch: int
    share: float
    failure: str = ""

    @property
    def kept(self) -> str:
        """Which weights were kept, for a person."""
        last = self.history[-1]
        if self.best_epoch == 0:
            attacked = " under attack" if last.val_robust_loss is not None else ""
            return f"the linear probe: no epoch of the {last.phase} was better on the validation split{attacked}"
        (best,) = (row for row in self.history if (row.phase, row.epoch) == (last.phase, self.best_epoch))
        mixed = f", mixed with {1 - self.share:.0%} of the linear probe" if self.share < 1 else ""
        return f"epoch {best.epoch} of the {best.phase} ({describe_validation(best)}){mixed}"


@dataclass(frozen=True, kw_only=True)
class EpochTraining:
    """What one phase of epochs is made of.

    Attributes:
        backbone: of the model.
        splits: the photos.
        settings: of the run.
        class_weights: (classes,), the weight of a photo of each class.
        devices: what share each batch.
        checkpoint: the file that is replaced after each epoch; None on a host that keeps none.
        earlier: the epochs of the phases before.
        on_epoch: is told of each epoch.
    """

    backbone: Backbone
    splits: Splits
    settings: Settings
    class_weights: Floats
    devices: Devices
    checkpoint: Path | None
    earlier: tuple[Epoch, ...]
    on_epoch: Callable[[Epoch], None]

    @property
    def phase(self) -> str:
        """Its name in the history."""
        return FINE_TUNE if self.settings.fine_tune else FULL

    def run(self, model: Any, begun: Checkpoint | None, progress: Progress) -> EpochsResult:
        """Trains a classifier; it ends with the weights of the best validation result, also where the loss breaks.

        Fine-tuning that never gets better than what it began with leaves the model as it was.

        Args:
            model: float32, as ``train.model.assemble`` builds it, with the weights to begin with.
            begun: the checkpoint to go on from.
            progress: is told of it.
        """
        settings = self.settings
        batches = TrainingBatches(
            splits=self.splits,
            size=settings.input_size,
            resize=settings.resize,
            batch_size=settings.batch_size,
            seed=settings.seed,
            augmentation=settings.augmentation,
            class_weights=self.class_weights,
            host=(settings.host, settings.hosts),
            shares=self.devices.count * settings.hosts,
        )
        with self.devices.building():
            learner = self._build_learner(model, batches.steps)
            if begun is not None:
                for variable, value in zip(learner.optimizer.variables, begun.optimizer, strict=True):
                    variable.assign(value)
                learner.set_weights(begun.weights)
        first = 0 if begun is None else len([row for row in begun.history if row.phase == self.phase])
        total = settings.epochs * batches.steps * batches.photos
        with progress.step(self.phase.capitalize(), total, "photos") as step:
            step.advance(first * batches.steps * batches.photos)
            keeper = _Keeper(self, model, begun, step, batches)
            if first < settings.epochs and not keeper.out_of_patience:
                with self.devices.fitting(), batches.loading() as loaded:
                    keeper.loaded = loaded
                    try:
                        learner.fit(
                            loaded,
                            initial_epoch=first,
                            epochs=settings.epochs,
                            shuffle=False,  # they are already
                            callbacks=[keeper],
                            verbose=0,
                        )
                    except Exception:
                        step.stop_if_asked()  # TensorFlow makes an error of its own of a Ctrl-C between two batches
                        raise
        return keeper.conclude()

    def _build_learner(self, model: Any, steps: int) -> Any:
        """The copy that learns, compiled."""
        settings = self.settings
        policy = keras.config.dtype_policy()
        keras.config.set_dtype_policy(settings.precision)
        try:
            learner = assemble(self.backbone, settings.image_size, model.output.shape[-1], settings.alpha)
        finally:
            keras.config.set_dtype_policy(policy)
        learner.set_weights(model.get_weights())
        all_steps = settings.epochs * steps
        if settings.adversarial is not None:
            learner = AdversarialLearner(learner, eps=settings.adversarial, steps=all_steps, seed=settings.seed)
        if settings.fine_tune:
            freeze_before(learner, self.backbone.first_layer_of(settings.fine_tune_from))
        else:
            for layer in learner.layers:
                if isinstance(layer, keras.layers.BatchNormalization):
                    layer.momentum = MOMENTUM
        rising = min(round(settings.warm_up * all_steps), all_steps - 1)
        schedule = keras.optimizers.schedules.CosineDecay(
            0.0 if rising else settings.learning_rate,
            decay_steps=all_steps - rising,
            warmup_target=settings.learning_rate if rising else None,
            warmup_steps=rising,
        )
        optimizer = keras.optimizers.AdamW(
            schedule,
            weight_decay=settings.weight_decay,
            use_ema=settings.fine_tune,  # else the batch norms' statistics would not be those of the averages
            ema_momentum=_average_over(steps),
        )
        optimizer.exclude_from_weight_decay(var_names=list(NOT_DECAYED))
        learner.compile(
            optimizer=optimizer,
            loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=settings.label_smoothing),
            metrics=[keras.metrics.CategoricalAccuracy(name="top1")],
            jit_compile=use_xla(),
        )
        learner.optimizer.build(learner.trainable_variables)  # in the first step, TensorFlow would trace that twice
        return learner


@dataclass(frozen=True)
class _Validated:
    """A model on the validation split: as the photos are and, in adversarial training, under attack."""

    clean: Evaluation
    attacked: Evaluation | None = None

    @property
    def loss(self) -> float:
        """What models are compared by."""
        return (self.attacked or self.clean).calibrated_loss

    def row(self, phase: str, epoch: int, loss: float, top1: float, seconds: float) -> Epoch:
        """The row of an epoch that ended with this model."""
        row = Epoch(phase, epoch, loss, top1, self.clean.calibrated_loss, self.clean.top1, seconds)
        if self.attacked is None:
            return row
        return replace(row, val_robust_loss=self.attacked.calibrated_loss, val_robust_accuracy=self.attacked.top1)


class _Keeper(keras.callbacks.Callback):  # type: ignore[misc]
    """After each epoch: evaluates, keeps the best weights, writes the checkpoint, and decides whether to go on."""

    def __init__(
        self, fitting: EpochTraining, model: Any, begun: Checkpoint | None, step: Step, batches: TrainingBatches
    ) -> None:
        super().__init__()
        self.loaded: LoadedBatches
        self._failure = ""
        self._fitting = fitting
        self._local = model
        self._step = step
        self._batches = batches
        self._attacked = None if fitting.settings.adversarial is None else GradientModel(model)
        if begun is None:
            self.history = fitting.earlier
            self._start = self._best = model.get_weights()
            self._start_loss = self._evaluate().loss if fitting.settings.fine_tune else math.inf
            self._best_epoch, self._best_loss = 0, math.inf
        else:
            self.history = begun.history
            self._start, self._start_loss = begun.start, begun.start_loss
            self._best, self._best_epoch, self._best_loss = begun.best, begun.best_epoch, begun.best_loss

    @property
    def out_of_patience(self) -> bool:
        """Whether too many epochs have passed since the best one."""
        return self._epochs_done - self._best_epoch >= self._fitting.settings.patience

    @property
    def _epochs_done(self) -> int:
        return len([row for row in self.history if row.phase == self._fitting.phase])

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._began = time.perf_counter()
        self.loaded.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if batch % LOOK_EVERY == 0 and not math.isfinite(float((logs or {})["loss"])):
            self._fail(float((logs or {})["loss"]))
            return
        self._step.advance(self._batches.photos)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        loss, top1 = (float((logs or {})[name]) for name in ("loss", "top1"))
        if self._failure or not math.isfinite(loss):
            self._fail(loss)
            return
        weights = _averaged_weights(self.model) if self._fitting.settings.fine_tune else self.model.get_weights()
        with self._fitting.devices.alone():
            self._local.set_weights(weights)
            found = self._evaluate()
        seconds = round(time.perf_counter() - self._began, 3)
        row = found.row(self._fitting.phase, epoch + 1, loss, top1, seconds)
        self.history = (*self.history, row)
        if found.loss < self._best_loss:
            self._best, self._best_epoch, self._best_loss = weights, epoch + 1, found.loss
        if self._fitting.checkpoint is not None:
            self._save(self._fitting.checkpoint)
        self._fitting.on_epoch(row)
        evaluated = [row for row in self.history if row.phase == self._fitting.phase]
        tops = [row.val_top1 if row.val_robust_accuracy is None else row.val_robust_accuracy for row in evaluated]
        self._step.mark(
            f"epoch {epoch + 1}/{self._fitting.settings.epochs}  loss {loss:.3f}  {describe_validation(row)}"
            f" {sparkline(tops)}"
        )
        self.model.stop_training = self.out_of_patience

    def conclude(self) -> EpochsResult:
        """Gives the model of this host the weights with the least validation loss, under attack where there is one.

        After fine-tuning these may lie between those that it began with and those of its best epoch.

        Source: Wortsman et al., Robust fine-tuning of zero-shot models, arXiv 2109.01903.
        """
        losses = {0.0: self._start_loss, 1.0: self._best_loss}
        if self._fitting.settings.fine_tune and self._best_epoch and not self._failure:
            for share in SHARES:
                self._local.set_weights(self._mixed(share))
                losses[share] = self._evaluate().loss
        share = min(losses, key=lambda share: losses[share])
        if math.isinf(losses[share]):  # full training that broke in its first epoch
            share = 0.0
        self._local.set_weights(self._mixed(share))
        best_epoch = self._best_epoch if share else 0
        return EpochsResult(history=self.history, best_epoch=best_epoch, share=share, failure=self._failure)

    def _mixed(self, share: float) -> list[Any]:
        """The weights that lie by a share of the way between those of the start and the best ones."""
        return [(1 - share) * start + share * best for start, best in zip(self._start, self._best, strict=True)]

    def _evaluate(self) -> _Validated:
        settings, splits = self._fitting.settings, self._fitting.splits
        rule: ResizeRule = {"size": settings.input_size, "resize": settings.resize}
        if self._attacked is None or settings.adversarial is None:
            return _Validated(evaluate(self._local, splits, "validation", **rule))
        return _Validated(
            *evaluate_under_attack(self._attacked, splits, "validation", eps=settings.adversarial, **rule)
        )

    def _save(self, path: Path) -> None:
        Checkpoint(
            history=self.history,
            weights=self.model.get_weights(),
            optimizer=[keras.ops.convert_to_numpy(variable) for variable in self.model.optimizer.variables],
            start=self._start,
            start_loss=self._start_loss,
            best=self._best,
            best_epoch=self._best_epoch,
            best_loss=self._best_loss,
        ).save(path)

    def _fail(self, loss: float) -> None:
        if not self._failure:
            self._failure = (
                f"the loss became {loss} in epoch {self._epochs_done + 1} of the {self._fitting.phase}; train again"
                " with a smaller --learning-rate"
            )
        self.model.stop_training = True


def _average_over(steps: int) -> float:
    """The momentum of an average over about one epoch of that many steps."""
    return min(max(1 - 1 / steps, 0.8), 0.999)


def _averaged_weights(learner: Any) -> list[Any]:
    """The weights of a model, those that learn as the optimizer's moving averages of them."""
    weights: list[Any] = learner.get_weights()
    places = {id(variable): place for place, variable in enumerate(learner.weights)}
    averages = [variable for variable in learner.optimizer.variables if variable.name.endswith("_average")]
    for variable, average in zip(learner.trainable_variables, averages, strict=True):
        weights[places[id(variable)]] = keras.ops.convert_to_numpy(average)
    return weights


def class_weights_of(splits: Splits, wanted: bool) -> Floats:
    """The weight of a photo of each class, 1 on average over the photos.

    Args:
        splits: whose training split is counted.
        wanted: all classes weigh the same in sum; else all photos do.
    """
    counts = np.bincount([sample.label for sample in splits.train], minlength=len(splits.class_names))
    weights = counts.sum() / (len(counts) * counts) if wanted else np.ones(len(counts))
    return weights.astype(np.float32)
