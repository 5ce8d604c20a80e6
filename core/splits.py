"""Which image is in which split: ``splits.json`` of a run directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple

from tledge.core.errors import RunError
from tledge.core.field_bounds import Count, Items, PathInside, Sha256
from tledge.core.fingerprint import sha256_of_file
from tledge.core.progress import Progress
from tledge.core.records import Record
from tledge.core.sealed_folder import is_folder_intact
from tledge.core.seen_photos import SeenPhotos
from tledge.core.split_names import SPLITS


class Sample(NamedTuple):
    """One labelled image, stored as a JSON array.

    Attributes:
        path: the image file, relative to the root of the splits.
        label: the index of its class.
        sha256: SHA-256 of the file's content.
    """

    path: PathInside
    label: Count
    sha256: Sha256


@dataclass(frozen=True, kw_only=True)
class Splits:
    """The samples of each split, drawn once and recorded.

    Attributes:
        root: the folder that the samples' paths are relative to.
        class_names: the class of each label.
        train, validation, test: their samples.
        archive: the ZIP that was unpacked to ``root``; empty if the photos were in a folder.
        seen_photos: fingerprints of what a training on them sees; None for a model that was trained elsewhere.
    """

    root: Path
    class_names: tuple[str, ...]
    train: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    test: tuple[Sample, ...]
    archive: str = ""
    seen_photos: SeenPhotos | None = None

    def samples(self, split: str) -> tuple[Sample, ...]:
        """Returns the samples of "train", "validation" or "test"."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[split]

    def paths(self, samples: tuple[Sample, ...]) -> list[Path]:
        """Returns the paths of the files of these samples."""
        return [self.root / sample.path for sample in samples]

    def check_unchanged(self, samples: tuple[Sample, ...]) -> None:
        """Raises RunError if a file of these samples has changed since the splits were drawn."""
        for path, sample in zip(self.paths(samples), samples, strict=True):
            if not path.is_file():
                raise RunError(f"an image of this run is missing: '{path}'; restore it or train again")
            if sha256_of_file(path) != sample.sha256:
                raise RunError(f"'{path}' has changed since this run was trained; restore it or train again")

    def save(self, path: Path) -> None:
        """Writes ``splits.json``; a root inside the run directory is stored relative to it."""
        root, folder = self.root.resolve(), path.parent.resolve()
        stored_root = str(root.relative_to(folder) if root.is_relative_to(folder) else root)
        _StoredSplits(**{**vars(self), "root": stored_root}).save(path)

    @staticmethod
    def check_record(path: Path) -> None:
        """Raises RunError if ``splits.json`` is absent or garbled."""
        _StoredSplits.load(path)

    @classmethod
    def load(cls, path: Path, progress: Progress | None = None) -> Splits:
        """Reads ``splits.json``, and unpacks a ZIP again, which is reported, if its folder is gone or damaged.

        Raises:
            RunError: it is absent or garbled, or its folder of images is gone.
            DataError: the ZIP cannot be unpacked again.
        """
        stored = _StoredSplits.load(path)
        root = path.parent / stored.root
        if stored.archive and Path(stored.archive).is_file() and not is_folder_intact(root, root.name):
            from tledge.core.photo_archive import unpack_photos

            folder, _ = unpack_photos(Path(stored.archive), progress or Progress())
            root = folder if folder.name == root.name else root
        if not root.is_dir():
            of_zip = f", unpacked from '{stored.archive}', which is gone or has changed" if stored.archive else ""
            raise RunError(f"the images of this run are missing: no folder '{root}'{of_zip}; restore it or train again")
        return cls(**{**vars(stored), "root": root})


@dataclass(frozen=True, kw_only=True)
class _StoredSplits(Record, version=1, error=RunError, remedy="train again", most_bytes=1 << 30):
    """The fields of :class:`Splits`, with a root that JSON can hold.

    Raises:
        ValueError: the label of a sample is not that of a class.
    """

    root: str
    class_names: Annotated[tuple[str, ...], Items(least=1)]
    train: tuple[Sample, ...]
    validation: tuple[Sample, ...]
    test: tuple[Sample, ...]
    archive: str = ""
    seen_photos: SeenPhotos | None = None

    def __post_init__(self) -> None:
        for split in SPLITS:
            largest = max((sample.label for sample in getattr(self, split)), default=0)
            if largest >= len(self.class_names):
                names = len(self.class_names)
                raise ValueError(f"{split}: a photo has label {largest}, but class_names has {names} names")
