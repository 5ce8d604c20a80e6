"""A phase of epochs, and what follows each: validation, best weights, checkpoint, early stopping. Imports Keras."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras

from tledge.attacks.loss_gradients import GradientModel
from tledge.core.progress import Step
from tledge.core.splits import Splits
from tledge.train.backend import Devices
from tledge.train.best_weights import BestWeights, Weights
from tledge.train.checkpoint import Checkpoint, CheckpointFiles
from tledge.train.data.loaded_batches import LoadedBatches
from tledge.train.data.training_batches import Floats, TrainingBatches
from tledge.train.evaluation import ValidationResult, evaluate, evaluate_under_attack
from tledge.train.history import FINE_TUNE, FULL, Epoch, describe_validation, sparkline
from tledge.train.train_settings import Settings
from tledge.train.trainable_model import averaged_weights

LOSS_CHECK_INTERVAL = 20
"""Steps between two checks of the loss; each check waits for the device."""


@dataclass(frozen=True, kw_only=True)
class EpochPhase:
    """Fine-tuning or full training.

    Attributes:
        class_weights: float32 (classes,), the weight of a photo of each class.
        checkpoints: where the state after each epoch is kept; None for no checkpoints.
        earlier: the epochs of earlier phases.
        on_epoch: called with each epoch's row.
    """

    splits: Splits
    settings: Settings
    class_weights: Floats
    devices: Devices
    checkpoints: CheckpointFiles | None
    earlier: tuple[Epoch, ...]
    on_epoch: Callable[[Epoch], None]

    @property
    def name(self) -> str:
        """The name of the phase in the history."""
        return FINE_TUNE if self.settings.fine_tune else FULL

    def epochs_in(self, history: tuple[Epoch, ...]) -> tuple[Epoch, ...]:
        """Returns the epochs of this phase."""
        return tuple(row for row in history if row.phase == self.name)

    def batches(self) -> TrainingBatches:
        """Returns the training batches of this host."""
        settings = self.settings
        return TrainingBatches(
            splits=self.splits,
            batch_size=settings.batch_size,
            seed=settings.seed,
            augmentation=settings.augmentation,
            class_weights=self.class_weights,
            host=(settings.host, settings.hosts),
            shares=self.devices.count * settings.hosts,
            **settings.resize_rule,
        )


class EpochCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Validates each epoch on this host's float32 model, and keeps the best weights.

    Args:
        model: the float32 classifier that is validated.
        checkpoint: the checkpoint that training continues from, if there is one.

    Attributes:
        loaded: the batches that Keras reads; to be set before training.
        history: all epochs, those of earlier phases included.
        best: the best weights so far.
        failure: why training cannot go on; empty if it can.
    """

    def __init__(
        self, phase: EpochPhase, model: Any, *, checkpoint: Checkpoint | None, step: Step, batches: TrainingBatches
    ) -> None:
        super().__init__()
        self.loaded: LoadedBatches
        self.failure = ""
        self._phase = phase
        self._local = model
        self._step = step
        self._batches = batches
        self._attacked = None if phase.settings.adversarial is None else GradientModel(model)
        if checkpoint is None:
            self.history = phase.earlier
            start = model.get_weights()
            if phase.settings.fine_tune:
                step.begin("validating the linear probe")
            start_loss = self._validate().loss if phase.settings.fine_tune else math.inf
            self.best = BestWeights(start=start, start_loss=start_loss, weights=start)
        else:
            self.history, self.best = checkpoint.history, checkpoint.best

    @property
    def out_of_patience(self) -> bool:
        """Whether training has to stop because the last epochs brought no better result."""
        return self.best.out_of_patience(len(self._phase.epochs_in(self.history)), self._phase.settings.patience)

    @property
    def summary(self) -> str:
        """How the phase ended, and its best accuracy: "stopped early after epoch 4  best val top-1 0.983"."""
        if self.failure:
            return "stopped: the loss is not finite"
        rows = self._phase.epochs_in(self.history)
        early = f"stopped early after epoch {len(rows)}" if len(rows) < self._phase.settings.epochs else ""
        best = [f"best {describe_validation(row)}" for row in rows if row.epoch == self.best.epoch]
        return "  ".join(filter(None, [early, *best]))

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._started = time.perf_counter()
        self._current = f"epoch {epoch + 1}/{self._phase.settings.epochs}"
        self.loaded.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if batch == 0:  # only now is the training step compiled
            self._step.begin(self._current)
        if batch % LOSS_CHECK_INTERVAL == 0 and not math.isfinite(float((logs or {})["loss"])):
            self._fail(float((logs or {})["loss"]))
            return
        self._step.advance(self._batches.photos)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        trained, loss, top1 = (float((logs or {})[name]) for name in ("loss", "plain_loss", "top1"))
        if self.failure or not math.isfinite(trained):
            self._fail(trained)
            return
        phase = self._phase
        weights = averaged_weights(self.model) if phase.settings.fine_tune else self.model.get_weights()
        with phase.devices.local_scope():
            self._local.set_weights(weights)
            result = self._validate()
        seconds = round(time.perf_counter() - self._started, 3)
        row = result.to_epoch(phase.name, epoch + 1, loss=loss, top1=top1, seconds=seconds)
        self.history = (*self.history, row)
        self.best.update(weights, epoch=epoch + 1, loss=result.loss)
        if phase.checkpoints is not None:
            optimizer = [keras.ops.convert_to_numpy(variable) for variable in self.model.optimizer.variables]
            phase.checkpoints.save(
                Checkpoint(history=self.history, weights=self.model.get_weights(), optimizer=optimizer, best=self.best)
            )
        phase.on_epoch(row)
        rows = phase.epochs_in(self.history)
        bars = sparkline([row.val_top1 if row.val_robust_accuracy is None else row.val_robust_accuracy for row in rows])
        self._step.mark(f"loss {loss:.3f}  {describe_validation(row)} {bars}")
        self.model.stop_training = self.out_of_patience

    def set_best_weights(self) -> float:
        """Gives this host's model the weights with the lowest validation loss.

        After fine-tuning, these may be a mixture with the weights that it started with.

        Returns:
            The share of the best epoch's weights, 0 to 1; see :class:`~tledge.train.best_weights.BestWeights`.
        """
        mixing = self._phase.settings.fine_tune and not self.failure
        share = self.best.choose_share(self._loss_of if mixing else None)
        self._local.set_weights(self.best.mix(share))
        return share

    def _loss_of(self, weights: Weights) -> float:
        self._local.set_weights(weights)
        return self._validate().loss

    def _validate(self) -> ValidationResult:
        splits, eps, rule = self._phase.splits, self._phase.settings.adversarial, self._phase.settings.resize_rule
        if self._attacked is None or eps is None:
            return ValidationResult(evaluate(self._local, splits, "validation", **rule))
        return ValidationResult(*evaluate_under_attack(self._attacked, splits, "validation", eps=eps, **rule))

    def _fail(self, loss: float) -> None:
        if not self.failure:
            epoch = len(self._phase.epochs_in(self.history)) + 1
            self.failure = (
                f"the loss became {loss} in epoch {epoch} of the {self._phase.name}; train again with a smaller"
                " `learning_rate`"
            )
        self.model.stop_training = True
