"""Attacked photos with their originals: in memory, and as a folder that any device can show to an artifact.

adversarial/
  attack-set.json                   what each file is
  originals/0007-cat.png            the photo at the model's input size
  pgd-model.keras-linf-2/0007.png   what became of it

Files are PNG, so that they hold the very pixel values. Where an attack on an artifact failed there is none: the
original stands for it.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
from PIL import Image

from tledge.attacks.goal import Goal, Indices
from tledge.attacks.threat_model import ThreatModel
from tledge.core import atomic
from tledge.core.errors import DataError, ImageError, TledgeError
from tledge.core.fingerprint import sha256_of_file, sha256_of_records
from tledge.core.image_batches import map_ahead
from tledge.core.images import Pixels, decode

SCHEMA_VERSION = 1
MANIFEST = "attack-set.json"
ORIGINALS = "originals"
AHEAD = 16
LONGEST = 80
"""Characters of a name that stands in a path."""


@dataclass(frozen=True, eq=False)
class PhotoSet:
    """What is attacked.

    Attributes:
        pixels: uint8 (N, height, width, 3), of a model's input size.
        goal: their classes, and those that they are to be taken for.
        class_names: of the model.
        sources: (N,), where each photo came from, for people.
    """

    pixels: Pixels
    goal: Goal
    class_names: tuple[str, ...]
    sources: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pixels)

    def file(self, place: int) -> str:
        """Where the original of a photo stands in the folder."""
        name = _short(self.class_names[self.goal.labels[place]])
        return f"{ORIGINALS}/{place:04d}-{name}.png"


@dataclass(frozen=True, eq=False, kw_only=True)
class AttackedPhotos:
    """What one attack with one eps made of N photos.

    Attributes:
        attack: its name.
        white_box: it had gradients.
        source: name of the model or artifact that it was made on.
        source_sha256: of that file.
        threat: what it might change.
        steps: of each restart, or queries.
        seed: of what was random.
        images: uint8 (N, height, width, 3).
        made_at: (N,), the eps at which each image was found, which may be a smaller one; infinite where there is none.
        queries: (N,), how often the attacked model was shown an image of each photo.
        seconds: that the attack took, with smaller eps included where it went on from these.
    """

    attack: str
    white_box: bool
    source: str
    source_sha256: str
    threat: ThreatModel
    steps: int
    seed: int
    images: Pixels
    made_at: npt.NDArray[np.float64]
    queries: Indices
    seconds: float

    @property
    def there(self) -> npt.NDArray[np.bool_]:
        """(N,), whether there is an image of each."""
        found: npt.NDArray[np.bool_] = self.made_at <= self.threat.eps
        return found

    def shown(self, originals: Pixels) -> Pixels:
        """What a model is shown: uint8 (N, height, width, 3), the originals where there is no image."""
        return np.where(self.there[:, None, None, None], self.images, originals)

    def file(self, place: int) -> str:
        """Where the image of a photo stands in the folder."""
        folder = f"{_short(self.attack)}-{_short(self.source)}-{self.threat.norm}-{self.made_at[place]:g}"
        return f"{folder}/{place:04d}.png"


@dataclass(frozen=True)
class AttackSet:
    """Photos and what attacks made of them.

    Attributes:
        photos: the originals.
        attacked: by attack, source and eps.
        fingerprint: of all files, where it was read from a folder.
        folder: that one.
    """

    photos: PhotoSet
    attacked: tuple[AttackedPhotos, ...]
    fingerprint: str = ""
    folder: Path | None = None

    def save(self, folder: Path) -> None:
        """Writes the folder. Raises OSError."""
        files = self._files()
        self.save_files(folder, files)
        atomic.write_json(folder / MANIFEST, self._to_dict())

    def save_files(self, folder: Path, names: Iterable[str]) -> None:
        """Writes some of the photos, by the names that they have in the folder. Raises OSError."""
        files, wanted = self._files(), list(names)
        for parent in {Path(name).parent for name in wanted}:
            (folder / parent).mkdir(parents=True, exist_ok=True)
        for _ in map_ahead(lambda name: Image.fromarray(files[name]).save(folder / name), wanted, AHEAD):
            pass

    @classmethod
    def load(cls, folder: Path) -> AttackSet:
        """Reads a folder.

        Raises:
            DataError: it holds no set, or one that is garbled, incomplete, edited or of a later schema version.
        """
        path = folder / MANIFEST
        try:
            return _read(folder, json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError as error:
            raise DataError(
                f"no attack set in '{folder}': '{MANIFEST}' is not there; 'tledge bench --attack' writes one into the"
                " folder 'adversarial' of its results"
            ) from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, TledgeError) as error:
            raise DataError(f"cannot read the attack set '{path}': {error}; copy the whole folder again") from error

    def _files(self) -> dict[str, Pixels]:
        photos = self.photos
        files: dict[str, Pixels] = {photos.file(place): photos.pixels[place] for place in range(len(photos))}
        for item in self.attacked:
            files.update({item.file(int(place)): item.images[place] for place in np.flatnonzero(item.there)})
        return files

    def _to_dict(self) -> dict[str, Any]:
        photos, targets = self.photos, self.photos.goal.targets
        return {
            "schema_version": SCHEMA_VERSION,
            "class_names": photos.class_names,
            "input_size": photos.pixels.shape[1:3],
            "photos": [
                {
                    "file": photos.file(place),
                    "label": int(photos.goal.labels[place]),
                    "target": None if targets is None else int(targets[place]),
                    "source": photos.sources[place],
                }
                for place in range(len(photos))
            ],
            "attacked": [_record(item) for item in self.attacked],
        }


def _short(name: str) -> str:
    """A name as part of a file's name, unlike that of any other."""
    quoted = quote(name, safe=" ")
    if len(quoted) <= LONGEST:
        return quoted
    return f"{quoted[: LONGEST - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _record(item: AttackedPhotos) -> dict[str, Any]:
    return {
        "attack": item.attack,
        "white_box": item.white_box,
        "source": item.source,
        "source_sha256": item.source_sha256,
        "norm": item.threat.norm,
        "eps": item.threat.eps,
        "steps": item.steps,
        "seed": item.seed,
        "seconds": item.seconds,
        "queries": item.queries.tolist(),
        "files": [item.file(place) if there else None for place, there in enumerate(item.there)],
        "made_at": [float(eps) if there else None for eps, there in zip(item.made_at, item.there, strict=True)],
    }


def _read(folder: Path, fields: dict[str, Any]) -> AttackSet:
    if fields["schema_version"] != SCHEMA_VERSION:
        raise ValueError(f"schema version {fields['schema_version']}; this tledge reads {SCHEMA_VERSION}")
    size, records = tuple(fields["input_size"]), fields["photos"]
    if not records or not fields["attacked"]:
        raise ValueError("it holds no attacked photos")
    targets = [item["target"] for item in records]
    if len(set(targets)) > 1:
        raise ValueError("its photos are aimed at several classes, or some at none")
    names = [item["file"] for item in records]
    names += [name for item in fields["attacked"] for name in item["files"] if name is not None]
    decoded = dict(zip(names, _decode(folder, names, size), strict=True))
    photos = PhotoSet(
        pixels=np.stack([decoded[item["file"]] for item in records]),
        goal=Goal(
            np.array([item["label"] for item in records]), None if None in targets else np.array(targets, np.intp)
        ),
        class_names=tuple(fields["class_names"]),
        sources=tuple(item["source"] for item in records),
    )
    photos.goal.check_classes(len(photos.class_names))
    attacked = tuple(_read_attacked(item, photos, decoded) for item in fields["attacked"])
    hashes = sha256_of_records((name, sha256_of_file(folder / name)) for name in (MANIFEST, *sorted(decoded)))
    return AttackSet(photos, attacked, hashes, folder.resolve())


def _decode(folder: Path, names: Sequence[str], size: tuple[int, int]) -> Iterator[Pixels]:
    def read(name: str) -> Pixels:
        if not (folder / name).resolve().is_relative_to(folder.resolve()):
            raise ValueError(f"'{name}' is not within the folder")
        pixels = np.asarray(decode(folder / name))
        if pixels.shape[:2] != size:
            raise ImageError(f"'{name}' is of {pixels.shape[0]} x {pixels.shape[1]} px, not {size[0]} x {size[1]}")
        return pixels

    return map_ahead(read, names, AHEAD)


def _read_attacked(item: dict[str, Any], photos: PhotoSet, decoded: dict[str, Pixels]) -> AttackedPhotos:
    files, threat = item["files"], ThreatModel(item["norm"], item["eps"])
    if not re.fullmatch("[a-z0-9_]+", item["attack"]):
        raise ValueError(f"{item['attack']!r} is no name of an attack")
    if not len(files) == len(item["made_at"]) == len(item["queries"]) == len(photos):
        raise ValueError(f"{item['attack']} {threat} is of {len(files)} photos, and there are {len(photos)}")
    made_at = [math.inf if eps is None else float(eps) for eps in item["made_at"]]
    for name, eps in zip(files, made_at, strict=True):
        if (name is None) != math.isinf(eps) or not (eps > 0 and (math.isinf(eps) or eps <= threat.eps)):
            raise ValueError(f"'{name}' was made with an eps of {eps:g}, and stands among those of {threat}")
    images = np.stack(
        [original if name is None else decoded[name] for name, original in zip(files, photos.pixels, strict=True)]
    )
    beyond = np.flatnonzero(threat.distance(images, photos.pixels) > threat.eps)
    if len(beyond):
        raise ValueError(f"'{files[beyond[0]]}' is farther from its original than {threat}: it was edited")
    return AttackedPhotos(
        attack=item["attack"],
        white_box=bool(item["white_box"]),
        source=str(item["source"]),
        source_sha256=str(item["source_sha256"]),
        threat=threat,
        steps=int(item["steps"]),
        seed=int(item["seed"]),
        images=images,
        made_at=np.array(made_at),
        queries=np.array(item["queries"], np.intp),
        seconds=float(item["seconds"]),
    )
