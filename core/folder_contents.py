"""Replacing the contents of a folder as a whole.

The new contents are written to a temporary folder inside it and flushed to the disk. One rename then decides that they
replace the old ones; all that follows can be repeated from any point, so a kill or a power failure leaves the old
contents, the new ones, or a replacement that the next command finishes:

    .partial-locked-…/   new contents, not complete: after a kill they are removed
    .replacing/          new contents, complete; the old ones are moving to the folder that ``.replacing/.aside`` names
    .arriving/           the rest of the new contents, which are moving to their place

A process that moves contents holds a lock on the folder, so others wait for it: of two that replace the contents at
once, one follows the other, and readers see the contents of one of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tledge.core import atomic
from tledge.core.progress import Progress
from tledge.core.temporary_files import locked_folder, remove_litter, temporary_folder

REPLACING, ARRIVING = ".replacing", ".arriving"
_ASIDE = ".aside"


@contextmanager
def replacing_contents(
    folder: Path, aside: Callable[[], str] | None = None, progress: Progress | None = None
) -> Iterator[Path]:
    """Yields an empty folder for new contents, which replace those of ``folder`` if the block succeeds.

    Args:
        folder: it is created if it does not exist.
        aside: returns where to move the old contents, a new folder two levels below ("earlier/20261123T101500").
            Hidden files stay. Without it, only files of the same names are replaced.
        progress: reports that an earlier replacement is finished.

    Raises:
        OSError: the disk is full, read-only or not writable for this user.
    """
    folder.mkdir(parents=True, exist_ok=True)
    finish_replacement(folder, progress)
    with temporary_folder(folder / "contents") as fresh:
        yield fresh
        atomic.flush_tree(fresh)
        with locked_folder(folder):
            _finish(folder)  # of another process, killed since this one looked
            if aside is not None:
                (fresh / _ASIDE).write_text(aside(), encoding="utf-8")
                atomic.flush_tree(fresh)
            fresh.rename(folder / (ARRIVING if aside is None else REPLACING))
            atomic.flush_folder(folder)
            _finish(folder)


def finish_replacement(folder: Path, progress: Progress | None = None) -> Path:
    """Finishes a replacement that was interrupted, and removes what one left that had not begun; reports it.

    Args:
        folder: one whose contents are replaced, or one that holds old contents.

    Returns:
        The folder to read from: ``folder``, or on a read-only disk the new contents that cannot be moved there.
    """
    progress = progress or Progress()
    remove_litter(folder)
    for candidate in (folder, folder.parent.parent):
        if not _is_unfinished(candidate):
            continue
        try:
            with locked_folder(candidate):
                finished = _finish(candidate)
            if finished:
                progress.note("Finished", f"replacing the contents of '{candidate}', which had been interrupted")
        except OSError as error:
            progress.warn(
                f"replacing the contents of '{candidate}' was interrupted and cannot be finished:"
                f" {error.strerror or error}; run the command again where the folder can be written to"
            )
            if candidate == folder and (folder / REPLACING).is_dir():
                return folder / REPLACING
    return folder


def _is_unfinished(folder: Path) -> bool:
    return any((folder / name).is_dir() for name in (REPLACING, ARRIVING))


def _finish(folder: Path) -> bool:
    """Moves the old contents away and the new ones in, from whichever point that was reached."""
    replacing, arriving = folder / REPLACING, folder / ARRIVING
    if not _is_unfinished(folder):
        return False
    if replacing.is_dir():
        _move_away(folder, _aside_of(replacing))
        replacing.rename(arriving)
        atomic.flush_folder(folder)
    for path in sorted(arriving.iterdir()):
        if path.name != _ASIDE:
            path.replace(folder / path.name)
    atomic.flush_folder(folder)
    (arriving / _ASIDE).unlink(missing_ok=True)
    arriving.rmdir()
    return True


def _move_away(folder: Path, aside: Path) -> None:
    old = [path for path in sorted(folder.iterdir()) if path != aside.parent and not path.name.startswith(".")]
    if not old:
        return
    aside.mkdir(parents=True, exist_ok=True)
    for path in old:
        path.replace(aside / path.name)
    for changed in (aside, aside.parent, folder):
        atomic.flush_folder(changed)


def _aside_of(replacing: Path) -> Path:
    """Reads where the old contents go. Raises OSError if that is not a folder two levels below."""
    text = ""
    with suppress(UnicodeError):
        text = (replacing / _ASIDE).read_text(encoding="utf-8")
    if not re.fullmatch(r"\w[\w-]*/\w[\w-]*", text):
        raise OSError(f"'{replacing / _ASIDE}' does not name a folder")
    return replacing.parent / text
