"""Logits of artifacts, through the runtime that ships."""

from __future__ import annotations

from tledge.core.artifact import Artifact
from tledge.core.images import Pixels
from tledge.core.progress import Step
from tledge.edge_runtime import Classifier
from tledge.edge_runtime.batched_logits import batched_logits
from tledge.edge_runtime.tensor import Logits


def answers_of(classifier: Classifier, pixels: Pixels, step: Step | None = None) -> Logits:
    """Returns the logits of uint8 (N, height, width, 3), computed in batches: float32 (N, classes)."""
    return batched_logits(classifier.logits, pixels, step=step)


def answers_of_file(artifact: Artifact, pixels: Pixels, step: Step | None = None) -> Logits:
    """Returns the same for an artifact that is loaded on the CPU first. Raises TledgeError if it cannot be loaded."""
    with Classifier(artifact.path) as classifier:
        return answers_of(classifier, pixels, step)
