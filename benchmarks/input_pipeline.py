"""Photos a second of our input pipeline against the plain alternatives, alternating in one run.

    python benchmarks/input_pipeline.py photos --image-size 160

Each reads all photos below a folder (one folder per class) and gives batches of 32 float32 images: ours as for
evaluation (centred crop, antialiased), ours as for training (augmented), Keras' ``image_dataset_from_directory`` as it
is by default and with its crop, and a hand-written ``tf.data`` pipeline, with and without antialiasing, with all that
its guide advises. The order is drawn anew each round. Prints photos a second, and ratios within each round.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf

from tledge.core.image_batches import batches
from tledge.core.progress import Progress
from tledge.core.splits import Splits
from tledge.train.data.augmentation import Augmentation
from tledge.train.data.dataset import read_dataset
from tledge.train.data.training_batches import TrainingBatches

BATCH = 32


def ours(paths: list[Path], size: int) -> Iterable[Any]:
    """Batches as they are evaluated."""
    return (pixels.astype(np.float32) for pixels in batches(paths, (size, size), "crop", BATCH))


def ours_augmented(splits: Splits, size: int) -> Iterable[Any]:
    """One epoch of training batches."""
    recipe = TrainingBatches(
        splits=splits,
        size=(size, size),
        resize="crop",
        batch_size=BATCH,
        seed=0,
        augmentation=Augmentation(),
        class_weights=np.ones(len(splits.class_names), np.float32),
    )
    with recipe.loading() as loaded:
        for index in range(len(loaded)):
            yield loaded[index][0]


def keras_loader(root: Path, size: int, crop: bool) -> Iterable[Any]:
    """Keras' own."""
    found: Iterable[Any] = keras.utils.image_dataset_from_directory(
        root, image_size=(size, size), batch_size=BATCH, crop_to_aspect_ratio=crop, verbose=False
    )
    return found


def plain_tf_data(paths: list[Path], size: int, antialias: bool) -> Iterable[Any]:
    """A centred crop in tf.data, decoded in parallel and prefetched."""

    def load(path: Any) -> Any:
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        side = tf.minimum(tf.shape(image)[0], tf.shape(image)[1])
        image = tf.image.resize_with_crop_or_pad(image, side, side)
        return tf.image.resize(image, (size, size), antialias=antialias)

    names = tf.data.Dataset.from_tensor_slices([str(path) for path in paths])
    images = names.map(load, num_parallel_calls=tf.data.AUTOTUNE)
    found: Iterable[Any] = images.batch(BATCH).prefetch(tf.data.AUTOTUNE)
    return found


def main() -> None:
    """Times all pipelines, round by round."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--image-size", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=5)
    told = parser.parse_args()
    dataset = read_dataset(told.data, Progress())
    splits = Splits(root=told.data, class_names=dataset.class_names, train=dataset.samples, validation=(), test=())
    paths, size = splits.paths(splits.train), told.image_size
    pipelines: dict[str, Callable[[], Iterable[Any]]] = {
        "tledge": lambda: ours(paths, size),
        "tledge, augmented": lambda: ours_augmented(splits, size),
        "Keras' loader": lambda: keras_loader(told.data, size, crop=False),
        "Keras' loader, cropping": lambda: keras_loader(told.data, size, crop=True),
        "tf.data": lambda: plain_tf_data(paths, size, antialias=False),
        "tf.data, antialiased": lambda: plain_tf_data(paths, size, antialias=True),
    }
    rates: dict[str, list[float]] = {name: [] for name in pipelines}
    for number in range(told.rounds + 1):
        for name in random.sample(list(pipelines), len(pipelines)):
            began, count = time.perf_counter(), 0
            for batch in pipelines[name]():
                count += len(batch[0]) if isinstance(batch, tuple) else len(batch)
            if number > 0:  # the first round warms the disk cache
                rates[name].append(count / (time.perf_counter() - began))
    for name, values in rates.items():
        ratios = [ours / theirs for ours, theirs in zip(rates["tledge"], values, strict=True)]
        print(
            f"{name:<24} {statistics.median(values):7,.0f} photos/s   tledge is {statistics.median(ratios):.2f} times"
            f" as fast ({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
