"""A few attacked photos with an artifact's predictions, for the report: ``robustness.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from tledge.attacks.gradient_masking import MaskingSign
from tledge.bench.robustness.attacked_artifact import AttackedArtifact, AttackedLogits, AttackResults
from tledge.bench.robustness.attacked_photos import PhotoSet
from tledge.core.errors import MeasurementError
from tledge.core.field_bounds import Fraction, PathInside, Positive
from tledge.core.records import Record, with_present_names
from tledge.edge_runtime.tensor import Logits, softmax

EXAMPLES = 3
"""Photos of each attack, transferred and direct."""

PREFERRED_RECIPES = ("int8", "int8-mixed", "qat", "float32")
"""The artifact of the first of these recipes is shown."""


@dataclass(frozen=True, kw_only=True)
class AttackExample:
    """An original and its adversarial image.

    Attributes:
        artifact, target: the fooled artifact.
        attack, setting, norm, eps: the attack; ``setting`` as in ``AttackedLogits``.
        original, attacked: files, relative to the folder of attacked photos.
        label: the photo's class.
        before, after: the class predicted for each, and its score, 0 to 1.
    """

    artifact: str
    target: str
    attack: str
    setting: str
    norm: str
    eps: Positive
    original: PathInside
    attacked: PathInside
    label: str
    before: tuple[str, Fraction]
    after: tuple[str, Fraction]


@dataclass(frozen=True)
class RobustnessRecord(Record, version=1, error=MeasurementError, remedy="benchmark again"):
    """What a report shows of attacks, besides the measurements.

    Attributes:
        examples: some attacked photos.
        flags: signs of gradient masking, by artifact.
    """

    examples: tuple[AttackExample, ...] = ()
    flags: Mapping[str, tuple[MaskingSign, ...]] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, fields: object, source: str | Path) -> Self:
        return super().from_dict(with_present_names(fields, {"exhibits": "examples", "road": "setting"}), source)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads ``robustness.json``; returns an empty record if it does not exist."""
        return super().load(path) if path.exists() else cls()


def choose_examples(attacked: AttackResults) -> tuple[AttackExample, ...]:
    """Returns a few photos of each attack, transferred and direct, that fooled one artifact at the smallest eps."""
    if attacked.attack_set is None or not attacked.artifacts:
        return ()
    photos = attacked.attack_set.photos
    artifact = min(attacked.artifacts, key=_rank)
    by_kind: dict[tuple[str, str, str], list[AttackedLogits]] = {}
    for item in artifact.attacked_logits:
        by_kind.setdefault((item.attacked.attack, item.setting, item.attacked.threat.norm), []).append(item)
    return tuple(example for items in by_kind.values() for example in _examples(artifact, photos, items))


def _rank(artifact: AttackedArtifact) -> int:
    recipe, is_keras = artifact.cell.sidecar.recipe, artifact.cell.is_keras
    preferred = recipe in PREFERRED_RECIPES and not is_keras
    return PREFERRED_RECIPES.index(recipe) if preferred else len(PREFERRED_RECIPES) + is_keras


def _examples(artifact: AttackedArtifact, photos: PhotoSet, items: Sequence[AttackedLogits]) -> list[AttackExample]:
    correct = artifact.correct_clean(photos.goal)
    for item in sorted(items, key=lambda item: item.attacked.threat.eps):
        fooled = np.flatnonzero(photos.goal.reached(item.logits) & correct & item.attacked.exists)
        if len(fooled):
            return [_example(artifact, photos, item, int(index)) for index in fooled[:EXAMPLES]]
    return []


def _example(artifact: AttackedArtifact, photos: PhotoSet, item: AttackedLogits, index: int) -> AttackExample:
    return AttackExample(
        artifact=artifact.cell.name,
        target=artifact.cell.target,
        attack=item.attacked.attack,
        setting=item.setting,
        norm=item.attacked.threat.norm,
        eps=item.attacked.threat.eps,
        original=photos.file(index),
        attacked=item.attacked.file(index),
        label=photos.class_names[photos.goal.labels[index]],
        before=_top_class(artifact, artifact.clean_logits[index], photos.class_names),
        after=_top_class(artifact, item.logits[index], photos.class_names),
    )


def _top_class(artifact: AttackedArtifact, logits: Logits, class_names: Sequence[str]) -> tuple[str, float]:
    """Returns the most probable class and its score; the logits of a model with probabilities are their logarithms."""
    adopted = artifact.cell.sidecar.preprocessing
    scores = np.exp(logits) if adopted is not None and adopted.output == "probabilities" else softmax(logits)
    best = int(scores.argmax())
    return class_names[best], float(scores[best])
