"""Imports a Keras model that was trained elsewhere as a run, so that it can be exported and benchmarked."""

from __future__ import annotations

import re
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

from tledge.core.environment import installed_versions
from tledge.core.errors import UnknownNameError
from tledge.core.extras import keras_backend, require
from tledge.core.fingerprint import sha256_of_file
from tledge.core.images import RESIZE_RULES
from tledge.core.manifest import DataRecord, RunManifest, WeightsRecord
from tledge.core.progress import Progress
from tledge.core.run_directory import DEFAULT_RUNS, RunDirectory, create_run
from tledge.train.data.dataset import read_dataset
from tledge.train.data.split_draw import draw_splits
from tledge.train.evaluation import Evaluation, evaluate
from tledge.train.inference import ResizeRule
from tledge.train.keras_file_check import check_keras_file
from tledge.train.train_api import describe_data, record_data


def import_model(
    *,
    model: str | Path,
    data: str | Path,
    input_range: str = "0..255",
    resize: str = "stretch",
    validation_fraction: float = 0.15,
    test_fraction: float = 0.15,
    seed: int = 0,
    skip_broken: bool = False,
    trust_model: bool = False,
    runs: str | Path = DEFAULT_RUNS,
    progress: Progress | None = None,
) -> RunManifest:
    """Makes a run directory from a Keras file and photos.

    The splits of the photos are drawn here, unless ``data`` has ``train/``, ``val/`` and ``test/`` folders. If the
    model was trained on photos of the test split, its accuracy is overestimated.

    Args:
        model: a ``.keras`` or ``.h5`` file.
        data: a folder with one folder of photos per class; their alphabetical order is that of the model's outputs.
        input_range: the pixel values that the model expects: "0..255", "0..1" or "-1..1".
        resize: the resize rule.
        validation_fraction, test_fraction: fractions of the photos of each class, for the splits that the data does
            not define.
        seed: the seed of the splits.
        skip_broken: skip broken photos.
        trust_model: also load a model that can execute code.
        runs: the folder for the run directory.
        progress: shows progress.

    Returns:
        The record of the run, as ``run.json`` holds it.

    Raises:
        ModelError: the file is not supported.
        TledgeError: the data or an option is invalid. No files are left behind.
    """
    progress = progress or Progress()
    require("keras", keras_backend(), "scipy", "matplotlib", extra="train", purpose="reading a Keras model")
    if resize not in RESIZE_RULES:
        raise UnknownNameError("resize rule", resize, RESIZE_RULES)
    model, runs = Path(model), Path(runs)
    check_keras_file(model, trust=trust_model)
    dataset = read_dataset(Path(data), progress, skip_broken=skip_broken)
    drawn = draw_splits(dataset, seed, validation_fraction=validation_fraction, test_fraction=test_fraction)
    stem = re.sub(r"[^\w-]+", "_", model.stem)
    directory = create_run(runs, stem, Path(data).resolve().name, datetime.now().astimezone())
    try:
        drawn.splits.save(directory.splits_path)
        record = record_data(dataset, drawn, str(data))
        progress.note("Data", describe_data(record))
        config = {
            "model": str(model),
            "input_range": input_range,
            "resize": resize,
            "trust": trust_model,
            "flip": False,
        }
        _import(directory, model, config, seed=seed, record=record, progress=progress)
    except BaseException:
        shutil.rmtree(directory.path, ignore_errors=True)
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
    from tledge.train.keras_file import read_keras_file
    from tledge.train.model_writer import DISTRIBUTIONS, save_model
    from tledge.train.report.evaluation_record import write_evaluation
    from tledge.train.report.training_plots import draw_confusion

    splits = directory.splits()
    classes = len(splits.class_names)
    model = read_keras_file(path, classes, input_range=config["input_range"], trust=config["trust"])
    height, width = (int(length) for length in model.input_shape[1:3])
    rule: ResizeRule = {"size": (height, width), "resize": config["resize"]}
    progress.note("Model", f"{path.name} · {model.count_params() / 1e6:.1f} M parameters · {width} x {height} px")
    with progress.step("Evaluate", len(splits.validation) + len(splits.test), "photos") as step:
        found = {split: evaluate(model, splits, split, **rule, step=step) for split in ("validation", "test")}
    if may_be_guessing(found["test"], classes):
        progress.warn(
            f"the model classifies {found['test'].top1:.3f} of the test photos correctly, which is not significantly"
            " better than guessing: if it expects other pixel values than 0 to 255, pass '0..1' or '-1..1' as"
            " `input_range`",
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
