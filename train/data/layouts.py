"""The layouts of folders with labelled photos.

* one folder per class: ``photos/cat/1.jpg``;
* folders ``train``, ``val`` and ``test`` (or some of them), each with one folder per class;
* the Oxford-IIIT Pet layout: ``images/*.jpg`` and ``annotations/{trainval,test}.txt`` with lines
  ``NAME CLASS-ID SPECIES BREED-ID``; the class is the name without its number.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tledge.core import images
from tledge.core.errors import DataError
from tledge.core.number_text import counted

EXPECTED = (
    "one folder per class with .jpg, .png, .webp or .bmp files (photos/cat/1.jpg, photos/dog/2.jpg), such folders"
    " below train/, val/ and test/, or images/ and annotations/ as in the Oxford-IIIT Pet data set"
)

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLIT_FOLDERS = {"train": TRAIN, "val": VALIDATION, "valid": VALIDATION, "validation": VALIDATION, "test": TEST}
"""The split of each folder name."""

UNASSIGNED = ""
"""The split of a photo that the layout assigns to none."""


@dataclass(frozen=True)
class FoundPhotos:
    """The photos in a folder, not read yet.

    Attributes:
        class_names: sorted.
        files: (path, index of its class, split that the layout assigns it to or ``UNASSIGNED``), sorted by class
            and path.
    """

    class_names: tuple[str, ...]
    files: tuple[tuple[Path, int, str], ...]


def find_photos(root: Path) -> FoundPhotos:
    """Detects the layout of a folder, and lists its photos.

    Raises:
        DataError: there is no such folder, it has no photos or fewer than two classes, or its layout is inconsistent.
    """
    if not root.exists():
        raise DataError(f"no such folder: '{root}'; `data` takes {EXPECTED}")
    if not root.is_dir():
        raise DataError(f"'{root}' is a file, not a folder; `data` takes {EXPECTED}")
    try:
        if (root / "annotations" / "trainval.txt").is_file() and (root / "images").is_dir():
            found = _oxford_pets(root)
        elif splits := _split_folders(root):
            found = _in_splits(root, splits)
        else:
            found = _in_classes(root)
    except OSError as error:
        raise DataError(
            f"cannot read folder '{error.filename or root}': {error.strerror}; check its permissions"
        ) from error
    for path, _, _ in found.files:
        try:
            str(path).encode()
        except UnicodeEncodeError:
            raise DataError(f"the name of {os.fsencode(path)!r} is not UTF-8; rename the file or folder") from None
    return found


def _folders(parent: Path) -> list[Path]:
    return sorted(entry for entry in parent.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _in_classes(root: Path) -> FoundPhotos:
    found = {folder.name: images.images_below(folder) for folder in _folders(root)}
    loose = sum(images.is_image_name(entry) for entry in root.iterdir())
    if not any(found.values()):
        raise DataError(
            f"no images in the class folders of '{root}': found {_contents(root, loose)}; expected {EXPECTED}"
        )
    empty = [name for name, paths in found.items() if not paths]
    if empty:
        raise DataError(
            f"class folders without images in '{root}': {abridged(map(repr, empty))}; add images or remove them"
        )
    if len(found) < 2:
        (name,) = found
        raise DataError(f"only one class in '{root}': '{name}'; a classifier needs two or more: {EXPECTED}")
    if loose:
        raise DataError(
            f"{loose} images in '{root}' are outside the class folders {abridged(found)}; move them into one"
        )
    return FoundPhotos(
        tuple(found),
        tuple((path, label, UNASSIGNED) for label, paths in enumerate(found.values()) for path in paths),
    )


def _split_folders(root: Path) -> dict[str, Path]:
    """Returns the folder of each split; empty if a folder is none, since a class may be called "train" as well."""
    folders = _folders(root)
    if len(folders) < 2 or "train" not in {folder.name for folder in folders}:
        return {}
    if not all(folder.name in SPLIT_FOLDERS and _folders(folder) for folder in folders):
        return {}
    splits: dict[str, Path] = {}
    for folder in folders:
        split = SPLIT_FOLDERS[folder.name]
        if split in splits:
            raise DataError(f"'{splits[split].name}' and '{folder.name}' in '{root}' are the same split; merge them")
        splits[split] = folder
    return splits


def _in_splits(root: Path, folders: dict[str, Path]) -> FoundPhotos:
    found = {split: _in_classes(folder) for split, folder in folders.items()}
    class_names = found[TRAIN].class_names
    for split, part in found.items():
        odd = sorted(set(part.class_names) ^ set(class_names))
        if odd:
            raise DataError(
                f"'{folders[split].name}' and '{folders[TRAIN].name}' in '{root}' do not have the same classes:"
                f" {abridged(odd)} in only one of them; add photos to the other or remove the folder"
            )
    files = [(path, label, split) for split, part in found.items() for path, label, _ in part.files]
    return FoundPhotos(class_names, tuple(sorted(files, key=lambda file: (file[1], file[0]))))


def _oxford_pets(root: Path) -> FoundPhotos:
    lists = {UNASSIGNED: root / "annotations" / "trainval.txt", TEST: root / "annotations" / "test.txt"}
    named: list[tuple[Path, str, str]] = []
    for split, path in lists.items():
        if not path.is_file():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            if not line.strip() or line.startswith("#"):
                continue
            name = line.split()[0]
            class_name, _, index = name.rpartition("_")
            if not class_name or not index.isdigit():
                raise DataError(
                    f"'{path}', line {number}: expected a photo such as 'Abyssinian_100 1 1 1'; received {name[:40]!r}"
                )
            named.append((root / "images" / f"{name}.jpg", class_name, split))
    absent = [path.name for path, _, _ in named if not path.is_file()]
    if absent:
        raise DataError(
            f"{counted(len(absent), 'photos')} listed in '{root / 'annotations'}'"
            f" {'is' if len(absent) == 1 else 'are'} missing from '{root / 'images'}':"
            f" {abridged(absent)}; restore them or remove their lines"
        )
    class_names = tuple(sorted({class_name for _, class_name, _ in named}, key=str.lower))
    if len(class_names) < 2:
        raise DataError(
            f"the lists in '{root / 'annotations'}' contain {len(class_names)} classes; a classifier needs two or more"
        )
    labels = {name: label for label, name in enumerate(class_names)}
    files = [(path, labels[class_name], split) for path, class_name, split in named]
    return FoundPhotos(class_names, tuple(sorted(files, key=lambda file: (file[1], file[0]))))


def _contents(root: Path, loose_images: int) -> str:
    if loose_images:
        return f"{loose_images} images outside of any class folder"
    suffixes = Counter(
        Path(name).suffix.lower() or "nameless" for _, _, names in os.walk(root) for name in names
    ).most_common(3)
    return ", ".join(f"{count} {suffix} files" for suffix, count in suffixes) or "nothing"


def abridged(names: Iterable[str], most: int = 5) -> str:
    """Returns the first names of a list, for an error message."""
    listed = list(names)
    return ", ".join(listed[:most]) + (", …" if len(listed) > most else "")
