"""One training run, from a folder of photos to ``model.keras``."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from tledge.core.errors import OptionError, RunError, TargetError, TrainingError, UnknownNameError
from tledge.core.extras import keras_backend, require
from tledge.core.manifest import TFDS_PREFIX, DataRecord, RunManifest, data_name
from tledge.core.number_text import abridged, counted
from tledge.core.options import given_options, takes
from tledge.core.photo_listing import describe_left_out
from tledge.core.progress import Progress, progress_or_default
from tledge.core.run_directory import DEFAULT_RUNS, RunDirectory, create_run, in_progress, tidy_runs
from tledge.core.split_names import SPLITS
from tledge.core.splits import Splits
from tledge.core.temporary_files import check_writable, discard, temporary_folder
from tledge.train.data import digits
from tledge.train.data.dataset import Dataset, read_dataset, remember_training
from tledge.train.data.split_draw import draw_splits
from tledge.train.data.tfds import write_tfds
from tledge.train.import_options import ImportOptions
from tledge.train.resume import UnfinishedRun, find_unfinished, is_unfinished, named_run, unfinished_path
from tledge.train.train_options import RunOptions, TrainOptions, check_resume
from tledge.train.train_settings import Settings, check_settings, settle

BACKENDS = ("tensorflow", "jax")


@takes(TrainOptions)
def train(options: TrainOptions) -> RunManifest:
    """Trains a classifier on a pretrained backbone, or from random weights.

    With pretrained weights, a linear probe is trained on the features of the frozen backbone, then the upper layers are
    fine-tuned, and whichever scores better on the validation split is kept. With ``weights="none"`` every layer is
    trained.

    Returns:
        The record of the run, as ``run.json`` holds it; the run directory is ``runs / record.name``.

    Raises:
        TledgeError: an option, the data or the weights cannot be used, or the loss is not a number. A run that can be
            resumed is kept; otherwise nothing is left behind.
    """
    progress = progress_or_default(options.progress)
    if options.resume:
        return _resume(options, progress)
    tidy_runs(Path(options.runs), progress)
    if options.run is not None:
        raise OptionError(f"`run` selects the run to resume and needs `resume=True`; received `run='{options.run}'`")
    settings = settle(options)
    _check_installed(settings)
    check_writable(Path(options.runs))
    with _run_directory(settings, Path(options.runs), progress) as (directory, splits, record):
        splits.save(directory.splits_path)
        created = datetime.now().astimezone().isoformat(timespec="seconds")
        unfinished = UnfinishedRun(settings=settings, data=record, created=created, backend=keras_backend())
        return _finish(directory, unfinished, progress)


def _resume(options: TrainOptions, progress: Progress) -> RunManifest:
    """Continues a training; of one that was killed when it was complete, returns the record."""
    check_resume(given_options(options, RunOptions))
    named = None if options.run is None else named_run(Path(options.runs), options.run).path
    runs = Path(options.runs) if named is None else named.parent
    finished = [run for run in tidy_runs(runs, progress) if named is None or run.path.name == named.name]
    if finished:
        return finished[-1].manifest()
    directory = find_unfinished(runs, named, progress)
    with in_progress(directory), _keep_if_resumable(directory):
        unfinished = UnfinishedRun.load(unfinished_path(directory))
        progress.note("Resume", str(directory.path))
        _check_installed(unfinished.settings)
        try:
            check_settings(unfinished.settings)
            return _finish(directory, unfinished, progress)
        except (OptionError, UnknownNameError) as error:  # its own record holds the options
            raise RunError(f"'{directory.path}' cannot be continued: {error}") from error


def _check_installed(settings: Settings) -> None:
    if keras_backend() not in BACKENDS:
        raise TargetError(
            f"training supports the Keras backends {' and '.join(BACKENDS)}; received {keras_backend()}: set"
            " KERAS_BACKEND=tensorflow"
        )
    require("keras", keras_backend(), "scipy", "matplotlib", extra="train", purpose="training")
    if settings.tensorboard:
        require("tensorboardX", extra="tensorboard", purpose="`tensorboard`")


@contextmanager
def _run_directory(
    settings: Settings, runs: Path, progress: Progress
) -> Iterator[tuple[RunDirectory, Splits, DataRecord]]:
    """Splits the photos and creates a run directory; removes it if the block fails before it could be resumed."""
    drawn = None
    if not settings.built_in:  # so that photos that cannot be used leave nothing behind
        drawn = split_photos(_read_photos(settings, runs, progress), settings, progress)
    name = data_name(settings.data)
    with temporary_folder() as elsewhere:
        # One host writes the run; the others write theirs to a temporary folder.
        parent = runs if settings.host == 0 else elsewhere
        now = datetime.now().astimezone()
        with create_run(parent, settings.backbone, name, now) as directory, _keep_if_resumable(directory):
            if drawn is None:
                digits.write_digits(directory.data)
                dataset = read_dataset(directory.data, progress, look_for_near_duplicates=False)
                drawn = split_photos(dataset, settings, progress)
            yield directory, *drawn


@contextmanager
def _keep_if_resumable(directory: RunDirectory) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        if isinstance(error, TrainingError):  # it would fail the same way again
            shutil.rmtree(directory.checkpoints, ignore_errors=True)
        if is_unfinished(directory) and isinstance(error, KeyboardInterrupt):
            runs = directory.path.parent
            elsewhere = "" if runs == DEFAULT_RUNS else f", runs={str(runs)!r}"
            raise KeyboardInterrupt(f"continue '{directory.path}' with `train(resume=True{elsewhere})`") from error
        if not is_unfinished(directory) and not directory.last_good_model.exists():
            with suppress(OSError):
                discard(directory.path)
        raise


def _read_photos(settings: Settings, runs: Path, progress: Progress) -> Dataset:
    root = Path(settings.data)
    if settings.data.startswith(TFDS_PREFIX):
        name = settings.data.removeprefix(TFDS_PREFIX)
        root = write_tfds(name, RunDirectory(runs / "any").cache / "tfds", progress=progress)
    return read_dataset(root, progress, skip_broken=settings.skip_broken)


def _finish(directory: RunDirectory, unfinished: UnfinishedRun, progress: Progress) -> RunManifest:
    """Trains in a run directory whose photos are split, continuing from what an earlier process completed."""
    splits = directory.splits(progress)
    splits.check_unchanged(splits.train + splits.validation + splits.test)

    from tledge.train.finish import finish_run  # imports Keras
    from tledge.train.phases import train_phases

    trained = train_phases(directory, unfinished, splits=splits, progress=progress)
    manifest = finish_run(directory, unfinished, splits=splits, trained=trained, progress=progress)
    if unfinished.settings.host == 0:
        directory.mark_latest()
    shutil.rmtree(directory.checkpoints, ignore_errors=True)
    return manifest


def split_photos(dataset: Dataset, options: Settings | ImportOptions, progress: Progress) -> tuple[Splits, DataRecord]:
    """Draws the splits of a run; returns them and the record of the photos for ``run.json``."""
    drawn = draw_splits(
        dataset,
        options.seed,
        validation_fraction=options.validation_fraction,
        test_fraction=options.test_fraction,
    )
    record = DataRecord(
        source=str(options.data),
        name=data_name(str(options.data)),
        fingerprint=dataset.fingerprint,
        images=dataset.count_by_class,
        splits={split: len(drawn.splits.samples(split)) for split in SPLITS},
        skipped=dataset.skipped,
        contradicted=dataset.contradicted,
        leaking=drawn.leaking,
        near_duplicates=dataset.near_duplicates,
        left_out=dataset.left_out,
        archive_sha256=dataset.archive[1],
    )
    for number, line in enumerate(describe_data(record)):
        progress.note("" if number else "Data", line)
    seen = remember_training(dataset, drawn.splits) if isinstance(options, Settings) else None
    if seen is not None and not seen.appearance:
        progress.note("Fingerprints", "the photos look alike, so benchmarks will recognize identical files, not copies")
    return replace(drawn.splits, seen_photos=seen), record


def describe_data(record: DataRecord) -> list[str]:
    """Returns the record of the photos as lines of text."""
    counts = record.images
    shown = ", ".join(f"{name} {count:,}" for name, count in list(counts.items())[:6])
    if len(counts) > 6:
        shown = f"{len(counts)} classes of {min(counts.values()):,} to {max(counts.values()):,}"
    splits = " · ".join(f"{split} {count:,}" for split, count in record.splits.items())
    lines = [f"{record.source}: {counted(sum(counts.values()), 'photos')}, {shown} → {splits}"]
    if record.near_duplicates:
        lines.append(f"near-duplicates: {record.near_duplicates:,}, each group kept in one split")
    for names, noun, reason in (
        (record.skipped, "broken files", ""),
        (record.contradicted, "files", " identical to a file of another class"),
        (record.leaking, "near-duplicates", " of photos in another split"),
    ):
        if names:
            lines.append(f"skipped {counted(len(names), noun)}{reason}: {abridged(names, 3)}")
    if record.left_out:
        lines.append(describe_left_out(record.left_out))
    return lines
