"""Labelled photos: found, checked one by one, fingerprinted, and grouped with those that are nearly the same."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tledge.core import images
from tledge.core.errors import DataError, ImageError
from tledge.core.fingerprint import sha256_of_records
from tledge.core.image_batches import map_ahead
from tledge.core.progress import Progress
from tledge.core.splits import Sample
from tledge.train.data.layouts import abridged, find_photos
from tledge.train.data.near_duplicates import Thumbnails, group_near_duplicates, thumbnail

CHECKED_AT = (256, 256)
"""What a thumbnail needs at most: JPEGs of 1024 pixels and more are checked at a reduced size, as they are used."""


@dataclass(frozen=True)
class Dataset:
    """Photos that can all be read, with their classes.

    Attributes:
        root: the folder that the samples' paths are relative to.
        class_names: sorted; a sample's label is an index into them.
        samples: sorted by class and path.
        given: the split that the layout puts each sample in; "" where it is to be drawn.
        groups: (n,) of each sample, the index of the first one that is the same photo or nearly so.
        skipped: broken files that were left out, relative to ``root``.
        contradicted: files left out because the same file, byte for byte, stands in another class.
    """

    root: Path
    class_names: tuple[str, ...]
    samples: tuple[Sample, ...]
    given: tuple[str, ...]
    groups: npt.NDArray[np.intp]
    skipped: tuple[str, ...] = ()
    contradicted: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """SHA-256 over every photo's path, class and content."""
        return sha256_of_records(
            (sample.path, self.class_names[sample.label], sample.sha256) for sample in self.samples
        )

    @property
    def count_by_class(self) -> Mapping[str, int]:
        """How many photos each class has."""
        counts = Counter(sample.label for sample in self.samples)
        return {name: counts[label] for label, name in enumerate(self.class_names)}

    @property
    def near_duplicates(self) -> int:
        """How many photos are the same as an earlier one, or nearly so."""
        return int(np.count_nonzero(self.groups != np.arange(len(self.groups))))


@dataclass(frozen=True)
class _Checked:
    sample: Sample
    thumbnail: Thumbnails


def read_dataset(
    root: Path, progress: Progress, skip_broken: bool = False, look_for_near_duplicates: bool = True
) -> Dataset:
    """Finds the photos below a folder and decodes each once, to know that it can be read.

    Args:
        root: a folder in one of the layouts of ``train/data/layouts.py``.
        progress: is told of the checking.
        skip_broken: leave broken photos out instead of failing.
        look_for_near_duplicates: else only files that are the same byte for byte count as one photo.

    Raises:
        DataError: no such folder, no photos, fewer than two classes, a class without photos, or broken photos
            without ``skip_broken``.
    """
    found = find_photos(root)
    checked: list[_Checked] = []
    given: list[str] = []
    broken: list[tuple[str, ImageError]] = []

    def check(candidate: tuple[Path, int, str]) -> _Checked | ImageError:
        path, label, _ = candidate
        try:
            content = images.read_content(path)
            image = images.decode_bytes(content, name=str(path), at_least=CHECKED_AT)
        except ImageError as error:
            return error
        name = path.relative_to(root).as_posix()
        return _Checked(Sample(name, label, hashlib.sha256(content).hexdigest()), thumbnail(image))

    with progress.step("Check photos", len(found.files), "photos") as step:
        for candidate, result in zip(found.files, map_ahead(check, found.files, ahead=64), strict=True):
            if isinstance(result, _Checked):
                checked.append(result)
                given.append(candidate[2])
            else:
                broken.append((candidate[0].relative_to(root).as_posix(), result))
            step.advance()
    if broken and not skip_broken:
        raise DataError(_describe_broken(broken))
    contradicted = _in_two_classes([item.sample for item in checked])
    kept = [place for place, item in enumerate(checked) if item.sample.path not in contradicted]
    dataset = Dataset(
        root=root,
        class_names=found.class_names,
        samples=tuple(checked[place].sample for place in kept),
        given=tuple(given[place] for place in kept),
        groups=_group([checked[place] for place in kept], look_for_near_duplicates),
        skipped=tuple(name for name, _ in broken),
        contradicted=tuple(sorted(contradicted)),
    )
    for name, count in dataset.count_by_class.items():
        if count == 0:
            raise DataError(
                f"class '{name}' in '{root}' has no readable image left; repair its files or remove its folder"
            )
    return dataset


def _in_two_classes(samples: list[Sample]) -> set[str]:
    """The paths of files that say of one and the same photo that it is of two classes."""
    classes: dict[str, set[int]] = {}
    for sample in samples:
        classes.setdefault(sample.sha256, set()).add(sample.label)
    return {sample.path for sample in samples if len(classes[sample.sha256]) > 1}


def _group(checked: list[_Checked], look_for_near_duplicates: bool) -> npt.NDArray[np.intp]:
    first: dict[str, int] = {}
    same = np.array([first.setdefault(item.sample.sha256, place) for place, item in enumerate(checked)], np.intp)
    if not look_for_near_duplicates or not checked:
        return same
    groups = group_near_duplicates(np.stack([item.thumbnail for item in checked]))
    for place in np.flatnonzero(same != np.arange(len(same))):  # of one colour, they have nothing to correlate
        one, other = groups[same[place]], groups[place]
        groups[groups == max(one, other)] = min(one, other)
    return groups


def _describe_broken(broken: list[tuple[str, ImageError]]) -> str:
    first = str(broken[0][1])
    if len(broken) == 1:
        return f"{first}; repair or remove it, or leave it out with --skip-broken"
    others = abridged(name for name, _ in broken[1:])
    advice = "repair or remove them, or leave them out with --skip-broken"
    return f"{len(broken)} broken images: {first}; and {others}; {advice}"
