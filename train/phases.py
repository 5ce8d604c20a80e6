"""The phases of a training: linear probe, then fine-tuning; or full training. Imports Keras."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from tledge.core.errors import RunError, TrainingError
from tledge.core.images import Floats
from tledge.core.manifest import WeightsRecord
from tledge.core.progress import Progress
from tledge.core.run_directory import RunDirectory
from tledge.core.splits import Splits
from tledge.train.backbone import BACKBONES
from tledge.train.backend import Devices, configure_backend, describe_device
from tledge.train.checkpoint import Checkpoint, CheckpointFiles
from tledge.train.data.training_batches import check_shares, compute_class_weights
from tledge.train.epoch_callback import EpochPhase
from tledge.train.epochs import EpochsResult, train_epochs
from tledge.train.history import FINE_TUNE, FULL, Epoch
from tledge.train.linear_probe import train_linear_probe
from tledge.train.model import build_classifier, copy_weights, save_model
from tledge.train.report.tensorboard import EventLog
from tledge.train.resume import UnfinishedRun, unfinished_path
from tledge.train.train_settings import Settings
from tledge.train.weights import build_with_weights


@dataclass(frozen=True, kw_only=True)
class TrainedClassifier:
    """A trained classifier.

    Attributes:
        model: float32, as ``train.model.build_classifier`` builds it, with the best weights.
        weights: the weights of the backbone before training.
        device: the backend and devices, as a text.
        epochs: the result of the last phase.
        seconds: from the first photo to the last epoch, in this process.
    """

    model: Any
    weights: WeightsRecord
    device: str
    epochs: EpochsResult
    seconds: float


def train_phases(
    run: RunDirectory, unfinished: UnfinishedRun, *, splits: Splits, progress: Progress
) -> TrainedClassifier:
    """Trains a classifier; a run that was interrupted continues at its last epoch.

    Raises:
        TrainingError: the loss became infinite or NaN. The best weights until then are saved, if there are any.
        RunError: Keras runs on another backend than when the run was started.
        OptionError, TargetError, HostError, WeightsError: the devices, hosts or weights are not available.
    """
    settings = unfinished.settings
    if unfinished.backend != keras.backend.backend():
        raise RunError(
            f"'{run.path}' was started with the backend {unfinished.backend}; Keras runs on"
            f" {keras.backend.backend()}: set KERAS_BACKEND={unfinished.backend}"
        )
    devices = _prepare_devices(settings, photos=len(splits.train))
    device = describe_device(devices.count, settings.hosts)
    model, weights = _build_model(settings, splits, progress)
    _note_backbone(settings, model, device, progress)
    if settings.hosts == 1:
        unfinished.save(unfinished_path(run))
    started = time.perf_counter()
    checkpoints = CheckpointFiles(run.checkpoints)
    checkpoint = None
    if settings.in_epochs:
        checkpoint = checkpoints.load(model.get_weights(), FINE_TUNE if settings.fine_tune else FULL, progress)
    events = EventLog(run.tensorboard if settings.tensorboard else None)
    training = _Training(
        run=run,
        settings=settings,
        splits=splits,
        class_weights=compute_class_weights(splits, balanced=settings.class_weights),
        events=events,
        progress=progress,
    )
    result = EpochsResult()
    if checkpoint is None and settings.pretrained:
        result = training.train_probe(model, weights_sha256=weights.sha256)
    if settings.in_epochs:
        result = training.train_epochs(model, devices, checkpoints, earlier=result.history, checkpoint=checkpoint)
    events.close()
    return TrainedClassifier(
        model=model,
        weights=weights,
        device=device,
        epochs=result,
        seconds=round(time.perf_counter() - started, 2),
    )


def _prepare_devices(settings: Settings, *, photos: int) -> Devices:
    """Configures the backend, seeds it, and returns the devices that share each batch."""
    configure_backend(settings.devices, hosts=settings.hosts, host=settings.host, coordinator=settings.coordinator)
    keras.utils.set_random_seed(settings.seed)
    devices = Devices(settings.devices, settings.hosts)
    check_shares(devices.count * settings.hosts, batch_size=settings.batch_size, photos=photos)
    return devices


def _build_model(settings: Settings, splits: Splits, progress: Progress) -> tuple[Any, WeightsRecord]:
    """Builds the classifier with the backbone's weights."""
    backbone = BACKBONES.load(settings.backbone)
    network, weights = build_with_weights(
        backbone, settings.image_size, weights=settings.weights, alpha=settings.alpha, progress=progress
    )
    model = build_classifier(backbone, settings.image_size, len(splits.class_names), alpha=settings.alpha)
    copy_weights(model, network)
    return model, weights


def _note_backbone(settings: Settings, model: Any, device: str, progress: Progress) -> None:
    width = f" x {settings.alpha:g}" if settings.alpha != 1 else ""
    progress.note(
        "Backbone",
        f"{settings.backbone}{width} · weights {settings.weights} · {model.count_params() / 1e6:.1f} M parameters ·"
        f" {settings.image_size} px · {device}",
    )


@dataclass(frozen=True, kw_only=True)
class _Training:
    """What the phases of a training share."""

    run: RunDirectory
    settings: Settings
    splits: Splits
    class_weights: Floats
    events: EventLog
    progress: Progress

    def train_probe(self, model: Any, *, weights_sha256: str) -> EpochsResult:
        """Trains the head on the features of the frozen backbone."""
        history = train_linear_probe(
            model,
            self.splits,
            settings=self.settings,
            class_weights=self.class_weights,
            weights_sha256=weights_sha256,
            cache=self.run.cache / "features",
            progress=self.progress,
        )
        for row in history:
            self.events.write(row)
        return EpochsResult(history=history)

    def train_epochs(
        self,
        model: Any,
        devices: Devices,
        checkpoints: CheckpointFiles,
        *,
        earlier: tuple[Epoch, ...],
        checkpoint: Checkpoint | None,
    ) -> EpochsResult:
        """Fine-tunes a model, or trains all of it; after a checkpoint, if there is one."""
        phase = EpochPhase(
            splits=self.splits,
            settings=self.settings,
            class_weights=self.class_weights,
            devices=devices,
            checkpoints=checkpoints if self.settings.hosts == 1 else None,
            earlier=earlier,
            on_epoch=self.events.write,
        )
        result = train_epochs(phase, model, checkpoint=checkpoint, progress=self.progress)
        if result.failure:
            saved = _save_last_good(self.run.last_good_model, model, phase=phase, best_epoch=result.best_epoch)
            raise TrainingError(result.failure + saved)
        self.progress.note("Kept", result.kept)
        return result


def _save_last_good(path: Path, model: Any, *, phase: EpochPhase, best_epoch: int) -> str:
    """Saves the best weights of a training that failed; returns the end of the error message."""
    settings = phase.settings
    if best_epoch == 0 and not settings.pretrained:
        return ""
    splits = phase.splits
    save_model(
        path,
        model,
        splits.class_names,
        source_run=path.parent.name,
        seen_photos=splits.seen_photos,
        **settings.resize_rule,
    )
    origin = f"epoch {best_epoch}" if best_epoch else "the linear probe"
    return f"; the best weights so far, from {origin}, are saved in '{path}'"
