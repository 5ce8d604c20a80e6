"""From a backbone's weights to a trained classifier: the phases, one after the other. Imports Keras."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import keras

from tledge.core.errors import OptionError, RunError, TrainingError
from tledge.core.manifest import WeightsRecord
from tledge.core.progress import Progress
from tledge.core.run_directory import RunDirectory
from tledge.core.splits import Splits
from tledge.train.backbone import BACKBONES
from tledge.train.backend import Devices, describe_device, prepare_backend
from tledge.train.checkpoint import Checkpoint
from tledge.train.epochs import EpochTraining, class_weights_of
from tledge.train.history import Epoch
from tledge.train.linear_probe import train_linear_probe
from tledge.train.model import assemble, take_weights
from tledge.train.model_writer import save_model
from tledge.train.report.tensorboard import EventLog
from tledge.train.resume import UnfinishedRun
from tledge.train.weights import build_with_weights


@dataclass(frozen=True, kw_only=True)
class TrainedClassifier:
    """A trained classifier.

    Attributes:
        model: float32, as ``train.model.assemble`` builds it, with the best weights.
        weights: what the backbone began with.
        device: what it was trained on, for a person.
        history: all epochs.
        best_epoch: of the last phase, the epoch whose weights the model has; 0 for those it began with.
        share: how much of the weights is that epoch's; the rest is the linear probe's.
        seconds: of this process, from the first photo to the last epoch.
    """

    model: Any
    weights: WeightsRecord
    device: str
    history: tuple[Epoch, ...]
    best_epoch: int
    share: float
    seconds: float


def train_phases(run: RunDirectory, begun: UnfinishedRun, splits: Splits, progress: Progress) -> TrainedClassifier:
    """Trains a classifier, from wherever an earlier process came to.

    Args:
        run: where the run is kept.
        begun: what it was begun with.
        splits: its photos.
        progress: is told of it.

    Raises:
        TrainingError: the loss became no number; the best weights until then are kept, if there are any.
        OptionError, WeightsError: the devices or the weights that were asked for are not there.
    """
    settings = begun.settings
    if begun.backend != keras.backend.backend():
        raise RunError(
            f"'{run.path}' was begun on {begun.backend}, and Keras runs on {keras.backend.backend()} here: set"
            f" KERAS_BACKEND={begun.backend}"
        )
    prepare_backend(settings.devices, settings.hosts, settings.host, settings.coordinator)
    keras.utils.set_random_seed(settings.seed)
    devices = Devices(settings.devices, settings.hosts)
    _check_shares(devices.count * settings.hosts, settings.batch_size, len(splits.train))
    model, weights = _build(begun, len(splits.class_names))
    device = describe_device(devices.count, settings.hosts)
    width = f" x {settings.alpha:g}" if settings.alpha != 1 else ""
    progress.note(
        "Backbone",
        f"{settings.backbone}{width} · weights {settings.weights} · {model.count_params() / 1e6:.1f} M parameters ·"
        f" {settings.image_size} px · {device}",
    )
    if settings.hosts == 1:
        begun.save(run)
    began = time.perf_counter()
    checkpoint = run.checkpoints / "epoch.npz"
    state = Checkpoint.load(checkpoint)
    events = EventLog(run.tensorboard if settings.tensorboard else None)
    class_weights = class_weights_of(splits, settings.class_weights)
    history: tuple[Epoch, ...] = ()
    if state is None and settings.pretrained:
        history = train_linear_probe(
            model,
            splits,
            settings,
            class_weights=class_weights,
            weights_sha256=weights.sha256,
            cache=run.cache / "features",
            progress=progress,
        )
        for row in history:
            events.write(row)
    best_epoch, share = 0, 0.0
    if settings.fine_tune or not settings.pretrained:
        fitted = EpochTraining(
            backbone=BACKBONES.load(settings.backbone),
            splits=splits,
            settings=settings,
            class_weights=class_weights,
            devices=devices,
            checkpoint=checkpoint if settings.hosts == 1 else None,
            earlier=history,
            on_epoch=events.write,
        ).run(model, state, progress)
        if fitted.failure:
            raise TrainingError(fitted.failure + _keep_last_good(run, model, begun, splits, fitted.best_epoch))
        history, best_epoch, share = fitted.history, fitted.best_epoch, fitted.share
        progress.note("Kept", fitted.kept)
    events.close()
    return TrainedClassifier(
        model=model,
        weights=weights,
        device=device,
        history=history,
        best_epoch=best_epoch,
        share=share,
        seconds=round(time.perf_counter() - began, 2),
    )


def _check_shares(shares: int, batch_size: int, photos: int) -> None:
    if batch_size % shares:
        raise OptionError(
            f"--batch-size {batch_size} cannot be shared by {shares} devices: choose a multiple, or fewer --devices"
        )
    if photos < shares:
        raise OptionError(f"{photos} training photos cannot be shared by {shares} devices: choose fewer --devices")


def _build(begun: UnfinishedRun, classes: int) -> tuple[Any, WeightsRecord]:
    settings = begun.settings
    backbone = BACKBONES.load(settings.backbone)
    network, record = build_with_weights(backbone, settings.image_size, settings.weights, settings.alpha)
    model = assemble(backbone, settings.image_size, classes, settings.alpha)
    take_weights(model, network)
    return model, record


def _keep_last_good(run: RunDirectory, model: Any, begun: UnfinishedRun, splits: Splits, best_epoch: int) -> str:
    """Saves the best weights of a training that failed; returns what to say of it."""
    if best_epoch == 0 and not begun.settings.pretrained:
        return ""
    settings = begun.settings
    save_model(
        run.last_good_model,
        model,
        splits.class_names,
        size=settings.input_size,
        resize=settings.resize,
        source_run=run.path.name,
    )
    whose = f"epoch {best_epoch}" if best_epoch else "the linear probe"
    return f"; the last good weights, those of {whose}, are in '{run.last_good_model}'"
