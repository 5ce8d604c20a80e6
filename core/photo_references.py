"""Finding the photos that a table names: by their paths, or by the names of files that were moved since.

A file that was moved is only taken if nothing speaks against it, since another file of the same name may belong to
another class or split.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize
from urllib.parse import unquote, urlsplit

from tledge.core.photo_listing import list_tree
from tledge.core.split_names import SPLITS, split_of

_UPLOAD = re.compile(r"[0-9a-f]{8}-")
"""What Label Studio puts before the name of an uploaded file."""


class PhotoReference(NamedTuple):
    """What a row of a table says about a photo: a path, a URL or a name without suffix, its class and its split."""

    text: str
    label: str
    split: str


class _Match(NamedTuple):
    """A photo that was found by the last ``depth`` parts of its path; ``depth`` is 0 if the path itself is right."""

    path: Path
    depth: int


@dataclass(frozen=True)
class PhotoFinder:
    """Finds photos in a folder or below it.

    Args:
        folder: that of the table.
        preferred: of several files with the same name, the one in the folder of this name is taken: "train" for
            ``train.csv`` beside ``train/`` and ``test/``.
    """

    folder: Path
    preferred: str = ""

    def find(self, references: Sequence[PhotoReference]) -> tuple[list[Path | None], int]:
        """Returns the file of each reference, and how many of them were found by less than their whole path.

        There is no file if none or more than one fits. A path that is not right as it stands is searched by its end.
        Then, a folder that the path does not name cannot have the name of another class or split; and no file is
        taken if the paths of other rows show where it should be: they are right, or right without a beginning that
        this path has, too.
        """
        labels = {_folded(label) for _, label, _ in references}
        parts = [_parts(text) for text, _, _ in references]
        matches = [self._match(*pair, labels) for pair in zip(references, parts, strict=True)]
        rows = list(zip(references, parts, matches, strict=True))
        right = {len(names) > 1 for _, names, match in rows if match and not match.depth}
        beginnings = {tuple(names[: -match.depth]) for _, names, match in rows if match and match.depth > 1}
        found: list[Path | None] = []
        by_name = 0
        for (text, _, _), names, match in rows:
            depth = match.depth if match else 0
            shorter = {tuple(names[:end]) for end in range(len(names) - depth)}
            should_be_right = Path(text).suffix and (len(names) > 1) in right
            if depth and "?d=" not in text and (should_be_right or shorter & beginnings):  # Label Studio has many roots
                found.append(None)
            else:
                found.append(match and match.path)
                by_name += 0 < depth < max(2, len(names))
        return found, by_name

    def _match(self, reference: PhotoReference, parts: list[str], labels: Collection[str]) -> _Match | None:
        path = os.path.normpath(self.folder / _plain_path(reference.text))
        if os.path.isfile(path):  # noqa: PTH113 - pathlib raises if a name is too long
            return _Match(Path(path), 0)
        if not parts:
            return None
        for name in dict.fromkeys((parts[-1], _UPLOAD.sub("", parts[-1], count=1))):
            if (found := self._one_of(self._by_name.get(name, ()), parts, reference, labels)) is not None:
                return found
        return self._one_of(self._by_stem.get(parts[-1], ()), parts, reference, labels)

    def _one_of(
        self, found: Iterable[Path], parts: list[str], reference: PhotoReference, labels: Collection[str]
    ) -> _Match | None:
        """Returns the file whose folders agree with the longest end of ``parts``, if it is the only one."""
        for depth in range(len(parts), 0, -1):
            ending = parts[-depth:-1]
            fitting = [path for path in found if _folders(path)[len(_folders(path)) - len(ending) :] == ending]
            fitting = [path for path in fitting if not self._contradicts(path, parts, depth, reference, labels)]
            if len(fitting) > 1:
                fitting = [path for path in fitting if self.preferred in _folders(path)]
            if len(fitting) == 1:
                return _Match(fitting[0], depth)
        return None

    def _contradicts(
        self, path: Path, parts: list[str], depth: int, reference: PhotoReference, labels: Collection[str]
    ) -> bool:
        """Whether a folder that the path of the row does not name is called like another class or split."""
        folders = _folders(path.relative_to(self.folder))
        folders = folders[: len(folders) - depth + 1]
        of_table = re.sub(r"[ _-]?labels?$", "", self.preferred)
        known = map(split_of, (reference.split, *reversed(parts[:-depth]), of_table))
        split = next((split for split in known if split in SPLITS), None)
        return any(
            (_folded(name) in labels and _folded(name) != _folded(reference.label))
            or (split is not None and split_of(name) in SPLITS and split_of(name) != split)
            for name in folders
        )

    @cached_property
    def photos(self) -> tuple[Path, ...]:
        """All photos in the folder and below it."""
        return list_tree(self.folder).photos

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        names: dict[str, list[Path]] = defaultdict(list)
        for path in self.photos:
            names[normalize("NFC", path.name)].append(path)
        return names

    @cached_property
    def _by_stem(self) -> dict[str, list[Path]]:
        stems: dict[str, list[Path]] = defaultdict(list)
        for name, paths in self._by_name.items():
            stems[Path(name).stem] += paths
        return stems


def _folders(path: Path) -> list[str]:
    return [normalize("NFC", part) for part in path.parts[:-1]]


def _folded(name: str) -> str:
    return normalize("NFC", name).casefold()


def _parts(text: str) -> list[str]:
    return [normalize("NFC", part) for part in _plain_path(text).split("/") if part not in ("", ".", "..")]


def _plain_path(reference: str) -> str:
    """Returns the path of a reference with slashes: also of a URL, and of Label Studio's /data/local-files/?d=PATH."""
    if "?d=" in reference:
        return unquote(reference.partition("?d=")[2].partition("&")[0])
    if "://" in reference:
        return unquote(urlsplit(reference).path).lstrip("/")
    return reference.replace("\\", "/")
