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
    """

    source: str
    fingerprint: str
    images: Mapping[str, int]
    splits: Mapping[str, int]
    skipped: tuple[str, ...] = ()


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
        metrics: final figures; ``top1`` (with the ends of its 95% interval) and ``loss`` of the
            validation and test split, ``seconds_training``.
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
        data = fields["data"]
        return cls(
            **{
                **fields,
                "weights": WeightsRecord(**fields["weights"]),
                "class_names": tuple(fields["class_names"]),
                "input_size": (int(height), int(width)),
                "data": DataRecord(**{**data, "skipped": tuple(data["skipped"])}),
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
