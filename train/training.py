"""One training run, from a folder of images to ``model.keras``."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from tledge.core.artifact import write_artifact
from tledge.core.environment import installed_versions
from tledge.core.errors import OptionError, UnknownNameError
from tledge.core.extras import keras_backend, require
from tledge.core.images import RESIZE_RULES
from tledge.core.manifest import DataRecord, RunManifest
from tledge.core.progress import Progress
from tledge.core.run_directory import DEFAULT_RUNS, RunDirectory, create_run
from tledge.core.sidecar import Sidecar
from tledge.core.splits import SPLITS, Splits
from tledge.core.statistics import wilson_interval
from tledge.train import digits
from tledge.train.backbone import BACKBONES
from tledge.train.dataset import Dataset, read_dataset
from tledge.train.settings import Settings
from tledge.train.splitting import draw_splits
from tledge.train.weights import IMAGENET, NONE, check_weights_file

DISTRIBUTIONS = ("tledge", "keras", "tensorflow", "jax", "numpy", "pillow")
"""Whose versions a run records."""


def train(
    *,
    data: str | Path | None = None,
    backbone: str = "mobilenet_v2",
    weights: str | None = None,
    image_size: int | None = None,
    resize: str = "crop",
    epochs: int | None = None,
    batch_size: int = 32,
    learning_rate: float | None = None,
    seed: int = 0,
    skip_broken: bool = False,
    runs: str | Path = DEFAULT_RUNS,
    progress: Progress | None = None,
) -> RunManifest:
    """Trains a classifier on a pretrained backbone, or from random weights.

    Args:
        data: a folder with one folder per class; without it, the built-in handwritten digits.
        backbone: a name in ``train/backbones``.
        weights: "imagenet", "none" or a file of the backbone's weights; without it, "imagenet" for your photos
            and "none" for the digits. With pretrained weights a linear probe is trained, with none every layer.
        image_size: height and width in pixels; without it, the backbone's own, 32 for the digits.
        resize: "crop" or "stretch".
        epochs: the most that a phase takes; without it, 100 for a linear probe and 15 for full training.
        batch_size: images a step.
        learning_rate: the highest one; without it, 1e-3 for a linear probe and the backbone's own for full training.
        seed: of the splits, the initial weights and the shuffling.
        skip_broken: leave broken images out instead of failing.
        runs: the folder in which the run directory is made.
        progress: is told what happens.

    Returns:
        The record of the run, as ``run.json`` holds it; the run directory is ``runs / record.name``.

    Raises:
        TledgeError: an option, the data or the weights cannot be used; nothing is left behind.
    """
    progress = progress or Progress()
    settings = _check(
        data=data,
        backbone=backbone,
        weights=weights,
        image_size=image_size,
        resize=resize,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        skip_broken=skip_broken,
    )
    require("keras", keras_backend(), extra="train", purpose="training")
    began = datetime.now().astimezone()
    photos = None if settings.built_in else read_dataset(Path(settings.data), progress, skip_broken)
    run = create_run(Path(runs), backbone, Path(settings.data).resolve().name, began)
    try:
        if photos is None:
            digits.write_digits(run.data)
            photos = read_dataset(run.data, progress)
        manifest = _train_into(run, photos, settings, began, progress)
    except BaseException:
        shutil.rmtree(run.path, ignore_errors=True)
        raise
    run.mark_latest()
    return manifest


def _check(
    *,
    data: str | Path | None,
    weights: str | None,
    image_size: int | None,
    epochs: int | None,
    learning_rate: float | None,
    **given: Any,
) -> Settings:
    """Fills in what depends on the data and the weights; raises OptionError or UnknownNameError."""
    built_in = data is None
    backbone = BACKBONES.load(given["backbone"])
    if weights is None:
        weights = NONE if built_in else IMAGENET
    if image_size is None:
        image_size = digits.IMAGE_SIZE if built_in else backbone.default_image_size
    probe = weights != NONE
    settings = Settings(
        data=digits.NAME if data is None else str(data),
        weights=weights,
        built_in=built_in,
        image_size=image_size,
        epochs=(100 if probe else 15) if epochs is None else epochs,
        learning_rate=(1e-3 if probe else backbone.full_learning_rate) if learning_rate is None else learning_rate,
        **given,
    )
    backbone.check_image_size(settings.image_size)
    if probe and weights != IMAGENET:
        check_weights_file(Path(weights))
    if settings.resize not in RESIZE_RULES:
        raise UnknownNameError("resize rule", settings.resize, RESIZE_RULES)
    for name in ("epochs", "batch_size"):
        if getattr(settings, name) < 1:
            raise OptionError(f"--{name.replace('_', '-')} must be 1 or more; received {getattr(settings, name)}")
    if not 0 < settings.learning_rate <= 1:
        raise OptionError(f"--learning-rate must be above 0 and at most 1; received {settings.learning_rate}")
    if not 0 <= settings.seed < 2**32:
        raise OptionError(f"--seed must be between 0 and {2**32 - 1}; received {settings.seed}")
    return settings


def _train_into(
    run: RunDirectory, dataset: Dataset, settings: Settings, began: datetime, progress: Progress
) -> RunManifest:
    import keras

    from tledge.train.backend import describe_device
    from tledge.train.epochs import write_history
    from tledge.train.evaluation import evaluate
    from tledge.train.full_training import train_fully
    from tledge.train.linear_probe import train_linear_probe
    from tledge.train.model import assemble
    from tledge.train.weights import build_with_weights

    keras.utils.set_random_seed(settings.seed)
    splits = draw_splits(dataset, settings.seed)
    splits.save(run.splits_path)
    progress.note("Data", _describe_data(dataset, splits, settings))
    backbone = BACKBONES.load(settings.backbone)
    network, weights = build_with_weights(backbone, settings.image_size, settings.weights)
    model = assemble(backbone, network, settings.image_size, len(dataset.class_names))
    device = describe_device()
    progress.note(
        "Backbone",
        f"{settings.backbone} · weights {settings.weights} · {model.count_params() / 1e6:.1f} M parameters ·"
        f" {settings.image_size} px · {device}",
    )
    metrics: dict[str, float] = {}
    started = time.perf_counter()
    fit = train_fully if settings.weights == NONE else train_linear_probe
    epochs = fit(model, splits, settings, progress)
    metrics["seconds_training"] = round(time.perf_counter() - started, 2)
    for split in ("validation", "test"):
        score = evaluate(model, splits, split, settings, progress)
        low, high = wilson_interval(round(score.top1 * score.images), score.images)
        metrics |= {
            f"{split}_top1": score.top1,
            f"{split}_top1_low": low,
            f"{split}_top1_high": high,
            f"{split}_loss": score.loss,
        }
    write_history(run.history, epochs)
    versions = installed_versions(DISTRIBUTIONS)
    model_sha256 = _save_model(run, model, dataset.class_names, settings, versions)
    manifest = RunManifest(
        name=run.path.name,
        created=began.isoformat(timespec="seconds"),
        backbone=settings.backbone,
        weights=weights,
        class_names=dataset.class_names,
        input_size=settings.input_size,
        resize=settings.resize,
        seed=settings.seed,
        config=settings.to_dict(),
        data=_record_data(dataset, splits, settings),
        device=device,
        versions=versions,
        metrics=metrics,
        model_sha256=model_sha256,
    )
    manifest.save(run.manifest_path)
    return manifest


def _save_model(
    run: RunDirectory, model: Any, class_names: tuple[str, ...], settings: Settings, versions: Mapping[str, str]
) -> str:
    """Writes ``model.keras`` with its sidecar; returns its SHA-256."""
    import keras

    with tempfile.TemporaryDirectory(dir=run.path) as folder:
        path = Path(folder) / "model.keras"
        keras.Model(model.input, model.output).save(path)  # without the optimizer's state
        content = path.read_bytes()
    sidecar = Sidecar(
        class_names=class_names,
        input_size=settings.input_size,
        resize=settings.resize,
        recipe="float32",
        source_run=run.path.name,
        versions=versions,
    )
    return write_artifact(run.model, content, sidecar).sha256


def _record_data(dataset: Dataset, splits: Splits, settings: Settings) -> DataRecord:
    return DataRecord(
        source=settings.data,
        fingerprint=dataset.fingerprint,
        images=dataset.count_by_class,
        splits={split: len(splits.samples(split)) for split in SPLITS},
        skipped=dataset.skipped,
    )


def _describe_data(dataset: Dataset, splits: Splits, settings: Settings) -> str:
    counts = list(dataset.count_by_class.items())
    shown = ", ".join(f"{name} {count:,}" for name, count in counts[:6])
    if len(counts) > 6:
        shown = f"{len(counts)} classes of {min(dict(counts).values()):,} to {max(dict(counts).values()):,}"
    skipped = f"   ({len(dataset.skipped)} broken left out)" if dataset.skipped else ""
    return (
        f"{settings.data}: {len(dataset.samples):,} images, {shown} → train {len(splits.train):,} ·"
        f" validation {len(splits.validation):,} · test {len(splits.test):,}{skipped}"
    )
