"""The linear probe against ten epochs through the frozen backbone, and against one forward pass, in one run.

    python benchmarks/train_probe.py photos --weights FILE --image-size 160

Prints, of each round and as medians: the seconds of one forward pass over the training photos (decoded and run through
the backbone in the plainest way that is fast), of our linear probe (features of the training and validation photos, and
the head), and of ten epochs of a head on the frozen backbone as tutorials do it (Keras' own loader, ``fit``), with the
validation top-1 that the two reach.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from tledge.core.progress import Progress
from tledge.core.splits import Splits
from tledge.train.backbone import BACKBONES
from tledge.train.backend import should_jit_compile
from tledge.train.data.dataset import read_dataset
from tledge.train.data.split_draw import draw_splits
from tledge.train.data.training_batches import compute_class_weights
from tledge.train.evaluation import evaluate, predict_photos
from tledge.train.linear_probe import train_linear_probe
from tledge.train.model import build_classifier, copy_weights, feature_extractor
from tledge.train.train_options import RunOptions
from tledge.train.train_settings import Settings, settle
from tledge.train.weights import build_with_weights

EPOCHS = 10


def build(settings: Settings, classes: int) -> Any:
    """The classifier with the backbone's weights."""
    backbone = BACKBONES.load(settings.backbone)
    network, _ = build_with_weights(backbone, settings.image_size, weights=settings.weights)
    model = build_classifier(backbone, settings.image_size, classes)
    copy_weights(model, network)
    return model


def seconds_of_forward_pass(model: Any, splits: Splits, settings: Settings) -> float:
    """Every training photo once through the backbone."""
    features = feature_extractor(model)
    began = time.perf_counter()
    for _ in predict_photos(features, splits.paths(splits.train), size=settings.input_size, resize=settings.resize):
        continue
    return time.perf_counter() - began


def time_probe(model: Any, splits: Splits, settings: Settings) -> tuple[float, float]:
    """Our linear probe with an empty cache: seconds, and validation top-1."""
    with tempfile.TemporaryDirectory() as cache:
        began = time.perf_counter()
        train_linear_probe(
            model,
            splits,
            settings=settings,
            class_weights=compute_class_weights(splits, balanced=True),
            weights_sha256="",
            cache=Path(cache),
            progress=Progress(),
        )
        taken = time.perf_counter() - began
    return taken, evaluate(model, splits, "validation", size=settings.input_size, resize=settings.resize).top1


def time_epochs(model: Any, splits: Splits, settings: Settings) -> tuple[float, float]:
    """Ten epochs of a new head through the frozen backbone: seconds, and validation top-1."""
    for layer in model.layers:
        layer.trainable = layer.name == "logits"
    model.get_layer("logits").set_weights([np.zeros_like(values) for values in model.get_layer("logits").get_weights()])
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=should_jit_compile(),
    )
    with tempfile.TemporaryDirectory() as folder:
        loaders = [_keras_loader(splits, split, Path(folder), settings) for split in ("train", "validation")]
        began = time.perf_counter()
        model.fit(loaders[0], validation_data=loaders[1], epochs=EPOCHS, verbose=0)
        taken = time.perf_counter() - began
    return taken, evaluate(model, splits, "validation", size=settings.input_size, resize=settings.resize).top1


def _keras_loader(splits: Splits, split: str, folder: Path, settings: Settings) -> Any:
    for number, sample in enumerate(splits.samples(split)):
        class_folder = folder / split / splits.class_names[sample.label]
        class_folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(splits.root / sample.path, class_folder / f"{number:06d}{Path(sample.path).suffix}")
    return keras.utils.image_dataset_from_directory(
        folder / split, image_size=settings.input_size, batch_size=32, crop_to_aspect_ratio=True, verbose=False
    )


def main() -> None:
    """Times the three in turn, round by round."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--image-size", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=3)
    told = parser.parse_args()
    settings = settle(RunOptions(data=told.data, weights=told.weights, image_size=told.image_size))
    splits = draw_splits(read_dataset(told.data, Progress()), seed=0).splits
    model = build(settings, len(splits.class_names))
    seconds_of_forward_pass(model, splits, settings)  # the first one traces the graph and warms the disk cache
    ratios: dict[str, list[float]] = {"probe / forward pass": [], "ten epochs / probe": []}
    for number in range(1, told.rounds + 1):
        forward = seconds_of_forward_pass(model, splits, settings)
        probe, probe_top1 = time_probe(model, splits, settings)
        epochs, epochs_top1 = time_epochs(model, splits, settings)
        print(
            f"round {number}: forward pass {forward:.2f} s · linear probe {probe:.2f} s (val top-1 {probe_top1:.3f}) ·"
            f" ten epochs {epochs:.2f} s (val top-1 {epochs_top1:.3f})",
            flush=True,
        )
        ratios["probe / forward pass"].append(probe / forward)
        ratios["ten epochs / probe"].append(epochs / probe)
    for name, values in ratios.items():
        print(f"{name}: {statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})")


if __name__ == "__main__":
    main()
