"""Whether the folders in a folder are splits or classes; where that is unclear, users are asked."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from unicodedata import normalize

from tledge.core.errors import DataError
from tledge.core.number_text import abridged
from tledge.core.photo_listing import Listing, list_folder
from tledge.core.photo_table import tables_in
from tledge.core.split_names import TRAIN, UNCLEAR, split_of


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
    like_splits = any(named.values())
    if not like_splits and len({re.sub(r"[ _-]?\d+$", "", folder.name) for folder in named}) > 1:
        return {}
    below = {folder: list_folder(folder) for folder in named}
    if not like_splits:
        if _are_parts(below):
            raise DataError(_describe_unclear(root, below, "all have the same folders"))
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


def _are_splits(named: Mapping[Path, str | None], below: Mapping[Path, Listing], *, alone: bool) -> bool:
    """Whether all folders are called like splits and hold class folders or a table; a test split may be ``alone``."""
    whole = all((listing.folders and not listing.photos) or len(tables_in(listing)) == 1 for listing in below.values())
    return whole and not {None, UNCLEAR} & set(named.values()) and (alone or TRAIN in named.values())


def _is_train_a_class(splits: list[str | None], below: Mapping[Path, Listing]) -> bool:
    """Whether "train" is a vehicle: photos for training would not lie beside other folders of photos."""
    flat = not any(listing.folders for listing in below.values())
    return flat and [split for split in splits if split] == [TRAIN] and len(splits) > 2


def _are_parts(below: Mapping[Path, Listing]) -> bool:
    """Whether folders such as fold1 and fold2 all have the same folders, so that these are rather the classes."""
    inner = {tuple(map(composed_name, listing.folders)) for listing in below.values()}
    return len(below) > 1 and len(inner) == 1 and len(next(iter(inner))) > 1


def _describe_unclear(root: Path, below: Mapping[Path, Listing], why: str) -> str:
    found = []
    for folder, listing in below.items():
        counts = ((len(listing.folders), "folders"), (len(listing.photos), "photos"))
        found.append(f"{folder.name} ({' and '.join(f'{n:,} {what}' for n, what in counts if n) or 'no photos'})")
    names = [folder.name for folder in below if split_of(composed_name(folder))] or [folder.name for folder in below]
    of_classes = [folder for folder, listing in below.items() if listing.folders and not listing.photos]
    alone = f", or pass '{of_classes[-1]}' alone" if of_classes else ""
    return (
        f"it is unclear which folders in '{root}' are splits and which are classes: found {abridged(found, 8)}, and"
        f" {abridged(names)} {why}; for splits, put one folder per class below train/, val/ and test/ and nothing else"
        f" beside them{alone}; for classes, rename {abridged(names)}, or pass a CSV table of paths and labels as `data`"
    )
