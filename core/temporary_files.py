"""Temporary files and folders, each of which a later command removes if this process is killed.

A process holds a lock (``flock``) on each of its temporary files and folders, and the kernel releases it however the
process ends. So one that nobody has locked is litter. :func:`remove_litter` removes what it meets in one folder.

.partial-locked-1b2c3d4e-5f60718293a4-int8.tflite   beside what it will become; the host, then a random number
tledge-locked-1b2c3d4e-5f60718293a4/                in the system's folder for temporary files
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tledge.core.sealed_file import remove_path

PARTIAL = ".partial-"
"""How the names of temporary files and folders beside their targets start."""

OLD_AGE_S = 7 * 24 * 3600.0
"""Seconds after which litter is removed whose lock proves nothing: of earlier versions, and of other hosts."""

_LOCKED = re.compile(r"(?:\.partial|tledge)-locked-(?P<host>[0-9a-f]{8})-[0-9a-f]{12}(?:-.*)?", re.DOTALL)
_EARLIER_VERSIONS = re.compile(
    r"\.partial-(?:[a-z0-9_]{8}|\d+)(?:-.*)?"
    r"|tledge-[a-z0-9_]{8}\.log|tledge-(?:keras2|float32|qat|prune)-[a-z0-9_]{8}",
    re.DOTALL,
)
_LONGEST_NAME = 120
"""Bytes of the target's name that a temporary name ends with; file systems allow 255 in all."""

_PRIVATE = {stat.S_IFREG: 0o600, stat.S_IFDIR: 0o700}
"""The permissions of temporary files and folders in all versions; what users make rarely has them."""

_RECORDS = ("results.jsonl", "run.json")
"""What a folder of an earlier version held if it was not litter: results that were not moved to their place."""

_searched: set[str] = set()


@contextmanager
def temporary_file(folder: Path, name: str) -> Iterator[Path]:
    """Creates an empty file in a folder for the ``with`` block, to be moved to its place or removed.

    Args:
        name: what it will become. The temporary name ends with it, since some libraries choose a format by the suffix.

    Raises:
        OSError: the disk is full, read-only or not writable for this user.
    """
    remove_litter(folder)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    path, handle = _create(folder, PARTIAL, name, lambda path: os.open(path, flags, 0o600))
    try:
        yield path
    finally:
        try:
            path.unlink(missing_ok=True)
        finally:
            os.close(handle)


def check_writable(folder: Path) -> None:
    """Checks before a long work that its results can be written: to a folder, or where that will be created.

    Raises:
        OSError: the disk is full, read-only or not writable for this user, or a file is in the way; names the folder.
    """
    absolute = folder.absolute()
    place = next(path for path in (absolute, *absolute.parents) if os.path.lexists(path))
    try:
        if not place.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        with temporary_file(place, "check"):
            pass
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from error


@contextmanager
def temporary_folder(beside: Path | None = None) -> Iterator[Path]:
    """Creates an empty folder for the ``with`` block, to be moved to its place or removed.

    Args:
        beside: what it will become, or another path in the folder where it is created; by default it is created in the
            system's folder for temporary files.

    Raises:
        OSError: the disk is full, read-only or not writable for this user.
    """
    parent, start, name = _temporary_root(), "tledge-", ""
    if beside is not None:
        parent, start, name = beside.parent, PARTIAL, beside.name
    remove_litter(system_folder() if beside is None else parent)

    def make(path: Path) -> int:
        path.mkdir(mode=0o700)
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)

    path, handle = _create(parent, start, name, make)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(handle)


@contextmanager
def process_folder() -> Iterator[Path]:
    """Gives this process, its libraries and its children one folder for all of their temporary files.

    Libraries (Keras, TensorFlow, tf2onnx) leave theirs behind when they are killed; in this folder they are removed
    with it.
    """
    import tempfile

    with temporary_folder() as folder:
        before = os.environ.get("TMPDIR"), tempfile.tempdir
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
        try:
            yield folder
        finally:
            tempfile.tempdir = before[1]
            if before[0] is None:
                del os.environ["TMPDIR"]
            else:
                os.environ["TMPDIR"] = before[0]


def discard(path: Path) -> None:
    """Removes a folder with all that it holds, or a file; after a kill, a later command removes the rest.

    Raises:
        OSError: it does not exist, or its parent folder is not writable.
    """
    doomed = path.with_name(_temporary_name(PARTIAL, path.name))
    path.rename(doomed)
    remove_path(doomed)


def system_folder() -> Path:
    """Returns the system's folder for temporary files, which all processes share, also below ``process_folder``."""
    root = _temporary_root()
    return next((folder.parent for folder in (root, *root.parents) if _LOCKED.fullmatch(folder.name)), root)


def remove_litter(folder: Path) -> None:
    """Removes the temporary files and folders that dead processes left in a folder, but not in the folders below it.

    Does nothing if this process has searched the folder before, and leaves what it cannot remove: files of other users,
    of live processes, and on a read-only disk. Litter of other hosts, and of earlier versions, which held no locks, is
    removed after a week.
    """
    key = str(folder.absolute())
    if key in _searched:
        return
    _searched.add(key)
    with suppress(OSError), os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.name.startswith((PARTIAL, "tledge-"))]
        for name in names:
            with suppress(OSError):
                _remove_if_dead(folder / name)


def lock_of(path: Path, *, wait: bool = False) -> int | None:
    """Locks a file or folder, and returns the descriptor that holds the lock; None if another process holds it.

    Raises:
        OSError: it does not exist, cannot be opened, or its file system has no locks.
    """
    import fcntl

    while True:
        folder = stat.S_ISDIR(path.lstat().st_mode)
        flags = os.O_RDONLY | os.O_DIRECTORY if folder else os.O_RDWR  # NFS locks only what is open for writing
        handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_same(path, handle):
                return handle
        except BlockingIOError:
            os.close(handle)
            return None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # another file has taken its place


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Waits for other processes that lock a folder, and makes others wait during the block.

    Does nothing on a file system without locks.
    """
    handle = None
    with suppress(OSError):
        handle = lock_of(folder.resolve(), wait=True)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _create(folder: Path, start: str, name: str, make: Callable[[Path], int]) -> tuple[Path, int]:
    """Creates a path, and returns it with the descriptor that holds its lock until it is closed."""
    for _ in range(100):
        path = folder / _temporary_name(start, name)
        try:
            handle = make(path)
        except FileExistsError:
            continue
        except FileNotFoundError:
            if not folder.is_dir():
                raise
            continue  # another process took it for litter before it was locked
        if _hold(path, handle):
            return path, handle
        os.close(handle)
    raise FileExistsError(f"cannot create a temporary file in '{folder}'")


def _temporary_name(start: str, name: str) -> str:
    end = f"-{os.fsdecode(os.fsencode(name)[-_LONGEST_NAME:])}" if name else ""  # of any bytes, as names of files are
    return f"{start}locked-{_host()}-{os.urandom(6).hex()}{end}"


def _hold(path: Path, handle: int) -> bool:
    """Locks what was just created; returns False if another process took it for litter before."""
    import fcntl

    with suppress(OSError):  # without locks, nobody else can lock it either, and so it is never taken for litter
        fcntl.flock(handle, fcntl.LOCK_EX)
    return _is_same(path, handle)


def _is_same(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _remove_if_dead(path: Path) -> None:
    found = path.lstat()
    kind = stat.S_IFMT(found.st_mode)
    if found.st_uid != os.geteuid() or kind not in _PRIVATE:
        return
    match = _LOCKED.fullmatch(path.name)
    if match is None and (not _EARLIER_VERSIONS.fullmatch(path.name) or not _is_of_earlier_version(path, found)):
        return
    if (match is None or match["host"] != _host()) and _age(path, found) < OLD_AGE_S:
        return
    handle = lock_of(path)
    if handle is None:
        return
    try:
        if not _is_same(path, handle):
            return
        if kind == stat.S_IFDIR:
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
    finally:
        os.close(handle)


def _is_of_earlier_version(path: Path, found: os.stat_result) -> bool:
    """Returns whether something without a lock is litter: nothing that users made, and no results."""
    if stat.S_IMODE(found.st_mode) != _PRIVATE[stat.S_IFMT(found.st_mode)]:
        return False
    return not any((path / name).exists() for name in _RECORDS)


def _age(path: Path, found: os.stat_result) -> float:
    """Returns the seconds since a file, or a folder's newest entry, was changed."""
    changed = found.st_mtime
    if stat.S_ISDIR(found.st_mode):
        with os.scandir(path) as entries:
            changed = max([changed, *(entry.stat(follow_symlinks=False).st_mtime for entry in entries)])
    return time.time() - changed


def _host() -> str:
    """Returns this host's part of a temporary name: on a shared disk, locks may not be visible to other hosts."""
    return f"{zlib.crc32(os.uname().nodename.encode(errors='surrogateescape')):08x}"


def _temporary_root() -> Path:
    import tempfile  # takes milliseconds to import, and classifying needs no temporary file

    return Path(tempfile.gettempdir())
