"""Quantization-aware training and magnitude pruning, as the rest of the export asks for them."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tledge.core.errors import ConversionError, OptionError
from tledge.core.extras import require
from tledge.core.progress import Progress
from tledge.core.splits import Sample, Splits
from tledge.export.tfmot.graph import Graph, Weights, describe_layers, layers_by_name, load_weights
from tledge.export.tfmot.job import (
    CALIBRATION_IMAGES,
    PROBE,
    TFLITE,
    TRAINED,
    Job,
    JobPhotos,
    TrainingReport,
    TuningEpoch,
)
from tledge.export.tfmot.quantizable import plan_quantization
from tledge.export.tfmot.tfmot_process import run_child

BATCH_SIZE = 32
PROBE_IMAGES = 4


@dataclass(frozen=True, kw_only=True)
class Quantized:
    """What quantization-aware training gave.

    Attributes:
        tflite: a TFLite file from ``image``, uint8 (1, height, width, 3), to ``logits``, float32; int8 inside.
        weights: by the Keras model's layer names, in the order of ``get_weights``; not rounded. Rounding each
            output channel's kernel symmetrically to the nearest of -127..127 gives the integers of ``tflite``,
            before and after folding the batch norms.
        ranges: (least, largest) output by layer name, where it is quantized; ``image`` for the pixels. A layer that is
            missing is fused with the one after it, or passes its input's range on.
        history: one entry an epoch, the first before training.
    """

    tflite: bytes
    weights: Weights
    ranges: Mapping[str, tuple[float, float]]
    history: tuple[TuningEpoch, ...]


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """What magnitude pruning gave.

    Attributes:
        weights: by the Keras model's layer names, in the order of ``get_weights``.
        sparsity: the share of zeros in the kernels that were pruned.
        pruned: the names of the layers whose kernels were pruned.
        history: one entry an epoch.
    """

    weights: Weights
    sparsity: float
    pruned: tuple[str, ...]
    history: tuple[TuningEpoch, ...]


def train_quantized(
    model: Any,
    splits: Splits,
    *,
    size: tuple[int, int],
    resize: str,
    seed: int,
    epochs: int = 3,
    learning_rate: float = 3e-5,
    flip: bool = False,
    progress: Progress | None = None,
) -> Quantized:
    """Trains a model's weights with fake quantization, so that they suit 8-bit integers, and converts it.

    The loss is half the cross-entropy with the labels and half the Kullback-Leibler divergence from the float model's
    own answers, which it is to go on giving (Hinton et al. 2015, arXiv 1503.02531, at temperature 1). Batch norms
    keep their statistics. The first candidate is the model before training, quantized.

    Args:
        model: a ``keras.Model`` (Keras 3) from RGB pixel values 0 to 255 (N, height, width, 3) to logits (N, classes).
        splits: the training split is learnt from, the validation split chooses the epoch; the test split is not read.
        size: (height, width).
        resize: the resize rule.
        seed: of the order and the flips.
        epochs: how often the training split is gone through.
        learning_rate: of Adam, at its highest.
        flip: mirror half of the images, as the model's training did.
        progress: is told of it.

    Raises:
        ConversionError: the model has a layer that cannot be quantized so, or the training failed.
        OptionError: ``epochs`` or ``learning_rate`` that cannot be.
        RunError: an image has changed since the splits were drawn.
        MissingExtraError: tfmot or tf_keras is not installed.
    """
    progress = progress or Progress()
    job = _prepare(
        splits,
        sparsity=None,
        size=size,
        resize=resize,
        seed=seed,
        epochs=epochs,
        learning_rate=learning_rate,
        flip=flip,
    )
    calibration = min(CALIBRATION_IMAGES, len(job.train.paths))
    images = calibration + epochs * len(job.train.paths) + (epochs + 1) * len(job.validation.paths)
    from tledge.export.tflite_graph import finish

    with tempfile.TemporaryDirectory(prefix="tledge-qat-") as name:
        folder = Path(name)
        graph = describe_layers(model, "the recipe qat")
        plan_quantization(graph)  # to fail before a process is started
        _hand_over(model, graph, job, folder)
        run_child(folder, label="Quantization-aware training", images=images, progress=progress)
        outcome = TrainingReport.load(folder)
        return Quantized(
            tflite=finish((folder / TFLITE).read_bytes()),
            weights=load_weights(folder / TRAINED),
            ranges=outcome.ranges,
            history=outcome.history,
        )


def prune(
    model: Any,
    splits: Splits,
    *,
    sparsity: float,
    size: tuple[int, int],
    resize: str,
    seed: int,
    epochs: int = 4,
    learning_rate: float = 1e-4,
    flip: bool = False,
    progress: Progress | None = None,
) -> Pruned:
    """Sets the smallest weights of each convolution and dense layer to zero and trains the others to make up for it.

    Depthwise convolutions and the preprocessing keep their weights. The share of zeros grows along a cubic over the
    first half of the training (Zhu and Gupta 2017, arXiv 1710.01878, equation 1). Loss as in ``train_quantized``.

    Args:
        sparsity: the share of zeros wanted in each pruned kernel, above 0 and below 1.
        model, splits, size, resize, seed, epochs, learning_rate, flip, progress: as in ``train_quantized``.

    Raises:
        OptionError: ``sparsity``, ``epochs`` or ``learning_rate`` that cannot be.
        ConversionError, RunError, MissingExtraError: as in ``train_quantized``.
    """
    if not 0 < sparsity < 1:
        raise OptionError(f"--sparsity must be above 0 and below 1; received {sparsity:g}")
    progress = progress or Progress()
    job = _prepare(
        splits,
        sparsity=sparsity,
        size=size,
        resize=resize,
        seed=seed,
        epochs=epochs,
        learning_rate=learning_rate,
        flip=flip,
    )
    images = epochs * (len(job.train.paths) + len(job.validation.paths))
    with tempfile.TemporaryDirectory(prefix="tledge-prune-") as name:
        folder = Path(name)
        _hand_over(model, describe_layers(model, "--sparsity"), job, folder)
        run_child(folder, label="Pruning", images=images, progress=progress)
        weights, outcome = load_weights(folder / TRAINED), TrainingReport.load(folder)
    kernels = [weights[name][0] for name in outcome.pruned]
    zeros = sum(int((kernel == 0).sum()) for kernel in kernels)
    return Pruned(
        weights=weights,
        sparsity=zeros / sum(kernel.size for kernel in kernels),
        pruned=outcome.pruned,
        history=outcome.history,
    )


def with_weights(model: Any, weights: Weights) -> Any:
    """A copy of a Keras model with other weights for some of its layers.

    Args:
        model: a ``keras.Model``; it keeps its own.
        weights: by layer name, as ``Quantized`` and ``Pruned`` have them.
    """
    import keras

    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    layers = layers_by_name(copy)
    for name, arrays in weights.items():
        layers[name].set_weights(arrays)
    return copy


def compressed_size(path: Path) -> int:
    """The bytes that a file takes when it is compressed (deflate, level 9), as in a ZIP or an app package."""
    return len(zlib.compress(path.read_bytes(), 9))


def _prepare(
    splits: Splits,
    *,
    sparsity: float | None,
    size: tuple[int, int],
    resize: str,
    seed: int,
    epochs: int,
    learning_rate: float,
    flip: bool,
) -> Job:
    purpose = "quantization-aware training" if sparsity is None else "pruning"
    require("tensorflow", "tf_keras", "tensorflow_model_optimization", extra="export", purpose=purpose)
    if epochs < 1:
        raise OptionError(f"{purpose} needs 1 epoch or more; received {epochs}")
    if not 0 < learning_rate < 1:
        raise OptionError(f"{purpose} needs a learning rate above 0 and below 1; received {learning_rate:g}")
    if not splits.train or not splits.validation:
        raise ConversionError(
            f"{purpose} needs photos to learn from and others to choose the best epoch by; received"
            f" {len(splits.train)} for training and {len(splits.validation)} for validation"
        )
    splits.check_unchanged(splits.train + splits.validation)
    return Job(
        sparsity=sparsity,
        train=_photos(splits, splits.train),
        validation=_photos(splits, splits.validation),
        size=size,
        resize=resize,
        seed=seed,
        epochs=epochs,
        batch_size=BATCH_SIZE,
        learning_rate=learning_rate,
        flip=flip,
    )


def _photos(splits: Splits, samples: tuple[Sample, ...]) -> JobPhotos:
    paths = tuple(str(path.resolve()) for path in splits.paths(samples))
    return JobPhotos(paths, tuple(sample.label for sample in samples))


def _hand_over(model: Any, graph: Graph, job: Job, folder: Path) -> None:
    """Writes all that the child needs."""
    import keras

    graph.save(folder)
    job.save(folder)
    images = np.random.default_rng(0).integers(0, 256, (PROBE_IMAGES, *job.size, 3), np.uint8)
    logits = keras.ops.convert_to_numpy(model(images.astype(np.float32), training=False))
    with (folder / PROBE).open("wb") as file:
        np.savez(file, images=images, logits=np.asarray(logits, np.float32))
