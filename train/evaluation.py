"""What a trained Keras model reaches on a split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tledge.core.loading import batches
from tledge.core.progress import Progress
from tledge.core.splits import Splits
from tledge.train.settings import Settings


@dataclass(frozen=True)
class Score:
    """Figures of one split.

    Attributes:
        top1: the fraction of images whose largest logit is their class's.
        loss: mean cross-entropy.
        images: how many.
    """

    top1: float
    loss: float
    images: int


def evaluate(model: Any, splits: Splits, split: str, settings: Settings, progress: Progress) -> Score:
    """Runs a model over a split.

    Args:
        model: a ``keras.Model`` from pixel values to logits.
        splits: the images.
        split: "train", "validation" or "test".
        settings: of the run.
        progress: is told of it.
    """
    samples = splits.samples(split)
    labels = np.array([sample.label for sample in samples])
    parts = []
    with progress.step(f"Evaluate: {split}", len(samples), "images") as step:
        for batch in batches(splits.paths(samples), settings.input_size, settings.resize, settings.batch_size):
            parts.append(np.asarray(model.predict_on_batch(batch.astype(np.float32)), np.float64))
            step.advance(len(batch))
    logits = np.concatenate(parts)
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return Score(
        top1=float(np.mean(logits.argmax(axis=1) == labels)),
        loss=float(-np.mean(log_probabilities[np.arange(len(labels)), labels])),
        images=len(samples),
    )
