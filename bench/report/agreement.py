"""Predictions of artifacts: their confusion matrices, and where they differ from the Keras model."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from tledge.bench.report.plots.matrix import Counts
from tledge.bench.results.metrics import Classes
from tledge.bench.results.stored_results import StoredResults


def confusion(labels: Classes, predictions: Classes, classes: int) -> Counts:
    """Counts how often photos of each class (rows) were predicted as each class (columns): (classes, classes)."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, predictions), 1)
    return counts


@dataclass(frozen=True)
class PredictionChange:
    """Photos for which an artifact predicts another class than the Keras model.

    Attributes:
        before, after: the class predicted by the Keras model, and by the artifact.
        count: how many photos.
    """

    before: str
    after: str
    count: int


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """One artifact against the Keras model.

    Attributes:
        images: how many photos both classified.
        changed: on how many they differ.
        now_right: of these, only the artifact is right.
        now_wrong: of these, only the Keras model is right.
        changes: from which class to which, the most frequent first.
    """

    artifact: str
    images: int
    changed: int
    now_right: int
    now_wrong: int
    changes: tuple[PredictionChange, ...]


def agreements(data: StoredResults) -> list[Agreement]:
    """Compares every artifact with the Keras model; empty if the latter's logits are not known."""
    if data.reference is None or len(data.reference.logits) != len(data.labels) or not data.labels:
        return []
    labels, expected = np.array(data.labels), data.reference.logits.argmax(axis=1)
    names, artifacts = data.known_settings.class_names, data.known_settings.artifacts
    return [
        _compare(artifact, predictions, expected, labels, names)
        for artifact, predictions in data.predictions.items()
        if artifacts.get(artifact) != data.reference.artifact_sha256
    ]


def _compare(
    artifact: str, predictions: Classes, expected: Classes, labels: Classes, names: tuple[str, ...]
) -> Agreement:
    changed = predictions != expected
    pairs = Counter(zip(expected[changed].tolist(), predictions[changed].tolist(), strict=True))
    return Agreement(
        artifact=artifact,
        images=len(labels),
        changed=int(changed.sum()),
        now_right=int((changed & (predictions == labels)).sum()),
        now_wrong=int((changed & (expected == labels)).sum()),
        changes=tuple(
            PredictionChange(names[before], names[after], count) for (before, after), count in pairs.most_common()
        ),
    )
