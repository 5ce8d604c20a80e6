"""Which image is in which split: ``splits.json`` of a run directory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tledge.core import atomic
from tledge.core.errors import RunError
from tledge.core.fingerprint import sha256_of_file

SCHEMA_VERSION = 1
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Sample:
    """One labelled image.

    Attributes:
        path: the image file, relative to the root of the splits.
        label: the index of its class.
        sha256: SHA-256 of the file's content.
    """

    path: str
    label: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Splits:
    """The samples of each split, drawn once and recorded.

    Attributes:
        root: the folder that the paths are relative to.
        class_names: the class of each label.
        train, validation, test: their samples.
    """

    root: Path
    class_names: tuple[str, ...]
    train: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    test: tuple[Sample, ...]

    def samples(self, split: str) -> tuple[Sample, ...]:
        """The samples of "train", "validation" or "test"."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[split]

    def paths(self, samples: tuple[Sample, ...]) -> list[Path]:
        """Where the files of some samples are."""
        return [self.root / sample.path for sample in samples]

    def check_unchanged(self, samples: tuple[Sample, ...]) -> None:
        """Raises RunError if a file of these samples is no longer the one that was split."""
        for path, sample in zip(self.paths(samples), samples, strict=True):
            if not path.is_file():
                raise RunError(f"an image of this run is gone: '{path}'; put it back or train again")
            if sha256_of_file(path) != sample.sha256:
                raise RunError(f"'{path}' is not the image that this run was split with; put it back or train again")

    def save(self, path: Path) -> None:
        """Writes ``splits.json``; a root inside the run directory is kept relative to it."""
        root = self.root.resolve()
        inside = root.is_relative_to(path.parent.resolve())
        content: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "root": str(root.relative_to(path.parent.resolve()) if inside else root),
            "class_names": list(self.class_names),
        }
        for split in SPLITS:
            content[split] = [[sample.path, sample.label, sample.sha256] for sample in self.samples(split)]
        atomic.write_json(path, content)

    @classmethod
    def load(cls, path: Path) -> Splits:
        """Reads ``splits.json``.

        Raises:
            RunError: absent, garbled, or its folder of images is gone.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["schema_version"] != SCHEMA_VERSION:
                raise ValueError(f"schema version {content['schema_version']}, this tledge reads {SCHEMA_VERSION}")
            root = path.parent / content["root"]
            drawn = {split: tuple(Sample(*sample) for sample in content[split]) for split in SPLITS}
            class_names = tuple(content["class_names"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"cannot read '{path}': {error}; train again") from error
        if not root.is_dir():
            raise RunError(f"the images of this run are gone: no folder '{root}'; put it back or train again")
        return cls(root=root, class_names=class_names, **drawn)
