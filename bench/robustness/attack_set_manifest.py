"""The manifest of an attack set, ``attack-set.json``: what each file in the folder is."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tledge.attacks.goal import Goal
from tledge.attacks.threat_model import ThreatModel
from tledge.bench.robustness.attacked_photos import AttackedPhotos, PhotoSet
from tledge.core.errors import DataError
from tledge.core.images import Pixels
from tledge.core.records import Record

REMEDY = "copy the whole folder again"


@dataclass(frozen=True, kw_only=True)
class PhotoEntry:
    """An original photo.

    Attributes:
        file: its path in the folder.
        label: the index of its class.
        target: the index of its target class; None in an untargeted attack.
        source: where the photo came from.
    """

    file: str
    label: int
    target: int | None
    source: str


@dataclass(frozen=True, kw_only=True)
class AttackedPhotosEntry:
    """The images of one attack at one eps; see ``AttackedPhotos`` for the attributes.

    Attributes:
        files: the path of each photo's image; None where there is none.
    """

    attack: str
    white_box: bool
    source: str
    source_sha256: str
    norm: str
    eps: float
    steps: int
    seed: int
    seconds: float
    queries: tuple[int, ...]
    files: tuple[str | None, ...]
    made_at: tuple[float | None, ...]

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
        images = np.stack(
            [
                original if name is None else decoded[name]
                for name, original in zip(self.files, photos.pixels, strict=True)
            ]
        )
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
class AttackSetManifest(Record, version=1, error=DataError, remedy=REMEDY):
    """The photos of an attack set.

    Attributes:
        class_names: the model's.
        input_size: (height, width) of the photos.
        photos: the originals.
        attacked: the adversarial images, by attack, source and eps.
    """

    class_names: tuple[str, ...]
    input_size: tuple[int, int]
    photos: tuple[PhotoEntry, ...]
    attacked: tuple[AttackedPhotosEntry, ...]

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
