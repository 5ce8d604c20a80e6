"""One phase of epochs: what it trains, on which photos and devices. Imports Keras."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tledge.core.splits import Splits
from tledge.train.backend import Devices
from tledge.train.data.training_batches import Floats, TrainingBatches
from tledge.train.history import FINE_TUNE, FULL, Epoch
from tledge.train.train_settings import Settings


@dataclass(frozen=True, kw_only=True)
class EpochPhase:
    """Fine-tuning or full training.

    Attributes:
        class_weights: float32 (classes,), the weight of a photo of each class.
        devices: the devices that share each batch.
        checkpoint: the file that is replaced after each epoch; None for no checkpoints.
        earlier: the epochs of earlier phases.
        on_epoch: called with each epoch's row.
    """

    splits: Splits
    settings: Settings
    class_weights: Floats
    devices: Devices
    checkpoint: Path | None
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
