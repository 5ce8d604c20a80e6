"""Photos of faint stripes, a small network that reads them, and the run that it could have come from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tledge.core.artifact import write_artifact
from tledge.core.fingerprint import sha256_of_file
from tledge.core.images import Pixels
from tledge.core.manifest import DataRecord, RunManifest, WeightsRecord
from tledge.core.run_directory import RunDirectory
from tledge.core.sidecar import Sidecar
from tledge.core.splits import Sample, Splits

CLASSES = ("across", "upright")
SIZE = 48
AMPLITUDE = 7
"""Of the stripes, in pixel values: what a change of 4/255 can turn about."""


def faint_stripes(label: int, seed: int) -> Pixels:
    """uint8 (48, 48, 3): stripes across or upright, in one half of the image, on smooth colours with grain."""
    rng = np.random.default_rng((label, seed))
    ground = Image.fromarray(rng.integers(70, 180, (3, 3, 3), np.uint8)).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    waves = AMPLITUDE * np.sin(2 * np.pi * np.arange(SIZE) / rng.uniform(5, 7) + rng.uniform(0, 6))
    stripes = np.broadcast_to(waves[:, np.newaxis, np.newaxis], (SIZE, SIZE, 3)).copy()
    stripes[:, SIZE // 2 :] = 0
    if label:
        stripes = stripes.transpose(1, 0, 2)
    image = np.asarray(ground, np.float64) + stripes + rng.normal(0, 2, (SIZE, SIZE, 3))
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def train_network() -> Any:
    """A ``keras.Model`` with a connection around a layer, right about nearly all stripes."""
    import keras

    keras.utils.set_random_seed(0)
    image = keras.Input((SIZE, SIZE, 3), name="image")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(image)
    x = keras.layers.Conv2D(12, 5, strides=2, padding="same", name="edges")(x)
    x = keras.layers.BatchNormalization(momentum=0.8)(x)
    x = keras.layers.ReLU(name="edges_relu")(x)
    aside = keras.layers.Conv2D(12, 3, padding="same", activation="relu", name="aside")(x)
    x = keras.layers.Add(name="joined")([x, aside])
    x = keras.layers.Conv2D(16, 3, strides=2, padding="same", activation="relu", name="shapes")(x)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    model = keras.Model(image, keras.layers.Dense(2, name="logits", dtype="float32")(x))
    labels = np.arange(400) % 2
    images = np.stack([faint_stripes(int(label), 1000 + seed) for seed, label in enumerate(labels)])
    model.compile(
        optimizer=keras.optimizers.Adam(3e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    model.fit(images.astype(np.float32), labels, batch_size=20, epochs=12, verbose=0)
    return model


def write_run(
    directory: RunDirectory,
    model: Any,
    *,
    root: Path | None = None,
    class_names: tuple[str, str] = CLASSES,
    photos: int = 120,
) -> RunDirectory:
    """A finished run of the network: a third of the photos each to calibrate by, to validate and to test.

    Args:
        root: the folder of the photos; by default, that of the run.
        class_names: what to call stripes across and upright.
    """
    root = directory.data if root is None else root
    third = photos // 3
    samples = [_write_photo(root, class_names, label, seed) for seed in range(photos // 2) for label in (0, 1)]
    Splits(
        root=root,
        class_names=class_names,
        train=tuple(samples[:third]),
        validation=tuple(samples[third : 2 * third]),
        test=tuple(samples[2 * third :]),
    ).save(directory.splits_path)
    sidecar = Sidecar(
        class_names=class_names,
        input_size=(SIZE, SIZE),
        resize="stretch",
        recipe="float32",
        source_run=directory.path.name,
    )
    plain = directory.path / "plain.keras"
    model.save(plain)
    artifact = write_artifact(directory.model, plain.read_bytes(), sidecar)
    plain.unlink()
    RunManifest(
        name=directory.path.name,
        created="2026-11-24T00:00:00+00:00",
        backbone="none",
        weights=WeightsRecord(source="none"),
        class_names=class_names,
        input_size=(SIZE, SIZE),
        resize="stretch",
        seed=0,
        config={},
        data=DataRecord(source="stripes", fingerprint="", images={}, splits={}),
        device="CPU",
        versions={},
        metrics={},
        model_sha256=artifact.sha256,
    ).save(directory.manifest_path)
    directory.mark_latest()
    return directory


def photos_of(directory: RunDirectory, label: int) -> Sequence[Path]:
    """The files of a class's test photos."""
    splits = directory.splits()
    return splits.paths(tuple(sample for sample in splits.test if sample.label == label))


def _write_photo(root: Path, class_names: Sequence[str], label: int, seed: int) -> Sample:
    path = root / class_names[label] / f"{seed:03d}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(faint_stripes(label, seed)).save(path)
    return Sample(path.relative_to(root).as_posix(), label, sha256_of_file(path))
