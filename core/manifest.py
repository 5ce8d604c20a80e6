"""``run.json``: what a training run was made of and what it reached. Written last, so it marks a whole run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tledge.core import atomic
from tledge.core.errors import RunError

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class DataRecord:
    """The images that a run was trained on.

    Attributes:
        source: the folder as the user gave it, or "digits" for the built-in data.
        fingerprint: SHA-256 over every image's name, class and content.
        images: how many there are of each class, by class name.
        splits: how many there are in each split.
        skipped: broken files that were left out, on the user's word.
        contradicted: files that were left out because the same photo stands in another class.
        leaking: photos that were left out because the user's own folders have them, or near-duplicates of them, in
            another split.
        near_duplicates: photos that are nearly the same as another one; such stay in one split.
    """

    source: str
    fingerprint: str
    images: Mapping[str, int]
    splits: Mapping[str, int]
    skipped: tuple[str, ...] = ()
    contradicted: tuple[str, ...] = ()
    leaking: tuple[str, ...] = ()
    near_duplicates: int = 0

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> DataRecord:
        """Reads what ``dataclasses.asdict`` gave. Raises TypeError if it cannot."""
        lists = {name: tuple(fields.get(name, ())) for name in ("skipped", "contradicted", "leaking")}
        return cls(**{**fields, **lists})


@dataclass(frozen=True, kw_only=True)
class WeightsRecord:
    """Where a backbone's weights came from.

    Attributes:
        source: "imagenet", "none" or the path of a file.
        sha256: over the loaded weights; empty for "none".
    """

    source: str
    sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class RunManifest:
    """One finished training run.

    Attributes:
        name: the run directory's name.
        created: when the run began, ISO 8601 with offset.
        backbone: its registered name.
        weights: the backbone's weights before training.
        class_names: the label of each logit.
        input_size: (height, width).
        resize: the resize rule.
        seed: of the splits, the initial weights and the shuffling.
        config: every option of the training, by the name that the command line has.
        data: what it was trained on.
        device: the backend and device that trained.
        versions: installed distributions.
        metrics: final figures; ``top1`` (with the ends of its 95% interval), ``loss`` and ``calibration_error`` of
            the validation and test split, ``probe_validation_top1`` after the linear probe, ``best_epoch``
            whose weights were kept (0 for those of the linear probe), ``best_epoch_share`` how much of them is
            that epoch's (the rest is the linear probe's), ``temperature`` that the logits were divided by,
            ``seconds_training``, ``peak_memory`` in bytes.
        model_sha256: of ``model.keras``.
    """

    name: str
    created: str
    backbone: str
    weights: WeightsRecord
    class_names: tuple[str, ...]
    input_size: tuple[int, int]
    resize: str
    seed: int
    config: Mapping[str, Any]
    data: DataRecord
    device: str
    versions: Mapping[str, str]
    metrics: Mapping[str, float]
    model_sha256: str
    schema_version: int = SCHEMA_VERSION

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that JSON can hold; ``from_dict`` reads it back."""
        return asdict(self)

    def save(self, path: Path) -> None:
        """Writes ``run.json``."""
        atomic.write_json(path, self.to_dict())

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> RunManifest:
        """Reads what ``to_dict`` gave. Raises KeyError, TypeError or ValueError if it cannot."""
        height, width = fields["input_size"]
        return cls(
            **{
                **fields,
                "weights": WeightsRecord(**fields["weights"]),
                "class_names": tuple(fields["class_names"]),
                "input_size": (int(height), int(width)),
                "data": DataRecord.from_dict(fields["data"]),
            }
        )

    @classmethod
    def load(cls, path: Path) -> RunManifest:
        """Reads ``run.json``.

        Raises:
            RunError: absent, garbled, or of another schema version.
        """
        try:
            fields = json.loads(path.read_text(encoding="utf-8"))
            if fields["schema_version"] != SCHEMA_VERSION:
                raise RunError(
                    f"'{path}' has schema version {fields['schema_version']}; this tledge reads {SCHEMA_VERSION}:"
                    " use the tledge that wrote it, or train again"
                )
            return cls.from_dict(fields)
        except FileNotFoundError as error:
            raise RunError(
                f"'{path.parent}' is no finished run: it has no run.json; 'tledge train' makes one"
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"cannot read '{path}': {error}; train again") from error
