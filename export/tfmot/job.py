"""What the parent process asks of the child, and what the child answers: files in one folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tledge.core import atomic

TFLITE = "model.tflite"
TRAINED = "trained.npz"
CALIBRATION_IMAGES = 256
"""Photos of the training split that the first activation ranges are taken from."""

PROBE = "probe.npz"
"""A few images with the Keras model's logits, to check the rebuilt model by."""


@dataclass(frozen=True)
class JobPhotos:
    """The images of a split.

    Attributes:
        paths: their files.
        labels: their classes.
    """

    paths: tuple[str, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training.

    Attributes:
        sparsity: the share of weights to prune; None for quantization-aware training.
        train: what is learnt from.
        validation: what the best epoch is chosen by.
        size: (height, width).
        resize: the resize rule.
        seed: of the order and the flips.
        epochs: how often the training split is gone through.
        batch_size: images a step.
        learning_rate: the highest; it rises over the first tenth and falls along a cosine.
        flip: mirror half of the images.
    """

    sparsity: float | None
    train: JobPhotos
    validation: JobPhotos
    size: tuple[int, int]
    resize: str
    seed: int
    epochs: int
    batch_size: int
    learning_rate: float
    flip: bool

    def save(self, folder: Path) -> None:
        """Writes ``job.json``."""
        atomic.write_json(folder / "job.json", asdict(self))

    @classmethod
    def load(cls, folder: Path) -> Job:
        """Reads what ``save`` wrote."""
        fields = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        photos = {
            split: JobPhotos(tuple(fields[split]["paths"]), tuple(fields[split]["labels"]))
            for split in ("train", "validation")
        }
        height, width = fields["size"]
        return cls(**{**fields, **photos, "size": (height, width)})


@dataclass(frozen=True, kw_only=True)
class TuningEpoch:
    """What one epoch reached, on the validation split.

    Attributes:
        epoch: from 1; 0 is before training.
        train_loss: mean over the epoch's images; None before training.
        loss: half the cross-entropy with the labels and half the divergence from the float model.
        top1: the share that is classified rightly.
        agreement: the share that is classified as the float model does.
        kept: its weights are those that were handed back.
    """

    epoch: int
    train_loss: float | None
    loss: float
    top1: float
    agreement: float
    kept: bool


@dataclass(frozen=True, kw_only=True)
class TrainingReport:
    """What the child reached, beside the weights.

    Attributes:
        history: one entry an epoch.
        ranges: (least, largest) activation by layer name, of quantization-aware training.
        pruned: the layers whose kernels were pruned.
    """

    history: tuple[TuningEpoch, ...]
    ranges: Mapping[str, tuple[float, float]]
    pruned: tuple[str, ...]

    def save(self, folder: Path) -> None:
        """Writes ``outcome.json``."""
        atomic.write_json(folder / "outcome.json", asdict(self))

    @classmethod
    def load(cls, folder: Path) -> TrainingReport:
        """Reads what ``save`` wrote."""
        fields: dict[str, Any] = json.loads((folder / "outcome.json").read_text(encoding="utf-8"))
        return cls(
            history=tuple(TuningEpoch(**epoch) for epoch in fields["history"]),
            ranges={name: (low, high) for name, (low, high) in fields["ranges"].items()},
            pruned=tuple(fields["pruned"]),
        )
