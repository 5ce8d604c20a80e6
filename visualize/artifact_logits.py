"""Logits of an exported artifact, computed by the runtime that ships."""

from __future__ import annotations

from tledge.core.artifact import Artifact
from tledge.core.images import Pixels
from tledge.core.progress import Step
from tledge.edge_runtime import Classifier
from tledge.edge_runtime.batched_logits import batched_logits
from tledge.edge_runtime.tensor import Logits


def artifact_logits(artifact: Artifact, pixels: Pixels, step: Step | None = None) -> Logits:
    """Loads an artifact on the CPU and returns its logits.

    Args:
        artifact: the exported file.
        pixels: uint8 (N, height, width, 3).
        step: advances by one for each image.

    Returns:
        float32 (N, classes).

    Raises:
        TledgeError: the artifact cannot be loaded.
    """
    with Classifier(artifact.path) as classifier:
        return batched_logits(classifier.logits, pixels, step=step)
