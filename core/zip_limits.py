"""Limits of a ZIP archive that others may have made, checked before it is opened and before anything is unpacked."""

from __future__ import annotations

import io
import re
import stat
import struct
from typing import BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

LARGEST_DIRECTORY = 1 << 20
"""Bytes of the list of members: Python needs a hundred times as much memory for a list of empty names."""

LARGEST_MEMBER = 16 << 20
"""Bytes of a sidecar or a list of labels."""

MOST_EXPANDED = 20
"""The most times that the members may be larger than the file, above ``FREE_SIZE``: weights hardly become smaller."""

FREE_SIZE = 1 << 30
"""Bytes that the members of any file may have."""

_END, _END_64 = b"PK\x05\x06", b"PK\x06\x07"
_END_SIZE, _LOCATOR_SIZE, _END_64_SIZE, _LONGEST_COMMENT = 22, 20, 56, 65535


def open_zip(file: BinaryIO, largest: int = LARGEST_DIRECTORY) -> ZipFile:
    """Opens a ZIP archive, whose list of members is not too long.

    Args:
        file: the archive.
        largest: the most bytes that the list may have.

    Raises:
        BadZipFile: it is too long, or the file is no ZIP archive.
    """
    size = directory_size(file)
    if size > largest:
        raise BadZipFile(f"its list of members has {size:,} bytes; at most {largest:,} are read")
    return ZipFile(file)


def read_member(archive: ZipFile, member: str, limit: int = LARGEST_MEMBER) -> bytes:
    """Reads a member of an untrusted archive; zipfile reads no more than the size that it announces.

    Raises:
        KeyError: there is no member of that name.
        BadZipFile: it is larger than ``limit``, or its content is damaged.
    """
    size = archive.getinfo(member).file_size
    if size > limit:
        raise BadZipFile(f"'{member}' has {size:,} bytes; at most {limit:,} are read")
    return archive.read(member)


def check_members(archive: ZipFile, file_size: int) -> None:
    """Checks all members before a library unpacks them.

    Raises:
        BadZipFile: a name leads out of the archive or stands twice, a member is no file, is encrypted, overlaps another
            or is compressed in an unusual way, or all together are far larger than the file.
    """
    members = archive.infolist()
    if len({member.filename for member in members}) < len(members):
        raise BadZipFile("two members have the same name")
    end = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        _check_member(member)
        if member.header_offset < end:
            raise BadZipFile(f"'{member.filename}' overlaps another member")
        end = member.header_offset + 30 + len(member.filename.encode()) + member.compress_size
    total = sum(member.file_size for member in members)
    if total > max(FREE_SIZE, MOST_EXPANDED * file_size):
        raise BadZipFile(f"its {file_size:,} bytes would become {total:,}")


def _check_member(member: ZipInfo) -> None:
    name = member.filename
    parts = name.replace("\\", "/").rstrip("/").split("/")
    if {"", ".."} & set(parts) or re.match(r"[A-Za-z]:|.*\0", member.orig_filename, re.DOTALL):
        raise BadZipFile(f"the name '{name}' points outside the archive")
    if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise BadZipFile(f"'{name}' is a link or a device")
    if member.flag_bits & 1:
        raise BadZipFile(f"'{name}' is encrypted")
    if member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise BadZipFile(f"'{name}' is not compressed by Deflate")


def directory_size(file: BinaryIO) -> int:
    """Returns the size of the list of members that the end of an archive announces, 0 without one; as zipfile reads it.

    Source: PKWARE's APPNOTE.TXT, 4.3.14 to 4.3.16.
    """
    length = file.seek(0, io.SEEK_END)
    start = max(length - _LONGEST_COMMENT - _END_SIZE - _LOCATOR_SIZE - _END_64_SIZE, 0)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_SIZE:
        return 0
    size: int = struct.unpack_from("<L", tail, at + 12)[0]
    record = at - _LOCATOR_SIZE - _END_64_SIZE
    if record >= 0 and tail[at - _LOCATOR_SIZE :].startswith(_END_64):
        size = max(size, struct.unpack_from("<Q", tail, record + 40)[0])
    return size
