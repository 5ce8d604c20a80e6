"""A folder that receives photos.

It is polled, which works on every file system, including network ones, and needs no library.
"""

from __future__ import annotations

import os
import stat
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Event

from tledge.core.errors import SourceError
from tledge.core.photo_listing import THUMBNAIL_FOLDERS, is_photo, kind_of
from tledge.edge_runtime.sources.frame import Frame, PhotoFile

INTERVAL = 0.5
"""The shortest pause between two polls, in seconds."""

SHARE = 5
"""The pause is at least this many times as long as a poll, so a large folder on a slow disk is polled less often."""

State = tuple[int, int]
"""Size in bytes and modification time in ns."""


class WatchedFolder:
    """Image files that appear or change in a folder or its subfolders from now on.

    A file is complete when two polls in a row find the same size and modification time. If copying pauses for longer
    than that, the file is yielded again afterwards. A file whose suffix is not that of an image is a photo if it starts
    like one when it is complete. Memory grows with the number of files in the folder only.

    Args:
        folder: the folder to watch.

    Attributes:
        left: number of images that existed at the start; they are ignored unless they change.
        left_out: the number of other files that arrived, by kind; see ``core.photo_listing.Listing``. A file counts
            once, however often it changes.

    Raises:
        SourceError: the folder does not exist or cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known = self._look()
        self.left_out = Counter[str]()
        self._others = set[str]()
        self.left = sum(is_photo(Path(path)) for path in self._known)

    @property
    def width(self) -> int:
        """The length of the longest path there, or a guess if there is none, in characters."""
        return max((len(path) for path in self._known), default=len(str(self._folder)) + len("/IMG_0000.jpg"))

    def frames(self, ended: Event) -> Iterator[Frame]:
        """Yields photos as they arrive, the oldest first, without end. Raises SourceError if the folder vanishes."""
        changing: dict[str, State] = {}
        interval = INTERVAL
        while not ended.wait(interval):
            start = time.monotonic()
            there = self._look()
            interval = max(INTERVAL, SHARE * (time.monotonic() - start))
            fresh = {path: state for path, state in there.items() if self._known.get(path) != state}
            settled = {path for path, state in fresh.items() if changing.get(path) == state}
            changing = {path: state for path, state in fresh.items() if path not in settled}
            self._known = {path: state for path, state in self._known.items() if path in there}
            self._known |= {path: there[path] for path in settled}
            self._others &= there.keys()
            for path in sorted(settled, key=lambda path: (there[path][1], path)):
                if is_photo(Path(path)):
                    yield PhotoFile(Path(path))
                elif path not in self._others and (kind := kind_of(Path(path))):
                    self._others.add(path)
                    self.left_out[kind] += 1

    def _look(self) -> dict[str, State]:
        """Returns the state of each file in the folder and its subfolders, without hidden ones and links to folders."""

        def check(error: OSError) -> None:
            if error.filename == str(self._folder):  # a subfolder may vanish at any time
                raise SourceError(f"cannot watch folder '{self._folder}': {error.strerror or error}") from error

        found: dict[str, State] = {}
        for parent, folders, names in os.walk(self._folder, onerror=check):
            folders[:] = [name for name in folders if not name.startswith(".") and name not in THUMBNAIL_FOLDERS]
            for name in names:
                path = Path(parent) / name
                if not name.startswith("."):
                    try:
                        status = path.stat()
                    except OSError:  # it has vanished, or is a dangling link
                        continue
                    if stat.S_ISREG(status.st_mode):  # reading a pipe would block
                        found[str(path)] = (status.st_size, status.st_mtime_ns)
        return found
