"""Image files, in the order in which they are named."""

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
    """Image files, each read when it is needed."""

    paths: Sequence[Path]

    @property
    def width(self) -> int:
        """The length of the longest path, in characters."""
        return max((len(str(path)) for path in self.paths), default=0)

    def frames(self, ended: Event) -> Iterator[Frame]:
        """Yields a frame for each file; a file that does not exist fails to load."""
        for path in self.paths:
            if ended.is_set():
                return
            yield PhotoFile(path)


def photos_in(folder: Path) -> list[Path]:
    """Returns the image files in a folder and its subfolders, sorted.

    Raises:
        SourceError: the folder has none, or cannot be read.
    """
    try:
        found = images.images_below(folder)
    except OSError as error:
        raise SourceError(f"cannot read folder '{error.filename or folder}': {error.strerror or error}") from error
    if not found:
        raise SourceError(f"no images in folder '{folder}'; expected .jpg, .png, .webp or .bmp files")
    return found
