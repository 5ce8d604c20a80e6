"""Data sets in a ZIP file, which is unpacked into the user's cache.

The folder is named by the SHA-256 of the ZIP, so runs and benchmarks of the same file share it, and sealed with a hash
of its content. A ZIP is refused as a whole if a name in it leads elsewhere, if it is encrypted or damaged, or if it
would become far larger than a set of photos does.
"""

from __future__ import annotations

import re
import shutil
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from unicodedata import normalize
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from tledge.core.errors import DataError
from tledge.core.fingerprint import sha256_of_file
from tledge.core.progress import Progress
from tledge.core.regular_file import open_regular
from tledge.core.user_cache import building, holds, user_cache
from tledge.core.zip_limits import directory_size, open_zip

MOST_FILES = 2_000_000
LARGEST_DIRECTORY = 256 * MOST_FILES
"""Bytes of the list of files in a ZIP; of a file's name in it and 46 bytes about it."""

LARGEST_FILE = 2**30
"""Bytes of a file in a ZIP; a photo that can be decoded is smaller."""

MOST_EXPANDED = 50
"""The most times that the files may be larger than the ZIP, above ``FREE_SIZE``: photos hardly become smaller in it."""

FREE_SIZE = 2**30
"""Bytes that any ZIP may take."""

SPARE = 2**28
"""Bytes that stay free on the disk."""


def unpack_photos(archive: Path, progress: Progress) -> tuple[Path, str]:
    """Unpacks a ZIP file, unless that was done before; a folder that has changed since is unpacked anew.

    Returns:
        The folder with its files, and the SHA-256 of the ZIP.

    Raises:
        DataError: the ZIP cannot be read, is encrypted, damaged or unsafe, or the disk has too little space.
    """
    try:
        sha256 = sha256_of_file(archive)
        stem = archive.stem.encode(errors="ignore")[:80].decode(errors="ignore")
        folder = user_cache("photos") / f"{stem}-{sha256[:16]}"
        if not holds(folder, progress):
            with _open(archive) as content, building(folder) as temporary:
                _unpack(archive, content, temporary, progress)
            size = sum(path.stat().st_size for path in folder.rglob("*"))
            progress.note("Unpacked", f"'{archive}' into '{folder}': {size / 1e6:,.0f} MB, safe to delete")
    except (BadZipFile, EOFError, zlib.error) as error:
        raise DataError(f"'{archive}' is not a complete ZIP file: {error}; copy or download it again") from error
    except OSError as error:
        raise DataError(f"cannot unpack '{archive}' to '{user_cache('photos')}': {error.strerror or error}") from error
    return folder, sha256


@contextmanager
def _open(archive: Path) -> Iterator[ZipFile]:
    """Opens a ZIP. Raises DataError if it lists too many files."""
    with open_regular(archive) as file:
        if directory_size(file) > LARGEST_DIRECTORY:
            raise DataError(
                f"'{archive}' lists too many files: at most {MOST_FILES:,} are unpacked; unpack it yourself and pass"
                " the folder"
            )
        with open_zip(file, LARGEST_DIRECTORY) as content:
            yield content


def _unpack(archive: Path, content: ZipFile, folder: Path, progress: Progress) -> None:
    members = [member for member in content.infolist() if not member.is_dir()]
    targets = _check_names(archive, members)
    _check_sizes(archive, members, free=shutil.disk_usage(folder).free)
    with progress.step(f"Unpack {archive.name}", len(members), "files") as step:
        for member, target in zip(members, targets, strict=True):
            path = folder / target
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with content.open(member) as packed, path.open("xb") as file:
                    for piece in _pieces(packed, member.file_size):
                        file.write(piece)
            except OSError as error:
                problem = error.strerror or str(error)
                raise DataError(f"cannot unpack '{target}' of '{archive}' to '{folder.parent}': {problem}") from error
            step.advance()


def _pieces(packed: IO[bytes], announced: int) -> Iterator[bytes]:
    """Yields the content of a file. Raises BadZipFile if it is longer than announced."""
    while piece := packed.read(2**20):
        announced -= len(piece)
        if announced < 0:
            raise BadZipFile("a file is larger than the ZIP says")
        yield piece


def _check_names(archive: Path, members: list[ZipInfo]) -> list[str]:
    """Returns the relative paths to unpack to. Raises DataError if one is unsafe or encrypted."""
    if len(members) > MOST_FILES:
        raise DataError(f"'{archive}' has {len(members):,} files; at most {MOST_FILES:,} are unpacked")
    names = [_name(member) for member in members]
    for name, member in zip(names, members, strict=True):
        if member.flag_bits & 1:
            raise DataError(f"'{archive}' is encrypted; unpack it yourself and pass the folder")
        if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise DataError(
                f"'{archive}' is not compressed by Deflate, as most ZIPs are; unpack it and pass the folder"
            )
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise DataError(f"'{archive}' is not unpacked: '{name}' in it is a link or a device; pass a folder instead")
        if re.match(r"[A-Za-z]:|.*\0", name, re.DOTALL) or {"", ".."} & set(name.split("/")):
            raise DataError(
                f"'{archive}' is not unpacked: the name '{name}' points outside its folder; create the ZIP again"
            )
    if clash := _find_clash(names):
        raise DataError(f"'{archive}' is not unpacked: it has {clash}; rename one and create the ZIP again")
    return names


def _find_clash(names: list[str]) -> str:
    """Returns which two names are one file or folder, on this disk or another; empty if none are."""
    files, folders = dict[str, str](), dict[str, str]()
    for number, name in enumerate(names):
        other = files.setdefault(normalize("NFC", name), name)
        if len(files) == number:
            return f"several files with the same name: '{other}' and '{name}'"
        for end in (match.start() for match in re.finditer("/", name)):
            if (other := folders.setdefault(normalize("NFC", name[:end]).casefold(), name[:end])) != name[:end]:
                return f"the folders '{other}' and '{name[:end]}'"
    both = files.keys() & {normalize("NFC", folder) for folder in folders.values()}
    return f"a file and a folder with the same name: '{files[min(both)]}'" if both else ""


def _name(member: ZipInfo) -> str:
    """Returns the path of a file without ``.``; macOS and Windows write UTF-8 and backslashes without saying so."""
    name = member.orig_filename
    if not member.flag_bits & 0x800:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return "/".join(part for part in name.replace("\\", "/").split("/") if part != ".")


def _check_sizes(archive: Path, members: list[ZipInfo], *, free: int) -> None:
    total, packed = sum(member.file_size for member in members), archive.stat().st_size
    largest = max((member.file_size for member in members), default=0)
    if largest > LARGEST_FILE or (total > FREE_SIZE and total > MOST_EXPANDED * packed):
        raise DataError(
            f"'{archive}' is not unpacked: its {packed / 1e6:,.0f} MB would become {total / 1e6:,.0f} MB, with a file"
            f" of {largest / 1e6:,.0f} MB, which is not a set of photos; unpack it yourself and pass the folder"
        )
    if total > free - SPARE:
        raise DataError(
            f"'{archive}' needs {total / 1e6:,.0f} MB in '{user_cache('photos')}', where {free / 1e6:,.0f} MB are free;"
            " free some space, or set XDG_CACHE_HOME to a folder on another disk"
        )
