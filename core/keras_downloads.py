"""Files that Keras downloads into ``~/.keras`` (weights, class names), checked by their content before they are used.

Keras checks the hash of some of its files, and uses any other file that has the right name. Here, the SHA-256 of a file
is recorded in the user's cache once it was loaded, and checked from then on. What that does not notice: a file that was
altered before its first use here, without a hash from Keras, and that still loads.

A damaged file is discarded, reported in one line, and downloaded again. A download arrives beside its place and is
moved there when it is complete.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from tledge.core import atomic
from tledge.core.errors import first_line
from tledge.core.extras import keras_home
from tledge.core.fingerprint import sha256_of_file
from tledge.core.progress import Progress
from tledge.core.sealed_file import is_intact, remove_path, seal
from tledge.core.temporary_files import temporary_folder
from tledge.core.user_cache import user_cache

Loaded = TypeVar("Loaded")


class DownloadError(Exception):
    """A file of Keras that is not there, and that could not be downloaded.

    Attributes:
        folder: where the file belongs.
    """

    def __init__(self, path: Path, reason: str, *, was_damaged: bool) -> None:
        before = "the file that was there is damaged and was discarded; " if was_damaged else ""
        super().__init__(f"{path.name} ({before}{reason})")
        self.folder = path.parent


def module_of(get_file: Callable[..., Any]) -> Any:
    """Returns the module of ``keras.utils.get_file``, in which Keras's own functions look it up."""
    return sys.modules[get_file.__module__]


def load_with_downloads(build: Callable[[], Loaded], *, get_file_module: Any, progress: Progress) -> Loaded:
    """Calls a function that gets files by ``keras.utils.get_file``, and returns its result.

    If it fails on a file that was in Keras's folder before and was never loaded, that file is downloaded again, once.

    Args:
        build: the function.
        get_file_module: see :func:`module_of`.
        progress: reports files that are discarded.

    Raises:
        DownloadError: a file could not be downloaded.
    """
    original = get_file_module.get_file
    files = _KerasFiles(original, progress)
    get_file_module.get_file = files.get
    try:
        try:
            result = build()
        except Exception as error:
            if isinstance(error, DownloadError) or _is_of_the_machine(error) or not files.unproven:
                raise
            for path in sorted(files.unproven):
                files.discard(path, f"it cannot be loaded: {first_line(error)}")
            files.unproven.clear()
            result = build()
    finally:
        get_file_module.get_file = original
    for path in files.used:
        _remember(path)
    return result


def _is_of_the_machine(error: Exception) -> bool:
    """Whether an error says that memory, disk space or open files ran out, not that a file is damaged."""
    if isinstance(error, OSError) and error.errno in (errno.ENOMEM, errno.ENOSPC, errno.EMFILE, errno.ENFILE):
        return True
    return any(base.__name__ in ("MemoryError", "ResourceExhaustedError") for base in type(error).__mro__)


class _KerasFiles:
    """Gets files as ``keras.utils.get_file`` does, but only intact ones.

    Attributes:
        used: the files that were got.
        unproven: those that were there before, without a hash to check.
    """

    def __init__(self, original: Callable[..., Any], progress: Progress) -> None:
        self._original = original
        self._progress = progress
        self._discarded: set[Path] = set()
        self.used: set[Path] = set()
        self.unproven: set[Path] = set()

    def get(self, fname: str, origin: str, *, cache_subdir: str, file_hash: str | None = None, **options: Any) -> str:
        """Returns the path of a file, downloaded if it is not there. Raises DownloadError."""
        home = keras_home()
        # As Keras does: it uses a folder for all users if its own cannot be written to.
        path = (home if os.access(home, os.W_OK) else Path("/tmp/.keras")) / cache_subdir / fname  # noqa: S108
        recorded = _recorded(path)
        if os.path.lexists(path) and (damage := _find_damage(path, file_hash, recorded)):
            self.discard(path, damage)
        if not path.exists():
            self._download(path, fname=fname, origin=origin, file_hash=file_hash, **options)
        elif file_hash is None and recorded is None:
            self.unproven.add(path)
        self.used.add(path)
        return str(path)

    def discard(self, path: Path, damage: str) -> None:
        """Removes a damaged file and reports it."""
        remove_path(path)
        self._discarded.add(path)
        self._progress.note("Cache", f"discarded '{path}', which is damaged: {damage}")

    def _download(self, path: Path, **options: Any) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(path) as folder:
            try:
                received = self._original(cache_subdir="", cache_dir=str(folder), **options)
            except Exception as error:
                raise DownloadError(path, _why_not(error), was_damaged=path in self._discarded) from error
            Path(received).replace(path)


def _find_damage(path: Path, file_hash: str | None, recorded: str | None) -> str:
    """Returns why a file is not what was downloaded; empty if nothing shows that."""
    if not path.is_file():
        return "it is not a regular file"
    try:
        with path.open("rb") as file:
            algorithm = "md5" if file_hash is not None and len(file_hash) == 32 else "sha256"
            published = hashlib.file_digest(file, algorithm).hexdigest() if file_hash else None
        if published != file_hash:
            return "it does not have the hash that Keras gives"
        if recorded is not None and sha256_of_file(path) != recorded:
            return "it has changed since it was downloaded"
    except OSError as error:
        return f"it cannot be read: {error.strerror or error}"
    return "" if path.stat().st_size else "it is empty"


def _why_not(error: Exception) -> str:
    """Returns why a download failed."""
    message = str(error)
    if found := re.search(r"got only (\d+) out of (\d+) bytes", message):
        return f"the download ended early: received {int(found[1]):,} of {int(found[2]):,} bytes"
    if "corrupted file" in message:
        return "what was received does not have the hash that Keras gives"
    if isinstance(error, ConnectionError):
        return f"the connection broke: {error.strerror or error}"
    if isinstance(error, OSError):
        return error.strerror or message
    return message.rsplit("-- ", 1)[-1] or type(error).__name__


def _record_of(path: Path) -> Path:
    place = hashlib.sha256(os.fsencode(path.absolute())).hexdigest()[:16]
    return user_cache("downloads") / f"{path.name}-{place}.sha256"


def _recorded(path: Path) -> str | None:
    """Returns the SHA-256 that was recorded for a file; None without one, or if the record itself is damaged."""
    record = _record_of(path)
    if not is_intact(record, str(path)):
        return None
    return record.read_bytes()[:64].decode("ascii", "replace")


def _remember(path: Path) -> None:
    """Records a file's SHA-256, if the user's cache can be written to."""
    record = _record_of(path)
    with suppress(OSError):
        if is_intact(record, str(path)):
            return
        if os.path.lexists(record):
            remove_path(record)
        with atomic.replacing(record) as temporary:
            temporary.write_text(f"{sha256_of_file(path)}\n", encoding="ascii")
            seal(temporary, str(path))
