"""A data set of labelled photos: each is checked, and near-duplicates are grouped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from unicodedata import normalize

import numpy as np
import numpy.typing as npt

from tledge.core.colour_conversion import describe_mixed_ranges
from tledge.core.errors import DataError, ImageError, OptionError
from tledge.core.fingerprint import sha256_of_records
from tledge.core.image_batches import map_ahead
from tledge.core.number_text import abridged
from tledge.core.perceptual_hash import Thumbnails
from tledge.core.photo_check import check_photo, describe_broken
from tledge.core.photo_layouts import find_photos
from tledge.core.progress import Progress
from tledge.core.seen_photos import SeenPhotos, remember_photos
from tledge.core.splits import Sample, Splits
from tledge.train.data.near_duplicates import group_near_duplicates


@dataclass(frozen=True)
class Dataset:
    """Readable photos with their classes.

    Attributes:
        root: the folder that the samples' paths are relative to.
        class_names: sorted; a sample's label is an index into them.
        samples: sorted by class and path.
        assigned: for each sample, the split that the layout assigns it to; ``UNASSIGNED`` if it is to be drawn.
        groups: (n,), for each sample, the index of the first one that is the same or nearly the same photo.
        skipped: broken files that were skipped, relative to ``root``.
        contradicted: files left out because an identical file is in another class.
        left_out: the number of files that are no photos, by kind; see ``core.photo_listing.Listing``.
        archive: the ZIP that was unpacked to ``root``, and its SHA-256; both empty without one.
        thumbnails: uint8 (n, 16, 16), of the samples.
    """

    root: Path
    class_names: tuple[str, ...]
    samples: tuple[Sample, ...]
    assigned: tuple[str, ...]
    groups: npt.NDArray[np.intp]
    skipped: tuple[str, ...] = ()
    contradicted: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    archive: tuple[str, str] = ("", "")
    thumbnails: Thumbnails = field(default_factory=lambda: np.empty((0, 16, 16), np.uint8))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of every photo's path, class and content."""
        return sha256_of_records(
            (sample.path, self.class_names[sample.label], sample.sha256) for sample in self.samples
        )

    @property
    def count_by_class(self) -> Mapping[str, int]:
        """The number of photos of each class."""
        counts = Counter(sample.label for sample in self.samples)
        return {name: counts[label] for label, name in enumerate(self.class_names)}

    @property
    def near_duplicates(self) -> int:
        """The number of photos that are the same as an earlier one, or nearly the same."""
        return int(np.count_nonzero(self.groups != np.arange(len(self.groups))))


def read_dataset(
    data: Path, progress: Progress, *, skip_broken: bool = False, look_for_near_duplicates: bool = True
) -> Dataset:
    """Finds the photos of a data set, and decodes each to check that it is readable.

    Args:
        data: a folder, ZIP or table in one of the layouts of ``core/photo_layouts.py``.
        skip_broken: skip broken photos instead of raising an error.
        look_for_near_duplicates: group near-duplicates; without it, only identical files are grouped.

    Raises:
        DataError: there is no such folder, it has no photos or fewer than two classes, a class has no photos, or a
            photo is broken and ``skip_broken`` is not set.
    """
    found = find_photos(data, progress)
    root = found.root
    checked: list[tuple[Sample, Thumbnails, str]] = []
    broken: list[tuple[str, ImageError]] = []
    describe_mixed_ranges()  # forgets those of photos that were read before

    with progress.step("Check photos", len(found.files), "photos") as step:
        paths = (path for path, _, _ in found.files)
        for (path, label, split), result in zip(found.files, map_ahead(check_photo, paths, ahead=64), strict=True):
            name = path.relative_to(root).as_posix()
            if isinstance(result, ImageError):
                broken.append((name, result))
            else:
                checked.append((Sample(name, label, result.sha256), result.thumbnail, split))
            step.advance()
    if mixed := describe_mixed_ranges():
        progress.warn(mixed)
    if broken and not skip_broken:
        raise DataError(describe_broken(broken, ", or pass `skip_broken=True`"))
    contradicted = find_contradicted([sample for sample, _, _ in checked])
    kept = [item for item in checked if item[0].path not in contradicted]
    samples = tuple(sample for sample, _, _ in kept)
    thumbnails = [small for _, small, _ in kept]
    dataset = Dataset(
        root=root,
        class_names=found.class_names,
        samples=samples,
        assigned=tuple(split for _, _, split in kept),
        groups=group_photos(samples, thumbnails if look_for_near_duplicates else []),
        skipped=tuple(name for name, _ in broken),
        contradicted=tuple(sorted(contradicted)),
        left_out=dict(found.left_out),  # a record cannot hold a Counter
        archive=(found.archive, found.archive_sha256),
        thumbnails=np.stack(thumbnails) if thumbnails else np.empty((0, 16, 16), np.uint8),
    )
    for name, count in dataset.count_by_class.items():
        if count == 0:
            raise DataError(f"class '{name}' in '{root}' has no readable images; repair its files or remove its folder")
    return dataset


def with_class_order(dataset: Dataset, class_names: Sequence[str]) -> Dataset:
    """Returns a data set with its classes in another order. Raises OptionError unless the names are the same."""
    class_names, folders = ([normalize("NFC", name) for name in names] for names in (class_names, dataset.class_names))
    missing, unknown = set(folders) - set(class_names), set(class_names) - set(folders)
    if missing or unknown or len(set(class_names)) != len(class_names):
        wrong = {"no label for": missing, "no folder for": unknown}
        reasons = [f"{reason} {abridged(sorted(names))}" for reason, names in wrong.items() if names]
        raise OptionError(
            f"`labels` must name each folder of '{dataset.root}' once: {'; '.join(reasons) or 'a label is repeated'}"
        )
    samples = tuple(sample._replace(label=class_names.index(folders[sample.label])) for sample in dataset.samples)
    return replace(dataset, class_names=tuple(class_names), samples=samples)


def remember_training(dataset: Dataset, splits: Splits) -> SeenPhotos:
    """Returns the fingerprints of the training and validation photos of a data set's splits."""
    place = {sample.path: index for index, sample in enumerate(dataset.samples)}
    (digests, thumbnails), held_out = (
        ([sample.sha256 for sample in samples], dataset.thumbnails[[place[sample.path] for sample in samples]])
        for samples in (splits.train + splits.validation, splits.test)
    )
    return remember_photos(digests, thumbnails, held_out)


def find_contradicted(samples: Sequence[Sample]) -> set[str]:
    """Returns the paths of files whose content is in more than one class."""
    classes: dict[str, set[int]] = {}
    for sample in samples:
        classes.setdefault(sample.sha256, set()).add(sample.label)
    return {sample.path for sample in samples if len(classes[sample.sha256]) > 1}


def group_photos(samples: Sequence[Sample], thumbnails: Sequence[Thumbnails]) -> npt.NDArray[np.intp]:
    """Groups identical files and near-duplicates.

    Args:
        thumbnails: the thumbnail of each photo; empty to group identical files only.

    Returns:
        (n,), for each photo, the index of the first photo of its group.
    """
    first: dict[str, int] = {}
    same = np.array([first.setdefault(sample.sha256, index) for index, sample in enumerate(samples)], np.intp)
    if not thumbnails:
        return same
    groups = group_near_duplicates(np.stack(thumbnails))
    for index in np.flatnonzero(same != np.arange(len(same))):  # photos of one colour correlate with nothing
        one, other = groups[same[index]], groups[index]
        groups[groups == max(one, other)] = min(one, other)
    return groups
