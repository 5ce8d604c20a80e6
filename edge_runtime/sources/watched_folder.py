"""A folder into which photos are dropped.

It is looked at, over and over: that works on every file system, on a network's, too, and needs no library.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

from tledge.core.errors import SourceError
from tledge.core.images import is_image_name
from tledge.edge_runtime.sources.frame import Frame, PhotoFile

INTERVAL = 0.5
"""Seconds between two looks, at least."""

SHARE = 5
"""An interval lasts at least so many times its look: a large folder on a slow disk is looked at less often."""

State = tuple[int, int]
"""Size in bytes and time of change in ns."""


class WatchedFolder:
    """Image files that appear in a folder or below it, or change there, from now on.

    A file is given when two looks in a row have found the same size and time of change: by then it has been copied. One
    whose copying paused for longer is given again when it goes on. Memory is bounded by what the folder holds.

    Args:
        folder: to watch.

    Attributes:
        left: how many images were there at the start; they are not given unless they change.

    Raises:
        SourceError: no such folder, or it cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known = self._look()
        self.left = len(self._known)

    @property
    def width(self) -> int:
        """Characters of the paths that are there; some for the file's name if there is none."""
        return max((len(path) for path in self._known), default=len(str(self._folder)) + len("/IMG_0000.jpg"))

    def frames(self, ended: Event) -> Iterator[Frame]:
        """Photos as they are dropped, the oldest first; without end.

        Raises:
            SourceError: the folder has vanished.
        """
        changing: dict[str, State] = {}
        interval = INTERVAL
        while not ended.wait(interval):
            began = time.monotonic()
            there = self._look()
            interval = max(INTERVAL, SHARE * (time.monotonic() - began))
            fresh = {path: state for path, state in there.items() if self._known.get(path) != state}
            settled = {path for path, state in fresh.items() if changing.get(path) == state}
            changing = {path: state for path, state in fresh.items() if path not in settled}
            self._known = {path: state for path, state in self._known.items() if path in there}
            self._known |= {path: there[path] for path in settled}
            for path in sorted(settled, key=lambda path: (there[path][1], path)):
                yield PhotoFile(Path(path))

    def _look(self) -> dict[str, State]:
        """The state of each image file in the folder and below it; hidden ones are left out, links not followed."""

        def heed(error: OSError) -> None:
            if error.filename == str(self._folder):  # one below it may vanish at any time
                raise SourceError(f"cannot watch folder '{self._folder}': {error.strerror or error}") from error

        found: dict[str, State] = {}
        for parent, folders, names in os.walk(self._folder, onerror=heed):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in names:
                path = Path(parent) / name
                if is_image_name(path):
                    try:
                        status = path.stat()
                    except OSError:  # vanished since, or a link to nothing
                        continue
                    if stat.S_ISREG(status.st_mode):  # reading a pipe would wait for its writer
                        found[str(path)] = (status.st_size, status.st_mtime_ns)
        return found
