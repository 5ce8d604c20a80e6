"""From names to sources: files, folders, globs, videos and ``-`` for standard input."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from tledge.core.errors import OptionError, SourceError
from tledge.core.photo_listing import (
    THUMBNAIL_FOLDERS,
    Listing,
    describe_left_out,
    describe_undecodable,
    is_photo,
    kind_of,
    list_tree,
)
from tledge.edge_runtime.sources.frame import BrokenFrame, Chain, Frame, PhotoFile, Source
from tledge.edge_runtime.sources.standard_input import STANDARD_INPUT, StandardInput
from tledge.edge_runtime.sources.video import Video, is_video_name


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


@dataclass(frozen=True)
class EmptySource:
    """A folder or glob without images, among other sources: one frame that cannot be read."""

    name: str
    reason: str

    @property
    def width(self) -> int:
        """The length of its name, in characters."""
        return len(self.name)

    def frames(self, ended: Event) -> Iterator[Frame]:
        """Yields a frame that gives the reason."""
        yield BrokenFrame(self.name, self.reason)


def find_sources(names: Sequence[str], *, every: int = 1) -> Chain:
    """Returns the sources of these names, in order.

    Args:
        names: image files, video files, folders (with their subfolders), globs of image and video files
            ("photos/*.jpg", "photos/**/*.png"), or "-" for standard input. The name of an existing file is not a glob.
        every: use only every n-th frame of videos and streams.

    A folder or glob without images among other sources is one frame that cannot be read, so the others are classified.

    Raises:
        SourceError: no source has images: each is a folder that has none or cannot be read, or a glob without matches.
        OptionError: standard input is named twice, or a name is empty.
        MissingExtraError: a video is named and OpenCV is not installed.
    """
    check_names(names)
    sources: list[Source] = []
    photos: list[Path] = []
    notes: list[str] = []
    empty: list[SourceError] = []

    def end_photos() -> None:
        if photos:
            sources.append(PhotoFiles(tuple(photos)))
            photos.clear()

    for name in names:
        try:
            paths = _expand(name, notes)
        except SourceError as error:
            empty.append(error)
            end_photos()
            sources.append(EmptySource(name, str(error)))
            continue
        for path in paths:
            if path is not None and not is_video_name(path):
                photos.append(path)
                continue
            end_photos()
            sources.append(StandardInput(every=every) if path is None else Video(path, every=every))
    end_photos()
    if empty and len(empty) == len(sources):
        raise empty[0]
    return Chain(tuple(sources), tuple(notes))


def check_names(names: Sequence[str]) -> None:
    """Raises OptionError if a name is empty or standard input is named twice; looks at no file."""
    if list(names).count(STANDARD_INPUT) > 1:
        raise OptionError(f"'{STANDARD_INPUT}' is standard input, which can be read only once; it was named twice")
    if "" in names:
        raise OptionError("a source has an empty name; the current folder is '.'")


def check_every(every: int, chain: Chain) -> None:
    """Raises OptionError if every n-th frame is asked for and the sources are photos only, each of which is read."""
    if every > 1 and not any(isinstance(source, Video | StandardInput) for source in chain.sources):
        raise OptionError(
            f"`every={every}` selects frames of a video, a stream or a camera, and there is none; leave it out"
        )


def _expand(name: str, notes: list[str]) -> Sequence[Path | None]:
    """Returns the files of a name; None stands for standard input, since '-' is also a valid path.

    Adds to ``notes`` what is left out of a folder or glob, and which photos cannot be decoded here.
    """
    if name == STANDARD_INPUT:
        return [None]
    path = Path(name)
    if os.path.isdir(name):  # noqa: PTH112 - pathlib raises if a parent folder may not be entered
        listing = _photos_in(path)
    elif os.path.lexists(path) or not glob.has_magic(name):
        return [path]  # also one that does not exist: the error is reported when it is read
    else:
        listing = _photos_matching(name)
    for text in (describe_left_out(listing.left_out), describe_undecodable(listing.photos)):
        if text:
            notes.append(f"'{name}': {text}")
    return listing.photos


def _photos_matching(name: str) -> Listing:
    """Returns the image and video files that match a glob. Raises SourceError if there are none."""
    photos, left_out = [], Counter[str]()
    thumbnails, skipped = set[Path](), THUMBNAIL_FOLDERS.difference(Path(name).parts)
    for path in map(Path, sorted(glob.glob(name, recursive=True))):  # noqa: PTH207 - pathlib refuses absolute ones
        if path.is_dir():
            left_out["folder"] += "**" not in name
        elif inside := [parent for parent in path.parents if parent.name in skipped]:
            thumbnails.add(inside[-1])
        elif is_photo(path) or is_video_name(path):
            photos.append(path)
        else:
            left_out[kind_of(path)] += 1
    left_out.update(f"{folder.name}/" for folder in thumbnails)
    del left_out[""]
    if not photos:
        others = describe_left_out(+left_out)
        raise SourceError(
            f"no image or video matches '{name}'" + (f" ({others})" if others else ", and no file has that name")
        )
    return Listing(tuple(photos), left_out=+left_out)


def _photos_in(folder: Path) -> Listing:
    """Returns the image files below a folder, sorted. Raises SourceError if it has none or cannot be read."""
    try:
        found = list_tree(folder)
    except OSError as error:
        raise SourceError(f"cannot read folder '{error.filename or folder}': {error.strerror or error}") from error
    if not found.photos:
        left_out = describe_left_out(found.left_out)
        raise SourceError(
            f"no images in folder '{folder}'; expected .jpg, .png, .webp or other photos{left_out and f' ({left_out})'}"
        )
    return found
