"""Quantization-aware training and magnitude pruning of Keras 3 models, each in a child process."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tledge.core.errors import ConversionError, OptionError
from tledge.core.extras import require
from tledge.core.progress import Progress
from tledge.core.splits import Sample, Splits
from tledge.core.temporary_files import temporary_folder
from tledge.core.worker import python_module, quiet_environment, run_worker
from tledge.export.tfmot.graph import Graph, Weights, layers_by_name, load_weights, read_graph, save_weights
from tledge.export.tfmot.job import (
    PROBE,
    TFLITE,
    TRAINED,
    WEIGHTS,
    Job,
    JobPhotos,
    TrainingReport,
    TrainingRequest,
    TuningOptions,
)
from tledge.export.tfmot.quantization_plan import plan_quantization

PROBE_IMAGES = 4


@dataclass(frozen=True, kw_only=True)
class QuantizedModel:
    """The result of quantization-aware training.

    Attributes:
        tflite: a TFLite file from ``image``, uint8 (1, height, width, 3), to ``logits``, float32; int8 inside.
        weights: by the Keras model's layer names, in the order of ``get_weights``; not rounded. Rounding each
            output channel's kernel symmetrically to the nearest of -127..127 gives the integers of ``tflite``,
            before and after folding the batch norms.
    """

    tflite: bytes
    weights: Weights
    report: TrainingReport


@dataclass(frozen=True, kw_only=True)
class PrunedModel:
    """The result of magnitude pruning.

    Attributes:
        weights: by the Keras model's layer names, in the order of ``get_weights``.
        sparsity: the fraction of zeros in the pruned kernels.
    """

    weights: Weights
    sparsity: float
    report: TrainingReport


def train_quantized(
    model: Any, splits: Splits, options: TuningOptions, *, progress: Progress | None = None
) -> QuantizedModel:
    """Trains a model with fake quantization, so that its weights suit 8-bit integers, and converts it to TFLite.

    The loss is that of ``distillation``. Batch norms keep their statistics. The first candidate is the model before
    training, quantized.

    Args:
        model: a ``keras.Model`` (Keras 3) from RGB pixel values 0 to 255 (N, height, width, 3) to logits (N, classes).
        splits: the training split is trained on, the validation split chooses the epoch; the test split is not read.

    Raises:
        ConversionError: a layer of the model cannot be quantized this way, or the training failed.
        OptionError: ``epochs`` or ``learning_rate`` out of range.
        RunError: an image has changed since the splits were drawn.
        MissingExtraError: tfmot or tf_keras is not installed.
    """
    from tledge.export.tflite_graph import finish

    job = _make_job(splits, options, sparsity=None)
    graph = read_graph(model, "the recipe qat")
    plan_quantization(graph)  # fails before a process is started
    with temporary_folder() as folder:
        report, weights = _train(model, graph, job, folder, progress)
        return QuantizedModel(tflite=finish((folder / TFLITE).read_bytes()), weights=weights, report=report)


def prune(
    model: Any, splits: Splits, options: TuningOptions, *, sparsity: float, progress: Progress | None = None
) -> PrunedModel:
    """Sets the smallest weights of each convolution and dense layer to zero, and trains the others to compensate.

    Depthwise convolutions and the preprocessing keep their weights. The fraction of zeros grows along a cubic over the
    first half of the training (Zhu and Gupta 2017, arXiv 1710.01878, equation 1). Loss as in ``train_quantized``.

    Args:
        sparsity: the fraction of zeros in each pruned kernel, above 0 and below 1.

    Raises:
        OptionError: ``sparsity``, ``epochs`` or ``learning_rate`` out of range.
        ConversionError, RunError, MissingExtraError: as in ``train_quantized``.
    """
    if not 0 < sparsity < 1:
        raise OptionError(f"`sparsity` must be above 0 and below 1; received {sparsity:g}")
    job = _make_job(splits, options, sparsity=sparsity)
    graph = read_graph(model, "`sparsity`")
    with temporary_folder() as folder:
        report, weights = _train(model, graph, job, folder, progress)
    kernels = [weights[name][0] for name in report.pruned]
    zeros = sum(int((kernel == 0).sum()) for kernel in kernels)
    return PrunedModel(weights=weights, sparsity=zeros / sum(kernel.size for kernel in kernels), report=report)


def with_weights(model: Any, weights: Weights) -> Any:
    """Returns a copy of a Keras model with other weights for some of its layers, by name."""
    from tledge.export.model_copy import copy_model

    copy = copy_model(model)
    layers = layers_by_name(copy)
    for name, arrays in weights.items():
        layers[name].set_weights(arrays)
    return copy


def run_training(request: TrainingRequest, progress: Progress | None = None) -> TrainingReport:
    """Runs a training in a child process, which leaves its arrays in the request's folder.

    Raises:
        ConversionError: the child reported an error or ended early.
    """
    environment = {
        **quiet_environment(),
        "TF_USE_LEGACY_KERAS": "1",  # tfmot and tf_keras read it when they are imported
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # this process may hold some of the GPU's memory
    }
    report = run_worker(
        python_module("tledge.export.tfmot.tfmot_worker"),
        request.to_dict(),
        name=request.job.label,
        error=ConversionError,
        progress=progress,
        environment=environment,
    )
    return TrainingReport.from_dict(report, request.job.label)


def _make_job(splits: Splits, options: TuningOptions, sparsity: float | None) -> Job:
    purpose = "quantization-aware training" if sparsity is None else "pruning"
    require("tensorflow", "tf_keras", "tensorflow_model_optimization", extra="export", purpose=purpose)
    if options.epochs < 1:
        raise OptionError(f"{purpose} needs 1 epoch or more; received {options.epochs}")
    if not 0 < options.learning_rate < 1:
        raise OptionError(f"{purpose} needs a learning rate above 0 and below 1; received {options.learning_rate:g}")
    if not splits.train or not splits.validation:
        raise ConversionError(
            f"{purpose} needs training and validation photos; received {len(splits.train)} and {len(splits.validation)}"
        )
    splits.check_unchanged(splits.train + splits.validation)
    train, validation = _photos(splits, splits.train), _photos(splits, splits.validation)
    return Job(sparsity=sparsity, train=train, validation=validation, options=options)


def _photos(splits: Splits, samples: tuple[Sample, ...]) -> JobPhotos:
    paths = tuple(str(path.resolve()) for path in splits.paths(samples))
    return JobPhotos(paths=paths, labels=tuple(sample.label for sample in samples))


def _train(
    model: Any, graph: Graph, job: Job, folder: Path, progress: Progress | None
) -> tuple[TrainingReport, Weights]:
    """Writes the arrays that the child needs, runs it, and reads the trained weights."""
    import keras

    save_weights(folder / WEIGHTS, graph.weights)
    images = np.random.default_rng(0).integers(0, 256, (PROBE_IMAGES, *job.options.size, 3), np.uint8)
    logits = keras.ops.convert_to_numpy(model(images.astype(np.float32), training=False))
    with (folder / PROBE).open("wb") as file:
        np.savez(file, images=images, logits=np.asarray(logits, np.float32))
    request = TrainingRequest(folder=str(folder), job=job, size=graph.size, nodes=graph.nodes)
    return run_training(request, progress), load_weights(folder / TRAINED)
