"""What the child process trains, and what it reports. Arrays travel as files in a shared folder."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tledge.core.errors import ConversionError
from tledge.core.field_bounds import AnyFloat
from tledge.core.records import Record
from tledge.export.tfmot.graph import Node

WEIGHTS, PROBE, TRAINED, TFLITE = "weights.npz", "probe.npz", "trained.npz", "model.tflite"
"""Files in the folder: the model's weights; a few images with the Keras model's logits, to check the rebuilt model
against; the trained weights; the model after quantization-aware training."""

CALIBRATION_IMAGES = 256
"""Photos of the training split that set the first activation ranges."""

WARM_UP = 0.1
"""Fraction of steps used for learning-rate warm-up."""

RAMP = 0.5
"""Fraction of the training over which the sparsity grows."""

RAMP_UPDATES = 20
"""How often the sparsity grows during the ramp."""


@dataclass(frozen=True, kw_only=True)
class TuningOptions:
    """How a model is trained further.

    Attributes:
        size: (height, width) of the images.
        seed: of the order of the images and of the flips.
        epochs: passes over the training split.
        learning_rate: the highest of Adam's learning rates; see ``Job.learning_rate_at``.
        flip: mirror half of the images, as the model's training did.
    """

    size: tuple[int, int]
    resize: str
    seed: int
    epochs: int = 3
    learning_rate: float = 3e-5
    flip: bool = False


@dataclass(frozen=True, kw_only=True)
class JobPhotos:
    """The image files of a split, and their classes."""

    paths: tuple[str, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training.

    Attributes:
        sparsity: the fraction of weights to prune; None for quantization-aware training.
        validation: the photos that choose the best epoch.
    """

    sparsity: float | None
    train: JobPhotos
    validation: JobPhotos
    options: TuningOptions
    batch_size: int = 32

    @property
    def label(self) -> str:
        """What progress and error messages call the training."""
        return "Quantization-aware training" if self.sparsity is None else "Pruning"

    @property
    def images(self) -> int:
        """Images to process, over all epochs.

        Quantization-aware training also calibrates, and evaluates the model once before training.
        """
        train, validation, epochs = len(self.train.paths), len(self.validation.paths), self.options.epochs
        images = epochs * (train + validation)
        return images if self.sparsity is not None else images + min(CALIBRATION_IMAGES, train) + validation

    @property
    def steps_per_epoch(self) -> int:
        """Batches in one epoch; the last one may be smaller."""
        return math.ceil(len(self.train.paths) / self.batch_size)

    def learning_rate_at(self, progress: float) -> float:
        """Returns the learning rate after a fraction of all steps: linear warm-up, then cosine decay to 0."""
        highest = self.options.learning_rate
        if progress < WARM_UP:
            return highest * progress / WARM_UP
        return highest * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))) / 2


@dataclass(frozen=True)
class SparsityRamp:
    """When the sparsity of a training grows.

    Attributes:
        end: the step at which the full sparsity is reached; 0 where it holds from the first step on.
        frequency: steps between two updates. The sparsity is only updated at steps that this number divides.
        first_full_epoch: the first epoch that ends with the full sparsity, from 1.
    """

    end: int
    frequency: int
    first_full_epoch: int

    @classmethod
    def of_job(cls, job: Job) -> SparsityRamp:
        """Plans the ramp over the first half of a job's steps."""
        steps = job.steps_per_epoch * job.options.epochs
        frequency = max(1, int(RAMP * steps) // RAMP_UPDATES)
        end = frequency * RAMP_UPDATES
        if end >= steps:  # too few steps for a ramp
            return cls(end=0, frequency=1, first_full_epoch=1)
        return cls(end=end, frequency=frequency, first_full_epoch=end // job.steps_per_epoch + 1)


@dataclass(frozen=True, kw_only=True)
class TrainingRequest(Record, error=ConversionError):
    """What the child process receives.

    Attributes:
        folder: holds the arrays, and receives the trained ones.
        size, nodes: of the model's graph, see ``graph.Graph``.
    """

    folder: str
    job: Job
    size: tuple[int, int]
    nodes: tuple[Node, ...]


@dataclass(frozen=True, kw_only=True)
class TuningEpoch:
    """What one epoch reached on the validation split.

    Attributes:
        epoch: from 1; 0 is before training.
        train_loss: mean over the epoch's images; None before training.
        loss: half the cross-entropy with the labels plus half the divergence from the float model.
        top1: fraction classified correctly.
        agreement: fraction classified as the float model classifies it.
        kept: whether the returned weights are this epoch's.
    """

    epoch: int = 0
    train_loss: AnyFloat | None = None
    loss: AnyFloat
    top1: float
    agreement: float
    kept: bool = False


@dataclass(frozen=True, kw_only=True)
class TrainingReport(Record, error=ConversionError):
    """What the child process reports, beside the weights.

    Attributes:
        history: one entry per epoch; quantization-aware training also has one before training.
        ranges: after quantization-aware training, (lowest, highest) output by the names of the quantized layers;
            ``image`` for the pixels. A layer without a range is fused with the next one, or has its input's range.
        pruned: the layers whose kernels were pruned.
    """

    history: tuple[TuningEpoch, ...]
    ranges: Mapping[str, tuple[AnyFloat, AnyFloat]]
    pruned: tuple[str, ...]
