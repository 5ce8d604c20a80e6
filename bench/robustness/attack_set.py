"""Attacked photos with their originals: in memory, and as a folder that any device can show to an artifact.

adversarial/
  attack-set.json                   what each file is
  originals/0007-cat.png            a photo at the model's input size
  pgd-model.keras-linf-2/0007.png   its adversarial image

Files are PNG, which keeps the exact pixel values. Where an attack on an artifact failed there is no file: the original
is shown instead.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from PIL import Image

from tledge.attacks.goal import Goal
from tledge.attacks.threat_model import ThreatModel
from tledge.bench.robustness.attacked_photos import AttackedPhotos, PhotoSet
from tledge.core.errors import DataError, ImageError, TledgeError
from tledge.core.field_bounds import Count, ImageSize, Items, NotNegative, PathInside, Positive
from tledge.core.fingerprint import sha256_of_file, sha256_of_records
from tledge.core.folder_contents import finish_replacement
from tledge.core.image_batches import map_ahead
from tledge.core.images import Pixels, decode
from tledge.core.records import Record

REMEDY = "copy the whole folder again"
MANIFEST = "attack-set.json"
AHEAD = 16
"""Files that are read or written at the same time."""


@dataclass(frozen=True, kw_only=True)
class PhotoEntry:
    """An original photo: its path in the folder, and the indices of its class and of the class that attacks aim at."""

    file: PathInside
    label: Count
    target: Count | None
    source: str


@dataclass(frozen=True, kw_only=True)
class AttackedPhotosEntry:
    """The images of one attack at one eps, see ``AttackedPhotos``; file and eps are None where there is no image."""

    attack: str
    white_box: bool
    source: str
    source_sha256: str
    norm: str
    eps: Positive
    steps: Count
    seed: Count
    seconds: NotNegative
    queries: tuple[Count, ...]
    files: tuple[PathInside | None, ...]
    made_at: tuple[NotNegative | None, ...]

    def __post_init__(self) -> None:
        if not len(self.queries) == len(self.files) == len(self.made_at):
            counts = f"{len(self.queries)}, {len(self.files)} and {len(self.made_at)}"
            raise ValueError(f"queries, files and made_at have {counts} entries; expected one for each photo")

    @classmethod
    def of(cls, item: AttackedPhotos) -> AttackedPhotosEntry:
        """Describes attacked photos."""
        return cls(
            attack=item.attack,
            white_box=item.white_box,
            source=item.source,
            source_sha256=item.source_sha256,
            norm=item.threat.norm,
            eps=item.threat.eps,
            steps=item.steps,
            seed=item.seed,
            seconds=item.seconds,
            queries=tuple(item.queries.tolist()),
            files=tuple(item.file(index) if exists else None for index, exists in enumerate(item.exists)),
            made_at=tuple(
                float(eps) if exists else None for eps, exists in zip(item.made_at, item.exists, strict=True)
            ),
        )

    def to_photos(self, photos: PhotoSet, decoded: Mapping[str, Pixels]) -> AttackedPhotos:
        """Returns the attacked photos, from the decoded files.

        Raises:
            ValueError: the entry contradicts itself, the photos or its threat model.
            TledgeError: its threat model cannot be.
        """
        threat = ThreatModel(self.norm, self.eps)
        if not re.fullmatch("[a-z0-9_]+", self.attack):
            raise ValueError(f"{self.attack!r} is not a valid attack name")
        if not len(self.files) == len(self.made_at) == len(self.queries) == len(photos):
            raise ValueError(f"{self.attack} {threat} has {len(self.files)} photos; the set has {len(photos)}")
        made_at = [math.inf if eps is None else eps for eps in self.made_at]
        for name, eps in zip(self.files, made_at, strict=True):
            if (name is None) != math.isinf(eps) or not (eps > 0 and (math.isinf(eps) or eps <= threat.eps)):
                raise ValueError(f"'{name}' was made with an eps of {eps:g}, but is listed under {threat}")
        pairs = zip(self.files, photos.pixels, strict=True)
        images = np.stack([original if name is None else decoded[name] for name, original in pairs])
        beyond = np.flatnonzero(threat.distance(images, photos.pixels) > threat.eps)
        if len(beyond):
            raise ValueError(f"'{self.files[beyond[0]]}' is farther from its original than {threat}: it was edited")
        return AttackedPhotos(
            attack=self.attack,
            white_box=self.white_box,
            source=self.source,
            source_sha256=self.source_sha256,
            threat=threat,
            steps=self.steps,
            seed=self.seed,
            images=images,
            made_at=np.array(made_at),
            queries=np.array(self.queries, np.intp),
            seconds=self.seconds,
        )


@dataclass(frozen=True, kw_only=True)
class AttackSetManifest(Record, version=1, error=DataError, remedy=REMEDY, most_bytes=256 << 20):
    """The manifest of an attack set: what each file in the folder is. ``input_size`` is (height, width)."""

    class_names: Annotated[tuple[str, ...], Items(least=1)]
    input_size: ImageSize
    photos: tuple[PhotoEntry, ...]
    attacked: tuple[AttackedPhotosEntry, ...]

    def __post_init__(self) -> None:
        for index, photo in enumerate(self.photos):
            for name, label in (("label", photo.label), ("target", photo.target)):
                if label is not None and label >= len(self.class_names):
                    raise ValueError(
                        f"photos[{index}].{name}: {label}, but class_names has {len(self.class_names)} names"
                    )

    @classmethod
    def of(cls, photos: PhotoSet, attacked: Sequence[AttackedPhotos]) -> AttackSetManifest:
        """Describes photos and what attacks made of them."""
        target_classes = photos.goal.target_classes
        height, width = photos.pixels.shape[1:3]
        return cls(
            class_names=photos.class_names,
            input_size=(height, width),
            photos=tuple(
                PhotoEntry(
                    file=photos.file(index),
                    label=int(photos.goal.labels[index]),
                    target=None if target_classes is None else int(target_classes[index]),
                    source=photos.sources[index],
                )
                for index in range(len(photos))
            ),
            attacked=tuple(AttackedPhotosEntry.of(item) for item in attacked),
        )

    @property
    def files(self) -> list[str]:
        """The paths of all images in the folder."""
        originals = [item.file for item in self.photos]
        return originals + [name for item in self.attacked for name in item.files if name is not None]

    def to_photos(self, decoded: Mapping[str, Pixels]) -> tuple[PhotoSet, tuple[AttackedPhotos, ...]]:
        """Returns the originals and the attacked photos, from the decoded files.

        Raises:
            ValueError: the manifest contradicts itself or the files.
            TledgeError: a class or a threat model cannot be.
        """
        if not self.photos or not self.attacked:
            raise ValueError("it has no attacked photos")
        targets = {item.target for item in self.photos}
        if len(targets) > 1:
            raise ValueError("its photos have several target classes")
        labels = np.array([item.label for item in self.photos])
        (target,) = targets
        photos = PhotoSet(
            pixels=np.stack([decoded[item.file] for item in self.photos]),
            goal=Goal(labels, None if target is None else np.full(len(labels), target)),
            class_names=self.class_names,
            sources=tuple(item.source for item in self.photos),
        )
        photos.goal.check_classes(len(photos.class_names))
        return photos, tuple(item.to_photos(photos, decoded) for item in self.attacked)


@dataclass(frozen=True)
class AttackSet:
    """Photos and their adversarial images.

    Attributes:
        attacked: the adversarial images, by attack, source and eps.
        fingerprint: of all files, if it was read from a folder.
        folder: that folder.
    """

    photos: PhotoSet
    attacked: tuple[AttackedPhotos, ...]
    fingerprint: str = ""
    folder: Path | None = None

    def save(self, folder: Path) -> None:
        """Writes the folder. Raises OSError."""
        self.save_files(folder, self._files())
        AttackSetManifest.of(self.photos, self.attacked).save(folder / MANIFEST)

    def save_files(self, folder: Path, names: Iterable[str]) -> None:
        """Writes some of the photos, by their paths in the folder. Raises OSError."""
        files, wanted = self._files(), list(names)
        for parent in {Path(name).parent for name in wanted}:
            (folder / parent).mkdir(parents=True, exist_ok=True)
        for _ in map_ahead(lambda name: Image.fromarray(files[name]).save(folder / name), wanted, AHEAD):
            pass

    @classmethod
    def load(cls, folder: Path) -> AttackSet:
        """Reads a folder.

        Raises:
            DataError: it holds no attack set, or one that is damaged, incomplete, edited or of another schema version.
        """
        folder = finish_replacement(folder.parent) / folder.name
        path = folder / MANIFEST
        if not path.exists():
            raise DataError(
                f"no attack set in '{folder}': '{MANIFEST}' was not found; `bench(attack='pgd')` writes one into the"
                " folder 'adversarial' of its results"
            )
        manifest = AttackSetManifest.load(path)
        try:
            names = manifest.files
            decoded = dict(zip(names, _decode(folder, names, manifest.input_size), strict=True))
            photos, attacked = manifest.to_photos(decoded)
            hashes = sha256_of_records((name, sha256_of_file(folder / name)) for name in (MANIFEST, *sorted(decoded)))
        except (OSError, ValueError, OverflowError, TledgeError) as error:
            raise DataError(f"cannot read the attack set '{path}': {error}; {REMEDY}") from error
        return cls(photos, attacked, hashes, folder.resolve())

    def _files(self) -> dict[str, Pixels]:
        photos = self.photos
        files: dict[str, Pixels] = {photos.file(index): photos.pixels[index] for index in range(len(photos))}
        for item in self.attacked:
            files.update({item.file(int(index)): item.images[index] for index in np.flatnonzero(item.exists)})
        return files


def _decode(folder: Path, names: Sequence[str], size: tuple[int, int]) -> Iterator[Pixels]:
    def read(name: str) -> Pixels:
        if not (folder / name).resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"'{name}' is outside the folder")
        pixels = np.asarray(decode(folder / name))
        if pixels.shape[:2] != size:
            raise ImageError(f"'{name}' is {pixels.shape[0]} x {pixels.shape[1]} px, not {size[0]} x {size[1]}")
        return pixels

    return map_ahead(read, names, AHEAD)
