"""What artifacts answer: what they mistake, and where they leave the Keras model."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tledge.bench.report.report_data import Classes, ReportData

Counts = npt.NDArray[np.int64]


def confusion(labels: Classes, answers: Classes, classes: int) -> Counts:
    """How often photos of each class (rows) got each answer (columns): (classes, classes)."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, answers), 1)
    return counts


@dataclass(frozen=True)
class AnswerChange:
    """Photos on which an artifact leaves the Keras model.

    Attributes:
        before, after: the Keras model's class and the artifact's.
        count: how many.
    """

    before: str
    after: str
    count: int


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """One artifact against the Keras model.

    Attributes:
        artifact: its name.
        images: how many photos both classified.
        changed: on how many they differ.
        mended: of these, only the artifact is right.
        spoilt: of these, only the Keras model is right.
        changes: from which class to which, the most frequent first.
    """

    artifact: str
    images: int
    changed: int
    mended: int
    spoilt: int
    changes: tuple[AnswerChange, ...]


def agreements(data: ReportData) -> list[Agreement]:
    """Every artifact but the Keras model itself; none where the latter's answers are not known."""
    if data.reference is None or len(data.reference.logits) != len(data.labels) or not data.labels:
        return []
    labels, expected = np.array(data.labels), data.reference.logits.argmax(axis=1)
    reference = data.reference.artifact_sha256
    names = data.settings.class_names
    found = []
    for artifact, answers in data.answers.items():
        if data.settings.artifacts.get(artifact) == reference:
            continue
        changed = answers != expected
        pairs = Counter(zip(expected[changed].tolist(), answers[changed].tolist(), strict=True))
        found.append(
            Agreement(
                artifact=artifact,
                images=len(labels),
                changed=int(changed.sum()),
                mended=int((changed & (answers == labels)).sum()),
                spoilt=int((changed & (expected == labels)).sum()),
                changes=tuple(
                    AnswerChange(names[before], names[after], count) for (before, after), count in pairs.most_common()
                ),
            )
        )
    return found
