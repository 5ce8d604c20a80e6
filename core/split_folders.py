"""Whether the folders in a folder are splits or classes; where that is unclear, users are asked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from unicodedata import normalize

from tledge.core.errors import DataError
from tledge.core.number_text import abridged
from tledge.core.photo_listing import Listing, list_folder
from tledge.core.photo_table import tables_in
from tledge.core.split_names import SPLITS, TRAIN, UNCLEAR, split_of

_SHARED = "all have the same folders"


def composed_name(folder: Path) -> str:
    """Returns the name of a folder in Unicode NFC."""
    return normalize("NFC", folder.name)


def split_folders(root: Path, level: Listing, known: Collection[str]) -> dict[str, Path]:
    """Returns the folder of each split; empty if the folders are classes.

    Args:
        level: what is in ``root``.
        known: the classes that are expected; folders that are all called so are classes.

    Raises:
        DataError: the folders may be splits or classes, or two are the same split.
    """
    named = {folder: split_of(composed_name(folder)) for folder in level.folders}
    if all(composed_name(folder) in known for folder in named):
        return {}
    below = {folder: list_folder(folder) for folder in named}
    if not any(named.values()):
        if _are_parts(below):
            raise DataError(_describe_unclear(root, below, _SHARED))
        return {}
    if _is_train_a_class(list(named.values()), below):
        return {}
    if not _are_splits(named, below, alone=bool(known)):
        raise DataError(_describe_unclear(root, below, "have names of splits"))
    splits: dict[str, Path] = {}
    for folder, split in named.items():
        if split in splits:
            raise DataError(f"'{splits[split].name}' and '{folder.name}' in '{root}' are the same split; merge them")
        splits[str(split)] = folder
    return splits


def are_splits_within(root: Path, level: Listing, *, alone: bool) -> bool:
    """Whether each folder, a class, has one folder per split: ``cat/train/1.jpg``; a test split may be ``alone``.

    Raises DataError if only some have, beside other folders or photos.
    """
    below = {folder: list_folder(folder) for folder in level.folders}
    splits = {folder: [split_of(composed_name(path)) for path in listing.folders] for folder, listing in below.items()}
    if not any(split for inner in splits.values() for split in inner):
        return False
    for folder, inner in splits.items():
        whole = not {None, UNCLEAR} & set(inner) and len(set(inner)) == len(inner) and not below[folder].photos
        empty = not inner and not below[folder].photos  # reported as such
        if not empty and not (inner and whole and (alone or TRAIN in inner)):
            raise DataError(
                f"it is unclear which photos in '{root}' belong to which split: found"
                f" {abridged((path.name for path in below[folder].folders), 8) or 'no folders'} and"
                f" {len(below[folder].photos):,} photos in '{folder.name}', and splits in other folders or beside; put"
                " train/, val/ and test/ into each class folder and nothing else, or pass a CSV table of paths, labels"
                " and splits as `data`"
            )
    return True


def _are_splits(named: Mapping[Path, str | None], below: Mapping[Path, Listing], *, alone: bool) -> bool:
    """Whether all folders are called like splits and hold class folders or a table; a test split may be ``alone``."""
    whole = all((listing.folders and not listing.photos) or len(tables_in(listing)) == 1 for listing in below.values())
    return whole and not {None, UNCLEAR} & set(named.values()) and (alone or TRAIN in named.values())


def _is_train_a_class(splits: list[str | None], below: Mapping[Path, Listing]) -> bool:
    """Whether "train" is a vehicle: photos for training would not lie beside other folders of photos."""
    flat = not any(listing.folders for listing in below.values())
    return flat and [split for split in splits if split] == [TRAIN] and len(splits) > 2


def _are_parts(below: Mapping[Path, Listing]) -> bool:
    """Whether folders such as fold1 and fold2, or colour and mask, share folders, so that these are rather classes."""
    inner = [set(map(composed_name, listing.folders)) for listing in below.values()]
    shared = set.intersection(*inner) if len(inner) > 1 else set()
    return len(shared) > 1 and not any(map(split_of, shared)) and not all(listing.photos for listing in below.values())


def _describe_unclear(root: Path, below: Mapping[Path, Listing], why: str) -> str:
    found = []
    for folder, listing in below.items():
        counts = ((len(listing.folders), "folders"), (len(listing.photos), "photos"))
        found.append(f"{folder.name} ({' and '.join(f'{n:,} {what}' for n, what in counts if n) or 'no photos'})")
    names = [folder.name for folder in below if split_of(composed_name(folder))] or [folder.name for folder in below]
    whole = [path for path in below if len(below[path].folders) > 1 and not below[path].photos]
    of_classes = [path for path in whole if split_of(composed_name(path)) in SPLITS]
    alone = f", or pass '{of_classes[-1]}' alone" if of_classes else ""
    rename = f"rename {abridged(names)}"
    if why == _SHARED:
        rename = "pass one of them if the folders in it are the classes, or put photos directly into them"
    return (
        f"it is unclear which folders in '{root}' are splits and which are classes: found {abridged(found, 8)}, and"
        f" {abridged(names)} {why}; for splits, put one folder per class below train/, val/ and test/ and nothing else"
        f" beside them{alone}; for classes, {rename}, or pass a CSV table of paths and labels as `data`"
    )
