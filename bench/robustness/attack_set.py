"""Attacked photos with their originals: in memory, and as a folder that any device can show to an artifact.

adversarial/
  attack-set.json                   what each file is
  originals/0007-cat.png            a photo at the model's input size
  pgd-model.keras-linf-2/0007.png   its adversarial image

Files are PNG, which keeps the exact pixel values. Where an attack on an artifact failed there is no file: the original
is shown instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tledge.bench.robustness.attack_set_manifest import REMEDY, AttackSetManifest
from tledge.bench.robustness.attacked_photos import AttackedPhotos, PhotoSet
from tledge.core.errors import DataError, ImageError, TledgeError
from tledge.core.fingerprint import sha256_of_file, sha256_of_records
from tledge.core.image_batches import map_ahead
from tledge.core.images import Pixels, decode

MANIFEST = "attack-set.json"
AHEAD = 16
"""Files that are read or written at the same time."""


@dataclass(frozen=True)
class AttackSet:
    """Photos and their adversarial images.

    Attributes:
        photos: the originals.
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
