"""Epochs over the photos: fine-tuning of the upper layers, or full training of all of them. Imports Keras.

A copy of the model is trained, on all devices and in the precision of the settings. After each epoch its weights are
copied into this host's float32 model, which is validated and saved. Adversarial training validates it under attack.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from tledge.core.progress import Progress
from tledge.train.checkpoint import Checkpoint, check_arrays
from tledge.train.epoch_callback import EpochCallback, EpochPhase
from tledge.train.history import Epoch, describe_validation
from tledge.train.trainable_model import build_trainable_model


@dataclass(frozen=True, kw_only=True)
class EpochsResult:
    """The result of a phase of epochs, or of a linear probe alone; the model has the best weights.

    Attributes:
        history: all epochs, those of earlier phases included.
        best_epoch: the epoch whose weights the model has; 0 for the weights that the phase started with.
        share: the share of that epoch's weights; the rest is what the phase started with.
        failure: why training could not go on; empty if it finished.
    """

    history: tuple[Epoch, ...] = ()
    best_epoch: int = 0
    share: float = 0.0
    failure: str = ""

    @property
    def kept(self) -> str:
        """Which weights are kept, as a text."""
        last = self.history[-1]
        if self.best_epoch == 0:
            attacked = " under attack" if last.val_robust_loss is not None else ""
            return f"the linear probe: no epoch of the {last.phase} scored better on validation{attacked}"
        (best,) = (row for row in self.history if (row.phase, row.epoch) == (last.phase, self.best_epoch))
        mixed = f", averaged with {1 - self.share:.0%} of the linear probe" if self.share < 1 else ""
        return f"epoch {best.epoch} of the {best.phase} ({describe_validation(best)}){mixed}"


def train_epochs(phase: EpochPhase, model: Any, *, checkpoint: Checkpoint | None, progress: Progress) -> EpochsResult:
    """Trains a classifier; it ends with the best weights on the validation split, even if the loss becomes infinite.

    Fine-tuning that is never better than what it started with leaves the model unchanged.

    Args:
        model: float32, as ``train.model.build_classifier`` builds it, with the weights to start with.
        checkpoint: the checkpoint to continue from; None to start at the first epoch.
    """
    settings = phase.settings
    batches = phase.batches()
    with phase.devices.build_scope():
        trainable = build_trainable_model(settings, model, batches.steps)
        if checkpoint is not None:
            check_arrays(
                checkpoint.optimizer,
                [keras.ops.convert_to_numpy(variable) for variable in trainable.optimizer.variables],
                "the checkpoint's optimizer is not that of this Keras version",
            )
            for variable, value in zip(trainable.optimizer.variables, checkpoint.optimizer, strict=True):
                variable.assign(value)
            trainable.set_weights(checkpoint.weights)
    first = 0 if checkpoint is None else len(phase.epochs_in(checkpoint.history))
    total = settings.epochs * batches.steps * batches.photos
    with progress.step(phase.name.capitalize(), total, "photos") as step:
        step.advance(first * batches.steps * batches.photos)
        callback = EpochCallback(phase, model, checkpoint=checkpoint, step=step, batches=batches)
        if first < settings.epochs and not callback.out_of_patience:
            step.begin("compiling the training step")
            with phase.devices.fit_scope(), batches.loading() as loaded:
                callback.loaded = loaded
                try:
                    trainable.fit(
                        loaded,
                        initial_epoch=first,
                        epochs=settings.epochs,
                        shuffle=False,  # the batches are shuffled already
                        callbacks=[callback],
                        verbose=0,
                    )
                except Exception:
                    step.stop_if_asked()  # TensorFlow turns a Ctrl-C between two batches into an error of its own
                    raise
        step.finish(callback.summary)
    share = callback.set_best_weights()
    return EpochsResult(
        history=callback.history,
        best_epoch=callback.best.epoch if share else 0,
        share=share,
        failure=callback.failure,
    )
