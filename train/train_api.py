"""One training run, from a folder of photos to ``model.keras``."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Unpack

from tledge.core.errors import OptionError, TrainingError
from tledge.core.extras import keras_backend, require
from tledge.core.manifest import DataRecord, RunManifest
from tledge.core.progress import Progress
from tledge.core.run_directory import DEFAULT_RUNS, RunDirectory, create_run
from tledge.core.splits import SPLITS
from tledge.train.data import digits
from tledge.train.data.dataset import Dataset, read_dataset
from tledge.train.data.layouts import abridged
from tledge.train.data.split_draw import DrawnSplits, draw_splits
from tledge.train.data.tfds import PREFIX, write_tfds
from tledge.train.report.tensorboard import check_tensorboard
from tledge.train.resume import UnfinishedRun, find_unfinished, is_unfinished, unfinished_path
from tledge.train.settings import Options, Settings, settle

BACKENDS = ("tensorflow", "jax")


def train(
    *,
    resume: bool = False,
    run: str | Path | None = None,
    runs: str | Path = DEFAULT_RUNS,
    progress: Progress | None = None,
    **options: Unpack[Options],
) -> RunManifest:
    """Trains a classifier on a pretrained backbone, or from random weights.

    With pretrained weights a linear probe is trained on the frozen backbone's features, then the upper layers are
    fine-tuned, and what is better on the validation split is kept; with ``weights="none"`` every layer is trained.

    Args:
        resume: go on with a run that was interrupted, as it was begun; it takes no options.
        run: which one; without it, the newest unfinished one.
        runs: the folder in which run directories are made.
        progress: is told what happens.
        options: the command line's options, see :class:`~tledge.train.settings.Settings`. Without ``data``, the
            built-in handwritten digits are learned, from random weights.

    Returns:
        The record of the run, as ``run.json`` holds it; the run directory is ``runs / record.name``.

    Raises:
        TledgeError: an option, the data or the weights cannot be used, or the loss became no number. A run that can be
            resumed stays; of any other nothing is left behind.
    """
    progress = progress or Progress()
    if resume:
        directory = find_unfinished(Path(runs), run)
        begun = UnfinishedRun.load(unfinished_path(directory))
        progress.note("Resume", str(directory.path))
        _check_installed(begun.settings)
        with _keeping_what_can_be_resumed(directory):
            return _finish(directory, begun, progress)
    settings = settle(options)
    _check_installed(settings)
    with _run_directory(settings, Path(runs), progress) as (directory, dataset):
        drawn = draw_splits(
            dataset,
            settings.seed,
            validation_fraction=settings.validation_fraction,
            test_fraction=settings.test_fraction,
        )
        drawn.splits.save(directory.splits_path)
        record = record_data(dataset, drawn, settings.data)
        progress.note("Data", describe_data(record))
        created = datetime.now().astimezone().isoformat(timespec="seconds")
        return _finish(
            directory, UnfinishedRun(settings=settings, data=record, created=created, backend=keras_backend()), progress
        )


def _check_installed(settings: Settings) -> None:
    if keras_backend() not in BACKENDS:
        raise OptionError(
            f"training runs on {' or '.join(BACKENDS)}; Keras is set to {keras_backend()}: set KERAS_BACKEND=tensorflow"
        )
    require("keras", keras_backend(), "scipy", "matplotlib", extra="train", purpose="training")
    if settings.tensorboard:
        check_tensorboard()


@contextmanager
def _run_directory(settings: Settings, runs: Path, progress: Progress) -> Iterator[tuple[RunDirectory, Dataset]]:
    """A new run directory with its photos; it is removed if the block fails before anything can be resumed."""
    dataset = None if settings.built_in else _read_photos(settings, runs, progress)
    name = Path(settings.data).resolve().name
    with tempfile.TemporaryDirectory(prefix="tledge-") as elsewhere:
        # One host writes the run; the others need a place for what they would have written.
        parent = runs if settings.host == 0 else Path(elsewhere)
        directory = create_run(parent, settings.backbone, name, datetime.now().astimezone())
        with _keeping_what_can_be_resumed(directory):
            if dataset is None:
                digits.write_digits(directory.data)
                dataset = read_dataset(directory.data, progress, look_for_near_duplicates=False)
            yield directory, dataset


@contextmanager
def _keeping_what_can_be_resumed(directory: RunDirectory) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        if isinstance(error, TrainingError):  # it would fail the same way again
            shutil.rmtree(directory.checkpoints, ignore_errors=True)
        if is_unfinished(directory) and isinstance(error, KeyboardInterrupt):
            elsewhere = "" if directory.path.parent == DEFAULT_RUNS else f" --runs {directory.path.parent}"
            raise KeyboardInterrupt(f"'{directory.path}' goes on with 'tledge train --resume{elsewhere}'") from error
        if not is_unfinished(directory) and not directory.last_good_model.exists():
            shutil.rmtree(directory.path, ignore_errors=True)
        raise


def _read_photos(settings: Settings, runs: Path, progress: Progress) -> Dataset:
    root = Path(settings.data)
    if settings.data.startswith(PREFIX):
        name = settings.data.removeprefix(PREFIX)
        root = write_tfds(name, RunDirectory(runs / "any").cache / "tfds", progress=progress)
    return read_dataset(root, progress, skip_broken=settings.skip_broken)


def _finish(directory: RunDirectory, begun: UnfinishedRun, progress: Progress) -> RunManifest:
    """Trains in a run directory whose photos are split, from wherever an earlier process came to."""
    from tledge.train.finish import finish_run
    from tledge.train.phases import train_phases

    splits = directory.splits()
    splits.check_unchanged(splits.train + splits.validation + splits.test)
    learned = train_phases(directory, begun, splits=splits, progress=progress)
    manifest = finish_run(directory, begun, splits=splits, trained=learned, progress=progress)
    shutil.rmtree(directory.checkpoints, ignore_errors=True)
    if begun.settings.host == 0:
        directory.mark_latest()
    return manifest


def record_data(dataset: Dataset, drawn: DrawnSplits, source: str) -> DataRecord:
    """What ``run.json`` says of the photos; ``source`` is the folder as the user gave it."""
    return DataRecord(
        source=source,
        fingerprint=dataset.fingerprint,
        images=dataset.count_by_class,
        splits={split: len(drawn.splits.samples(split)) for split in SPLITS},
        skipped=dataset.skipped,
        contradicted=dataset.contradicted,
        leaking=drawn.leaking,
        near_duplicates=dataset.near_duplicates,
    )


def describe_data(record: DataRecord) -> str:
    """The same for a person, in lines."""
    counts = record.images
    shown = ", ".join(f"{name} {count:,}" for name, count in list(counts.items())[:6])
    if len(counts) > 6:
        shown = f"{len(counts)} classes of {min(counts.values()):,} to {max(counts.values()):,}"
    splits = " · ".join(f"{split} {count:,}" for split, count in record.splits.items())
    lines = [f"{record.source}: {sum(counts.values()):,} photos, {shown} → {splits}"]
    if record.near_duplicates:
        lines.append(f"near-duplicates: {record.near_duplicates:,}, each kept on one side of the splits")
    for names, reason in (
        (record.skipped, "broken"),
        (record.contradicted, "that stand in two classes, byte for byte the same"),
        (record.leaking, "with a near-duplicate in another of your splits"),
    ):
        if names:
            lines.append(f"left out {len(names):,} {reason}: {abridged(names, 3)}")
    return "\n".join(lines)
