"""TensorFlow Lite Metadata of a TFLite file: its description, the normalization of its input, and its labels.

``export/tflite_metadata_writer.py`` writes the same. Sources: metadata_schema.fbs (tflite-support,
tensorflow_lite_support/metadata), which defines the slot numbers below; schema.fbs (LiteRT).
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tledge.core.zip_limits import open_zip, read_member

_ENTRY = b"TFLITE_METADATA"
_SUBGRAPHS, _DESCRIPTION, _NAME = 3, 1, 0  # ModelMetadata
_INPUTS, _OUTPUTS = 2, 3  # SubGraphMetadata
_CONTENT, _PROCESS_UNITS, _FILES = 3, 4, 6  # TensorMetadata
_KIND, _VALUE = 0, 1  # Content and ProcessUnit: a union and its type
_IMAGE_PROPERTIES, _NORMALIZATION = 2, 1  # members of those unions
_COLOURS = {1: "rgb", 2: "grey"}  # ColorSpaceType
_LABEL_FILES = (2, 3)  # AssociatedFileType: the labels of an axis, of a value


@dataclass(frozen=True)
class TFLiteMetadata:
    """The contents of the metadata; empty where it has none.

    Attributes:
        description: what the model is.
        colour: "rgb" or "grey".
        mean, std: from NormalizationOptions: a pixel value v becomes (v - mean) / std; one value or one per channel.
        labels: the class of each output.
    """

    description: str = ""
    colour: str = ""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()


def read_metadata(model: Path) -> TFLiteMetadata:
    """Reads the metadata of a TFLite file; absent or garbled metadata is empty, since the model runs without it."""
    try:
        content = _find_entry(model.read_bytes())
        if not content:
            return TFLiteMetadata(labels=_read_labels(model, None))
        root = _Table(content, struct.unpack_from("<I", content)[0])
        graph = next(iter(root.tables(_SUBGRAPHS)), None)
        image = next(iter(graph.tables(_INPUTS)), None) if graph else None
        output = next(iter(graph.tables(_OUTPUTS)), None) if graph else None
        mean, std = _normalization(image) if image else ((), ())
        return TFLiteMetadata(
            description=root.text(_DESCRIPTION) or root.text(_NAME),
            colour=_colour(image) if image else "",
            mean=mean,
            std=std,
            labels=_read_labels(model, output),
        )
    except (struct.error, IndexError, ValueError, TypeError, RuntimeError, zipfile.BadZipFile, zlib.error):
        return TFLiteMetadata()


class _Table:
    """A table of a FlatBuffer, whose fields are read by their slots."""

    def __init__(self, content: bytes, position: int) -> None:
        from flatbuffers.table import Table  # type: ignore[import-untyped]

        self._content = content
        self._table: Any = Table(content, position)

    def _offset(self, slot: int) -> int:
        """Returns the position of a field; 0 if it is absent."""
        offset: int = self._table.Offset(4 + 2 * slot)
        return offset and offset + int(self._table.Pos)

    def text(self, slot: int) -> str:
        offset = self._offset(slot)
        return bytes(self._table.String(offset)).decode("utf-8", "replace") if offset else ""

    def number(self, slot: int) -> int:
        """Returns an enumeration of one byte."""
        offset = self._offset(slot)
        return self._content[offset] if offset else 0

    def table(self, slot: int) -> _Table | None:
        offset = self._offset(slot)
        return _Table(self._content, int(self._table.Indirect(offset))) if offset else None

    def _vector(self, slot: int) -> tuple[int, int]:
        """Returns the position and the length of a vector; zeros if it is absent."""
        offset = self._table.Offset(4 + 2 * slot)
        return (int(self._table.Vector(offset)), int(self._table.VectorLen(offset))) if offset else (0, 0)

    def tables(self, slot: int) -> list[_Table]:
        start, count = self._vector(slot)
        positions = (int(self._table.Indirect(start + 4 * index)) for index in range(count))
        return [_Table(self._content, position) for position in positions]

    def floats(self, slot: int) -> tuple[float, ...]:
        start, count = self._vector(slot)
        return struct.unpack_from(f"<{count}f", self._content, start)


def _find_entry(model: bytes) -> bytes:
    """Returns the buffer of the model's metadata entry; empty without one."""
    from ai_edge_litert import schema_py_generated as schema

    root = schema.Model.GetRootAs(model, 0)
    for index in range(root.MetadataLength()):
        if root.Metadata(index).Name() == _ENTRY:
            buffer = root.Buffers(root.Metadata(index).Buffer())
            return b"" if buffer.DataIsNone() else bytes(buffer.DataAsNumpy())
    return b""


def _colour(image: _Table) -> str:
    content = image.table(_CONTENT)
    if content is None or content.number(_KIND) != _IMAGE_PROPERTIES:
        return ""
    properties = content.table(_VALUE)
    return _COLOURS.get(properties.number(0), "") if properties else ""


def _normalization(image: _Table) -> tuple[tuple[float, ...], tuple[float, ...]]:
    for unit in image.tables(_PROCESS_UNITS):
        options = unit.table(_VALUE)
        if unit.number(_KIND) == _NORMALIZATION and options is not None:
            return options.floats(0), options.floats(1)
    return (), ()


def _read_labels(model: Path, output: _Table | None) -> tuple[str, ...]:
    """Returns the labels in the ZIP appended to the file: the file that the output names, or the only text file."""
    if not zipfile.is_zipfile(model):
        return ()
    with model.open("rb") as file, open_zip(file) as archive:
        names = [item.text(0) for item in output.tables(_FILES) if item.number(2) in _LABEL_FILES] if output else []
        names = [name for name in names if name in archive.namelist()] or [
            name for name in archive.namelist() if name.endswith(".txt")
        ]
        if len(names) != 1:
            return ()
        return tuple(read_member(archive, names[0]).decode("utf-8", "replace").splitlines())
