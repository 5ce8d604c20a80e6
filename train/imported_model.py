"""Imports a Keras model that was trained elsewhere as a run, so that it can be exported and benchmarked."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tledge.core.environment import installed_versions
from tledge.core.errors import UnknownNameError
from tledge.core.extras import keras_backend, require
from tledge.core.fingerprint import sha256_of_file
from tledge.core.images import RESIZE_RULES
from tledge.core.label_file import read_labels
from tledge.core.manifest import DataRecord, RunManifest, WeightsRecord
from tledge.core.options import takes
from tledge.core.prediction_check import LEAST_PHOTOS
from tledge.core.progress import Progress, progress_or_default
from tledge.core.run_directory import RunDirectory, create_run, tidy_runs
from tledge.core.split_names import SPLITS
from tledge.core.temporary_files import check_writable, discard
from tledge.train.data.dataset import read_dataset, with_class_order
from tledge.train.import_options import ImportOptions
from tledge.train.keras_file_check import check_keras_file
from tledge.train.keras_file_trial import try_keras_file
from tledge.train.train_api import split_photos

if TYPE_CHECKING:
    from tledge.train.evaluation import Evaluation, ResizeRule

UNTRIED = (
    "if it expects pixel values other than 0 to 255, pass '0..1' or '-1..1' as `input_range`; if it expects blue first,"
    " pass `colour='bgr'`"
)
"""What may be wrong if there are too few photos to find out."""


@takes(ImportOptions)
def import_model(options: ImportOptions) -> RunManifest:
    """Creates a run directory from a Keras file and photos, as ``train`` does from photos alone.

    The photos' splits are drawn here, unless ``data`` has ``train/``, ``val/`` and ``test/`` folders. If the model was
    trained on photos of the test split, its accuracy is overestimated.

    Returns:
        The record of the run, as ``run.json`` holds it.

    Raises:
        ModelError: the file cannot be used.
        TledgeError: the data or an option cannot be used. Nothing is left behind.
    """
    progress = progress_or_default(options.progress)
    require("keras", keras_backend(), "scipy", "matplotlib", extra="train", purpose="reading a Keras model")
    if options.resize not in RESIZE_RULES:
        raise UnknownNameError("resize rule", options.resize, RESIZE_RULES)
    model, data, runs = Path(options.model), Path(options.data), Path(options.runs)
    check_writable(runs)
    try_keras_file(model, trust=options.trust_model)
    check_keras_file(model, trust=options.trust_model)
    labels = None if options.labels is None else read_labels(str(options.labels))
    dataset = read_dataset(data, progress, skip_broken=options.skip_broken)
    if labels is not None:
        dataset = with_class_order(dataset, labels)
    splits, record = split_photos(dataset, options, progress)
    stem = re.sub(r"[^\w-]+", "_", model.stem)
    config = {
        "model": str(model),
        "input_range": options.input_range,
        "colour": options.colour,
        "labels": None if labels is None else list(labels),
        "resize": options.resize,
        "trust": options.trust_model,
        "flip": False,
    }
    tidy_runs(runs, progress)
    with create_run(runs, stem, data.resolve().name, datetime.now().astimezone()) as directory:
        try:
            splits.save(directory.splits_path)
            _import(directory, model, config, seed=options.seed, record=record, progress=progress)
        except BaseException:
            with suppress(OSError):
                discard(directory.path)
            raise
        directory.mark_latest()
    progress.note("Run", f"{directory.path}, now the latest")
    return directory.manifest()


def may_be_guessing(evaluation: Evaluation, classes: int) -> bool:
    """Returns whether the accuracy is not significantly above that of a random guess."""
    return evaluation.top1_interval[0] <= 1 / classes


def _import(
    directory: RunDirectory, path: Path, config: dict[str, Any], *, seed: int, record: DataRecord, progress: Progress
) -> None:
    from tledge.train.backend import describe_device
    from tledge.train.evaluation import evaluate
    from tledge.train.input_trials import explain_predictions
    from tledge.train.keras_file import read_keras_file
    from tledge.train.model import DISTRIBUTIONS, save_model
    from tledge.train.report.evaluation_record import write_evaluation
    from tledge.train.report.training_plots import draw_confusion

    splits = directory.splits()
    classes = len(splits.class_names)
    reading = {"input_range": config["input_range"], "colour": config["colour"], "trust": config["trust"]}
    imported = read_keras_file(path, classes, **reading, progress=progress)
    model = imported.model
    if imported.keras2_difference is not None:
        config = {**config, "keras2_difference": imported.keras2_difference}
        progress.note(
            "Converted", f"from Keras 2; the outputs differ by {imported.keras2_difference:.1g} of the largest"
        )
    height, width = (int(length) for length in model.input_shape[1:3])
    rule: ResizeRule = {"size": (height, width), "resize": config["resize"]}
    progress.note("Model", f"{path.name} · {model.count_params() / 1e6:.1f} M parameters · {width} x {height} px")
    with progress.step("Evaluate", len(splits.validation) + len(splits.test), "photos") as step:
        found = {split: evaluate(model, splits, split, **rule, step=step) for split in ("validation", "test")}
    given = {"input_range": config["input_range"], "colour": imported.colour}
    if doubts := explain_predictions(model, splits, tuple(found.values()), **given, **rule):
        progress.warn(f"the predictions of '{path.name}' look wrong: {doubts}")
    elif may_be_guessing(found["test"], classes):
        # Of so few, nothing could be tried; more photos have shown that, over all splits, it is better than guessing.
        few = sum(len(splits.samples(split)) for split in SPLITS) < LEAST_PHOTOS
        progress.warn(
            f"the model classifies {found['test'].top1:.3f} of the photos of the test split correctly, which is not"
            " significantly better than guessing" + f"; {UNTRIED}" * few
        )
    write_evaluation(directory.evaluation, found["test"], splits.class_names)
    draw_confusion(directory.figures / "confusion.png", found["test"].confusion, splits.class_names)
    RunManifest(
        name=directory.path.name,
        created=datetime.now().astimezone().isoformat(timespec="seconds"),
        backbone=path.stem,
        weights=WeightsRecord(source=str(path), sha256=sha256_of_file(path)),
        class_names=splits.class_names,
        input_size=(height, width),
        resize=config["resize"],
        seed=seed,
        config=config,
        data=record,
        device=describe_device(1, 1),
        versions=installed_versions(DISTRIBUTIONS),
        metrics={name: value for split, figures in found.items() for name, value in figures.to_metrics(split).items()},
        model_sha256=save_model(directory.model, model, splits.class_names, source_run=directory.path.name, **rule),
    ).save(directory.manifest_path)
