"""Image files, in the order in which they were named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from tledge.core import images
from tledge.core.errors import SourceError
from tledge.edge_runtime.sources.frame import Frame, PhotoFile


@dataclass(frozen=True)
class PhotoFiles:
    """Image files, each read when its turn comes."""

    paths: Sequence[Path]

    @property
    def width(self) -> int:
        """Characters of the longest path."""
        return max((len(str(path)) for path in self.paths), default=0)

    def frames(self, ended: Event) -> Iterator[Frame]:
        """A frame for each file, also for one that is not there: it fails to load."""
        for path in self.paths:
            if ended.is_set():
                return
            yield PhotoFile(path)


def photos_in(folder: Path) -> list[Path]:
    """The image files in a folder and below it, sorted.

    Raises:
        SourceError: the folder holds none, or cannot be read.
    """
    try:
        found = images.images_below(folder)
    except OSError as error:
        raise SourceError(f"cannot read folder '{error.filename or folder}': {error.strerror or error}") from error
    if not found:
        raise SourceError(f"no images in folder '{folder}'; expected .jpg, .png, .webp or .bmp files")
    return found
