"""The photos in a folder: what can be decoded, whatever its name, and what is left out.

A file with the suffix of an image is listed without being opened, so that large folders are listed fast. Any other file
is a photo if it starts like one.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tledge.core.errors import MissingExtraError
from tledge.core.image_formats import EXTRA, SHOWN, SUFFIXES, UNREAD_SUFFIXES, format_of_file, missing_library
from tledge.core.sealed_folder import ADDED_BY_SYSTEMS, SEAL

THUMBNAIL_FOLDERS = frozenset(
    {"@eaDir", "@Recycle", "#recycle", "__MACOSX", "$RECYCLE.BIN", "System Volume Information"}
)
"""Folders of network drives and operating systems that hold thumbnails, metadata and deleted files."""

NOT_COUNTED = ADDED_BY_SYSTEMS | {SEAL}
"""Files of operating systems and of tledge, which hold nothing of the user's."""

MOST_KINDS = 8
"""The most kinds of files that are listed as left out."""


@dataclass(frozen=True)
class Listing:
    """What is in a folder.

    Attributes:
        photos: files that are photos by suffix or content, sorted.
        folders: its subfolders, links included, without hidden ones and thumbnails; empty of a whole tree.
        others: the other files, sorted.
        left_out: the number of files by what they are: ".txt", "hidden", "@eaDir/".
    """

    photos: tuple[Path, ...]
    folders: tuple[Path, ...] = ()
    others: tuple[Path, ...] = ()
    left_out: Counter[str] = field(default_factory=Counter)


def is_photo(path: Path) -> bool:
    """Whether a file is a photo by its suffix or, of any other suffix, by its content; a hidden file is none."""
    suffix = _suffix(path.name)
    return suffix in SUFFIXES or (suffix is not None and path.is_file() and format_of_file(path) is not None)


def _suffix(name: str) -> str | None:
    """Returns a file's suffix, lower case; None if it is no photo whatever it holds."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - for 100,000 files
    return None if name.startswith(".") or suffix in UNREAD_SUFFIXES else suffix


def kind_of(path: Path) -> str:
    """Returns what a file is counted as if it is left out; empty for a system's or tledge's own file."""
    if path.name in NOT_COUNTED or path.name.startswith("._"):
        return ""
    return "hidden" if path.name.startswith(".") else path.suffix.lower() or "without suffix"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def list_folder(folder: Path) -> Listing:
    """Lists a folder without its subfolders' content. Raises OSError."""
    names: dict[str, list[str]] = {"photos": [], "folders": [], "others": []}
    left_out = Counter[str]()
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if _is_folder(entry):
                if name in THUMBNAIL_FOLDERS or name.startswith("."):
                    left_out[f"{name}/"] += 1
                else:
                    names["folders"].append(name)
            elif _suffix(name) in SUFFIXES or is_photo(folder / name):
                names["photos"].append(name)
            else:
                names["others"].append(name)
                if kind := kind_of(folder / name):
                    left_out[kind] += 1
    found = {kind: tuple(folder / name for name in sorted(listed)) for kind, listed in names.items()}
    return Listing(**found, left_out=left_out)


def list_tree(folder: Path) -> Listing:
    """Lists a folder with its subfolders, without linked ones. Raises OSError."""
    photos: list[Path] = []
    left_out, waiting = Counter[str](), [folder]
    while waiting:
        found = list_folder(waiting.pop())
        photos += found.photos
        left_out += found.left_out
        for below in found.folders:
            if below.is_symlink():
                left_out["linked folder"] += 1
            else:
                waiting.append(below)
    return Listing(tuple(sorted(photos)), left_out=left_out)


def describe_left_out(left_out: Mapping[str, int]) -> str:
    """Returns the files that were left out, in one line: "left out: 12 .txt, 2 @eaDir/"; empty if there are none."""
    shown = [
        f"{count:,} {kind}{'s' * (count > 1 and kind.endswith('folder'))}"
        for kind, count in Counter(left_out).most_common()
    ]
    rest = f", … ({len(shown)} kinds)" if len(shown) > MOST_KINDS else ""
    return f"left out: {', '.join(shown[:MOST_KINDS])}{rest}" if shown else ""


def describe_undecodable(photos: Collection[Path]) -> str:
    """Returns which photos need a library that is not installed, and the extra that brings it; empty if none do."""
    problems = []
    for kind, shown in SHOWN.items():
        if missing := missing_library(kind):
            number = sum(SUFFIXES.get(path.suffix.lower(), kind) == kind == format_of_file(path) for path in photos)
            if number:
                problems.append(str(MissingExtraError([missing], EXTRA, f"decoding {number:,} {shown} photos")))
    return "; ".join(problems)
