"""Labelled images in a folder per class: found, checked one by one, and fingerprinted."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tledge.core import images
from tledge.core.errors import DataError, ImageError
from tledge.core.fingerprint import sha256_of_records
from tledge.core.loading import map_ahead
from tledge.core.progress import Progress
from tledge.core.splits import Sample

LAYOUT = "one folder per class with .jpg, .png, .webp or .bmp files (photos/cat/1.jpg, photos/dog/2.jpg)"


@dataclass(frozen=True)
class Dataset:
    """Images that can all be read, with their classes.

    Attributes:
        root: the folder that the samples' paths are relative to.
        class_names: sorted; a sample's label is an index into them.
        samples: sorted by path.
        skipped: broken files that were left out, relative to ``root``.
    """

    root: Path
    class_names: tuple[str, ...]
    samples: tuple[Sample, ...]
    skipped: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """SHA-256 over every image's path, class and content."""
        return sha256_of_records(
            (sample.path, self.class_names[sample.label], sample.sha256) for sample in self.samples
        )

    @property
    def count_by_class(self) -> Mapping[str, int]:
        """How many images each class has."""
        counts = Counter(sample.label for sample in self.samples)
        return {name: counts[label] for label, name in enumerate(self.class_names)}


def read_dataset(root: Path, progress: Progress, skip_broken: bool = False) -> Dataset:
    """Finds the images below a folder and decodes each once, to know that it can be read.

    Args:
        root: a folder with one folder per class; images may lie deeper within a class.
        progress: is told of the checking.
        skip_broken: leave broken images out instead of failing.

    Raises:
        DataError: no such folder, no images, fewer than two classes, a class without images, or broken images
            without ``skip_broken``.
    """
    found = _find(root)
    class_names = tuple(found)
    candidates = [(path, label) for label, name in enumerate(class_names) for path in found[name]]
    samples: list[Sample] = []
    broken: list[tuple[str, ImageError]] = []

    def check(candidate: tuple[Path, int]) -> Sample | ImageError:
        path, label = candidate
        try:
            return Sample(path.relative_to(root).as_posix(), label, _sha256_of_readable(path))
        except ImageError as error:
            return error

    with progress.step("Check images", len(candidates), "images") as step:
        for (path, _), result in zip(candidates, map_ahead(check, candidates, ahead=64), strict=True):
            if isinstance(result, Sample):
                samples.append(result)
            else:
                broken.append((path.relative_to(root).as_posix(), result))
            step.advance()
    if broken and not skip_broken:
        raise DataError(_describe_broken(broken))
    _refuse_two_classes(samples, class_names)
    dataset = Dataset(root, class_names, tuple(samples), tuple(name for name, _ in broken))
    for name, count in dataset.count_by_class.items():
        if count == 0:
            raise DataError(
                f"class '{name}' in '{root}' has no readable image left; repair its files or remove its folder"
            )
    return dataset


def _refuse_two_classes(samples: list[Sample], class_names: tuple[str, ...]) -> None:
    seen: dict[str, Sample] = {}
    for sample in samples:
        first = seen.setdefault(sample.sha256, sample)
        if first.label != sample.label:
            raise DataError(
                f"the same image is in two classes: '{first.path}' ({class_names[first.label]}) and '{sample.path}'"
                f" ({class_names[sample.label]}); remove the wrong one"
            )


def _find(root: Path) -> dict[str, list[Path]]:
    """The image files of each class, both sorted."""
    if not root.exists():
        raise DataError(f"no such folder: '{root}'; --data takes {LAYOUT}")
    if not root.is_dir():
        raise DataError(f"'{root}' is a file, not a folder; --data takes {LAYOUT}")
    try:
        folders = sorted(entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith("."))
        found = {folder.name: images.images_below(folder) for folder in folders}
        loose = sum(images.is_image_name(entry) for entry in root.iterdir())
    except OSError as error:
        raise DataError(
            f"cannot read folder '{error.filename or root}': {error.strerror}; check its permissions"
        ) from error
    for path in (path for paths in found.values() for path in paths):
        if not _is_text(path):
            raise DataError(f"the name of {os.fsencode(path)!r} is not UTF-8; rename the file or folder")
    if not any(found.values()):
        raise DataError(
            f"no images in the class folders of '{root}': found {_contents(root, loose)}; expected {LAYOUT}"
        )
    empty = [name for name, paths in found.items() if not paths]
    if empty:
        raise DataError(
            f"no image in {_abridged([repr(name) for name in empty])} of '{root}'; every folder there is taken for a"
            " class: add images or remove the folder"
        )
    if len(found) < 2:
        raise DataError(f"only one class in '{root}': '{folders[0].name}'; a classifier needs two or more: {LAYOUT}")
    if loose:
        raise DataError(
            f"{loose} images lie in '{root}' beside the class folders {_abridged(list(found))}; move them into a class"
        )
    return found


def _sha256_of_readable(path: Path) -> str:
    content = images.read_content(path)
    images.decode_bytes(content, name=str(path))
    return hashlib.sha256(content).hexdigest()


def _describe_broken(broken: list[tuple[str, ImageError]]) -> str:
    first = str(broken[0][1])
    if len(broken) == 1:
        return f"{first}; repair or remove it, or leave it out with --skip-broken"
    others = _abridged([name for name, _ in broken[1:]])
    advice = "repair or remove them, or leave them out with --skip-broken"
    return f"{len(broken)} broken images: {first}; and {others}; {advice}"


def _is_text(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _contents(root: Path, loose_images: int) -> str:
    if loose_images:
        return f"{loose_images} images outside of any class folder"
    suffixes = Counter(
        Path(name).suffix.lower() or "nameless" for _, _, names in os.walk(root) for name in names
    ).most_common(3)
    return ", ".join(f"{count} {suffix} files" for suffix, count in suffixes) or "nothing"


def _abridged(names: list[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
