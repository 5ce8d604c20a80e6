"""Sidecars inside model files, so that there is only one file to copy.

* TFLite: a ZIP archive with ``tledge.json`` and ``labels.txt`` is appended to the model, like the associated files of
  TensorFlow Lite Metadata. A FlatBuffer is read from its start, a ZIP from its end.
* Keras: a ``.keras`` file is a ZIP; the same two members are added to it.
* ONNX: entries of ``ModelProto.metadata_props`` (field 14 of onnx.proto). Protocol Buffers concatenate repeated fields,
  so the encoded entries are appended to the file. Reading them needs no library: other top-level fields are skipped by
  their length.

What is embedded ends in a checksum of all bytes before it: in a ZIP the archive's comment, in ONNX the value of the
last property. So damage is noticed without the sidecar beside the file.
"""

from __future__ import annotations

import io
import mmap
import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from tledge.core.checksum import SIZE, check_file, checksum_of, damage_error
from tledge.core.errors import ArtifactError, OptionError
from tledge.core.file_kinds import HEAD, recognize
from tledge.core.regular_file import open_regular
from tledge.core.zip_limits import open_zip, read_member

SIDECAR = "tledge.json"
LABELS = "labels.txt"
FORMATS = ("tflite", "onnx", "keras")
_OWN_BYTES = {"tflite": rb".{4}TFL3", "onnx": rb"\x08", "keras": rb"PK"}
CHECKSUM = "tledge.checksum"
"""The name of an ONNX file's last property."""

_LARGEST_TEXT = 16 << 20  # bytes of all properties together, of which a sidecar is one

_METADATA_PROPS = 14  # onnx.proto: ModelProto.metadata_props, a repeated StringStringEntryProto
_VARINT, _FIXED64, LENGTH, _FIXED32 = 0, 1, 2, 5  # Protocol Buffers wire types
_FIRST_ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # a constant time stamp, so that the same model gives the same file


def format_of(path: Path) -> str:
    """Returns the format of a model file, by its suffix. Raises OptionError if the suffix is unknown."""
    name = path.suffix.lower().removeprefix(".")
    if name not in FORMATS:
        known = recognize(path)
        expected = "expected a name ending in .tflite, .onnx or .keras"
        raise OptionError(f"'{path}' is not a model file; {expected}{known and f'; it is {known}'}")
    return name


def embed(model: bytes, model_format: str, members: Mapping[str, bytes]) -> bytes:
    """Returns a model file's bytes with named members and a checksum added.

    Args:
        model: the model file's bytes, without members.
        model_format: one of ``FORMATS``.
        members: contents by name.
    """
    blank = bytes(SIZE)
    if model_format == "onnx":
        entries = (
            _encode_field(1, name.encode()) + _encode_field(2, content)
            for name, content in {**members, CHECKSUM: blank}.items()
        )
        whole = model + b"".join(_encode_field(_METADATA_PROPS, entry) for entry in entries)
    else:
        buffer = io.BytesIO(model)
        with zipfile.ZipFile(buffer, "a") as archive:
            for name, content in members.items():
                archive.writestr(zipfile.ZipInfo(name, _FIRST_ZIP_DATE), content)
            archive.comment = blank
        whole = buffer.getvalue()
    return whole[:-SIZE] + bytes(checksum_of(memoryview(whole)[:-SIZE]))


def extract(path: Path, model_format: str, member: str) -> bytes | None:
    """Reads a member of a model file; None if there is none of that name.

    Raises:
        ArtifactError: the file is empty, cut off, has another format, or does not match the checksum in it.
        OSError: it cannot be read, or is not a regular file.
    """
    check_file(path)
    with open_regular(path) as file:
        head = file.read(HEAD)
        if not head:
            raise ArtifactError(f"'{path}' is empty (0 bytes): copy or export it again")
        if not re.match(_OWN_BYTES[model_format], head, re.DOTALL) and (known := recognize(path, head)):
            raise ArtifactError(f"'{path}' is {known}")
        if model_format == "onnx":
            found = _read_properties(file, path).get(member)
        elif model_format == "tflite" and head[4:8] != b"TFL3":
            start = repr(head[:8])
            raise ArtifactError(f"'{path}' is not a TFLite model (it starts with {start}): copy or export it again")
        else:
            found = _read_from_zip(file, path, model_format, member)
        if found is None and member == SIDECAR:
            _check_remains(file, path)
        return found


def _read_from_zip(file: BinaryIO, path: Path, model_format: str, member: str) -> bytes | None:
    try:
        with open_zip(file) as archive:
            return read_member(archive, member)
    except KeyError:
        return None
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError, OSError) as error:
        if model_format == "tflite":
            return None
        raise ArtifactError(f"'{path}' is not a complete .keras file ({error}): copy or train it again") from error


def _check_remains(file: BinaryIO, path: Path) -> None:
    """Raises ArtifactError if a file without a sidecar has the name of one: it was cut off, or something was added."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find(SIDECAR.encode()) >= 0:
            raise damage_error(path, "its sidecar cannot be read")


def read_properties(path: Path) -> dict[str, str]:
    """Reads all metadata properties of an ONNX file. Raises ArtifactError if it is not one."""
    with open_regular(path) as file:
        found = _read_properties(file, path)
    return {name: content.decode("utf-8", "replace") for name, content in found.items()}


def _encode_field(number: int, content: bytes) -> bytes:
    return _encode_varint(number << 3 | LENGTH) + _encode_varint(len(content)) + content


def _encode_varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _read_properties(file: BinaryIO, path: Path) -> dict[str, bytes]:
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    found: dict[str, bytes] = {}
    left = _LARGEST_TEXT
    try:
        while file.tell() < size:
            number, wire, length = read_header(file)
            if file.tell() + length > size:
                raise ValueError("a field runs past the end of the file")
            if number == _METADATA_PROPS and wire == LENGTH:
                left -= length
                if left < 0:
                    raise ValueError(f"its metadata has more than {_LARGEST_TEXT:,} bytes")
                entry = read_entry(file.read(length))
                found[entry.get(1, b"").decode("utf-8", "replace")] = entry.get(2, b"")
            else:
                file.seek(length, io.SEEK_CUR)
    except ValueError as error:
        raise ArtifactError(f"'{path}' is not a complete ONNX model ({error}): copy or export it again") from error
    return found


def read_header(file: BinaryIO) -> tuple[int, int, int]:
    """Reads the next field's number, wire type and content length in bytes, up to its content."""
    key = _read_varint(file)
    number, wire = key >> 3, key & 7
    if number == 0:
        raise ValueError("field number 0")
    if wire == _VARINT:
        _read_varint(file)
        return number, wire, 0
    if wire == LENGTH:
        return number, wire, _read_varint(file)
    if wire in (_FIXED32, _FIXED64):
        return number, wire, 4 if wire == _FIXED32 else 8
    raise ValueError(f"wire type {wire}")


def _read_varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise ValueError("it ends inside a number")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise ValueError("a number is too long")


def read_entry(content: bytes) -> dict[int, bytes]:
    """Returns the fields of a StringStringEntryProto: its key is 1, its value 2."""
    file = io.BytesIO(content)
    entry: dict[int, bytes] = {}
    while file.tell() < len(content):
        number, _, length = read_header(file)
        entry[number] = file.read(length)
    return entry
