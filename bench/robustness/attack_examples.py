"""Some attacked photos that people want to see, and what the artifact said of them: ``robustness.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from tledge.attacks.gradient_masking import MaskingSign
from tledge.bench.robustness.artifact_attacks import AttackedArtifact, AttackedLogits, AttackResults
from tledge.bench.robustness.attack_set import PhotoSet
from tledge.core import atomic
from tledge.core.errors import MeasurementError
from tledge.edge_runtime.classifier import softmax
from tledge.edge_runtime.tensor import Logits

SCHEMA_VERSION = 1
MOST = 3
"""Photos of each attack and road."""

FAVOURITES = ("int8", "int8-mixed", "qat", "float32")
"""Recipes of which the first that is there is shown."""


@dataclass(frozen=True, kw_only=True)
class AttackExample:
    """An original and what an attack made of it.

    Attributes:
        artifact, target: who was fooled.
        attack, road, norm, eps: by what.
        original, attacked: files, relative to the folder of attacked photos.
        label: the photo's class.
        before, after: what the artifact said of each, and its score, 0 to 1.
    """

    artifact: str
    target: str
    attack: str
    road: str
    norm: str
    eps: float
    original: str
    attacked: str
    label: str
    before: tuple[str, float]
    after: tuple[str, float]

    @property
    def files(self) -> tuple[str, str]:
        """The original and the attacked photo."""
        return self.original, self.attacked


@dataclass(frozen=True)
class RobustnessRecord:
    """What a report shows of attacks, beyond the measurements.

    Attributes:
        exhibits: some attacked photos.
        flags: the signs that an attack was fooled, by artifact.
    """

    exhibits: tuple[AttackExample, ...] = ()
    flags: Mapping[str, tuple[MaskingSign, ...]] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Writes ``robustness.json``."""
        flags = {name: [asdict(flag) for flag in found] for name, found in self.flags.items()}
        exhibits = [asdict(item) for item in self.exhibits]
        atomic.write_json(path, {"schema_version": SCHEMA_VERSION, "exhibits": exhibits, "flags": flags})

    @classmethod
    def load(cls, path: Path) -> RobustnessRecord:
        """Reads ``robustness.json``; an empty record where it is not there.

        Raises:
            MeasurementError: garbled, or of a later schema version.
        """
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            if fields["schema_version"] != SCHEMA_VERSION:
                raise ValueError(f"schema version {fields['schema_version']}; this tledge reads {SCHEMA_VERSION}")
            exhibits = [
                AttackExample(**{**item, "before": tuple(item["before"]), "after": tuple(item["after"])})
                for item in fields["exhibits"]
            ]
            flags = {name: tuple(MaskingSign(**flag) for flag in found) for name, found in fields["flags"].items()}
            return cls(tuple(exhibits), flags)
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise MeasurementError(f"cannot read '{path}': {error}; benchmark again") from error


def choose_examples(attacked: AttackResults) -> tuple[AttackExample, ...]:
    """Of each attack and road, a few photos at the smallest eps that fooled an artifact: int8 if there is one."""
    if attacked.attack_set is None or not attacked.victims:
        return ()
    photos = attacked.attack_set.photos
    victim = min(attacked.victims, key=_rank)
    by_kind: dict[tuple[str, str, str], list[AttackedLogits]] = {}
    for item in victim.answered:
        by_kind.setdefault((item.attacked.attack, item.road, item.attacked.threat.norm), []).append(item)
    return tuple(exhibit for items in by_kind.values() for exhibit in _of_one_kind(victim, photos, items))


def _rank(victim: AttackedArtifact) -> int:
    recipe, is_keras = victim.who.sidecar.recipe, victim.who.cell.model.format == "keras"
    known = recipe in FAVOURITES and not is_keras
    return FAVOURITES.index(recipe) if known else len(FAVOURITES) + is_keras


def _of_one_kind(victim: AttackedArtifact, photos: PhotoSet, items: Sequence[AttackedLogits]) -> list[AttackExample]:
    right = victim.clean.argmax(axis=1) == photos.goal.labels
    for item in sorted(items, key=lambda item: item.attacked.threat.eps):
        fooled = np.flatnonzero(photos.goal.reached(item.logits) & right & item.attacked.there)
        if len(fooled):
            return [_exhibit(victim, photos, item, int(place)) for place in fooled[:MOST]]
    return []


def _exhibit(victim: AttackedArtifact, photos: PhotoSet, item: AttackedLogits, place: int) -> AttackExample:
    return AttackExample(
        artifact=victim.who.name,
        target=str(victim.who.cell.target),
        attack=item.attacked.attack,
        road=item.road,
        norm=item.attacked.threat.norm,
        eps=item.attacked.threat.eps,
        original=photos.file(place),
        attacked=item.attacked.file(place),
        label=photos.class_names[photos.goal.labels[place]],
        before=_said(victim.clean[place], photos.class_names),
        after=_said(item.logits[place], photos.class_names),
    )


def _said(logits: Logits, class_names: Sequence[str]) -> tuple[str, float]:
    scores = softmax(logits)
    best = int(scores.argmax())
    return class_names[best], float(scores[best])
