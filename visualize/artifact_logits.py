"""What artifacts say, through the runtime that ships."""

from __future__ import annotations

import numpy as np

from tledge.core.artifact import Artifact
from tledge.core.images import Pixels
from tledge.core.progress import Step
from tledge.edge_runtime import Classifier
from tledge.edge_runtime.tensor import Logits

BATCH_SIZE = 32


def answers_of(classifier: Classifier, pixels: Pixels, step: Step | None = None) -> Logits:
    """The logits of uint8 (N, height, width, 3), some at a time: float32 (N, classes)."""
    parts = []
    for begin in range(0, len(pixels), BATCH_SIZE):
        parts.append(classifier.logits(pixels[begin : begin + BATCH_SIZE]))
        if step is not None:
            step.advance(len(parts[-1]))
    return np.concatenate(parts)


def answers_of_file(artifact: Artifact, pixels: Pixels, step: Step | None = None) -> Logits:
    """The same of an artifact that is loaded for it, on the CPU. Raises TledgeError where it cannot be."""
    with Classifier(artifact.path) as classifier:
        return answers_of(classifier, pixels, step)
