"""Finding the photo that a table names: by its path, or by the name of a file that was moved since."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from functools import cached_property
from pathlib import Path
from unicodedata import normalize
from urllib.parse import unquote, urlsplit

from tledge.core.photo_listing import list_tree

_UPLOAD = re.compile(r"[0-9a-f]{8}-")
"""What Label Studio puts before the name of an uploaded file."""


class PhotoFinder:
    """Finds photos in a folder or below it.

    Args:
        folder: that of the table.
        preferred: of several files with the same name, the one in the folder of this name is taken: "train" for
            ``train.csv`` beside ``train/`` and ``test/``.
    """

    def __init__(self, folder: Path, *, preferred: str = "") -> None:
        self._folder = folder
        self._preferred = preferred

    def find(self, reference: str) -> Path | None:
        """Returns the file of a path, a URL or a name without suffix; None if none or more than one fits."""
        plain = _plain_path(reference)
        path = os.path.normpath(self._folder / plain)
        if os.path.isfile(path):  # noqa: PTH113 - pathlib raises if a name is too long
            return Path(path)
        parts = [normalize("NFC", part) for part in plain.split("/") if part not in ("", ".", "..")]
        if not parts:
            return None
        for name in dict.fromkeys((parts[-1], _UPLOAD.sub("", parts[-1], count=1))):
            if (found := self._one_of(self._by_name.get(name, ()), [*parts[:-1], name])) is not None:
                return found
        return self._one_of(self._by_stem.get(parts[-1], ()), parts)

    def _one_of(self, found: tuple[Path, ...] | list[Path], parts: list[str]) -> Path | None:
        """Returns the file whose folders agree with the longest end of ``parts``, if it is the only one."""
        for depth in range(len(parts), 0, -1):
            ending = parts[-depth:-1]
            fitting = [path for path in found if _folders(path)[len(_folders(path)) - len(ending) :] == ending]
            if len(fitting) > 1:
                fitting = [path for path in fitting if self._preferred in _folders(path)]
            if len(fitting) == 1:
                return fitting[0]
        return None

    @cached_property
    def _by_name(self) -> dict[str, list[Path]]:
        names: dict[str, list[Path]] = defaultdict(list)
        for path in list_tree(self._folder).photos:
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


def _plain_path(reference: str) -> str:
    """Returns the path of a reference with slashes: also of a URL, and of Label Studio's /data/local-files/?d=PATH."""
    if "?d=" in reference:
        return unquote(reference.partition("?d=")[2].partition("&")[0])
    if "://" in reference:
        return unquote(urlsplit(reference).path).lstrip("/")
    return reference.replace("\\", "/")
