"""The phases of a training: linear probe, then fine-tuning; or full training. Imports Keras."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from tledge.core.errors import RunError, TrainingError
from tledge.core.manifest import WeightsRecord
from tledge.core.progress import Progress
from tledge.core.run_directory import RunDirectory
from tledge.core.splits import Splits
from tledge.train.backbone import BACKBONES
from tledge.train.backend import Devices, configure_backend, describe_device
from tledge.train.checkpoint import CheckpointFiles
from tledge.train.data.training_batches import check_shares, compute_class_weights
from tledge.train.epoch_callback import EpochPhase
from tledge.train.epochs import EpochsResult, train_epochs
from tledge.train.history import FINE_TUNE, FULL
from tledge.train.linear_probe import train_linear_probe
from tledge.train.model import build_classifier, copy_weights, save_model
from tledge.train.report.tensorboard import EventLog
from tledge.train.resume import UnfinishedRun, unfinished_path
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
    configure_backend(settings.devices, hosts=settings.hosts, host=settings.host, coordinator=settings.coordinator)
    keras.utils.set_random_seed(settings.seed)
    devices = Devices(settings.devices, settings.hosts)
    check_shares(devices.count * settings.hosts, batch_size=settings.batch_size, photos=len(splits.train))
    backbone = BACKBONES.load(settings.backbone)
    network, weights = build_with_weights(
        backbone, settings.image_size, weights=settings.weights, alpha=settings.alpha, progress=progress
    )
    model = build_classifier(backbone, settings.image_size, len(splits.class_names), alpha=settings.alpha)
    copy_weights(model, network)
    device = describe_device(devices.count, settings.hosts)
    width = f" x {settings.alpha:g}" if settings.alpha != 1 else ""
    progress.note(
        "Backbone",
        f"{settings.backbone}{width} · weights {settings.weights} · {model.count_params() / 1e6:.1f} M parameters ·"
        f" {settings.image_size} px · {device}",
    )
    if settings.hosts == 1:
        unfinished.save(unfinished_path(run))
    started = time.perf_counter()
    checkpoints = CheckpointFiles(run.checkpoints)
    in_epochs = settings.fine_tune or not settings.pretrained
    phase_name = FINE_TUNE if settings.fine_tune else FULL
    checkpoint = checkpoints.load(model.get_weights(), phase_name, progress) if in_epochs else None
    events = EventLog(run.tensorboard if settings.tensorboard else None)
    class_weights = compute_class_weights(splits, balanced=settings.class_weights)
    result = EpochsResult()
    if checkpoint is None and settings.pretrained:
        history = train_linear_probe(
            model,
            splits,
            settings=settings,
            class_weights=class_weights,
            weights_sha256=weights.sha256,
            cache=run.cache / "features",
            progress=progress,
        )
        for row in history:
            events.write(row)
        result = EpochsResult(history=history)
    if in_epochs:
        phase = EpochPhase(
            splits=splits,
            settings=settings,
            class_weights=class_weights,
            devices=devices,
            checkpoints=checkpoints if settings.hosts == 1 else None,
            earlier=result.history,
            on_epoch=events.write,
        )
        result = train_epochs(phase, model, checkpoint=checkpoint, progress=progress)
        if result.failure:
            saved = _save_last_good(run.last_good_model, model, phase=phase, best_epoch=result.best_epoch)
            raise TrainingError(result.failure + saved)
        progress.note("Kept", result.kept)
    events.close()
    return TrainedClassifier(
        model=model,
        weights=weights,
        device=device,
        epochs=result,
        seconds=round(time.perf_counter() - started, 2),
    )


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
