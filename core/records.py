"""Records: frozen dataclasses that are kept as JSON and read back with the type and bounds of every field checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from tledge.core import atomic
from tledge.core.bounded_json import parse_json
from tledge.core.errors import RunError, TledgeError
from tledge.core.field_bounds import one_line, shown
from tledge.core.json_text import json_text
from tledge.core.record_types import FieldError, convert, json_type
from tledge.core.regular_file import read_bounded

VERSION_FIELD = "schema_version"

MOST_BYTES = 16 << 20
"""Of a record's file, where its class states no other limit."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """The base class of everything that is kept as JSON; a subclass is a frozen dataclass.

    The types of the fields decide what can be read: numbers, strings, tuples, mappings, optional values and other
    dataclasses, with bounds in ``Annotated`` (see ``core.field_bounds``). A field with a default may be absent, and
    unknown fields are ignored, so a field can be added without a new version. A ``ValueError`` or ``TledgeError`` from
    ``__post_init__`` is reported like a wrong type.

    Class parameters:
        version: the schema version, written as ``schema_version``; any other version is rejected. 0 for a record
            without a version, such as one that is only part of others.
        error: the type of the error for a record that cannot be read.
        remedy: what to do then ("train again"); the end of the error message.
        kind: what the error message calls the record ("the sidecar in"), put before the file's name; may be empty.
        most_bytes: the largest file that is read.
    """

    _version: ClassVar[int] = 0
    _error: ClassVar[type[TledgeError]] = RunError
    _remedy: ClassVar[str] = "create it again"
    _kind: ClassVar[str] = ""
    _most_bytes: ClassVar[int] = MOST_BYTES

    def __init_subclass__(
        cls,
        *,
        version: int | None = None,
        error: type[TledgeError] | None = None,
        remedy: str | None = None,
        kind: str | None = None,
        most_bytes: int | None = None,
    ) -> None:
        super().__init_subclass__()
        given = {"version": version, "error": error, "remedy": remedy, "kind": kind, "most_bytes": most_bytes}
        for name, value in given.items():
            if value is not None:
                setattr(cls, f"_{name}", value)

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields and the schema version as a dictionary that JSON can hold."""
        fields = asdict(self, dict_factory=_json_fields)
        return {VERSION_FIELD: self._version, **fields} if self._version else fields

    @classmethod
    def from_dict(cls, fields: object, source: str | Path) -> Self:
        """Reads what :meth:`to_dict` returned.

        Args:
            fields: a mapping with the fields; anything else is an error.
            source: the file that it came from, for error messages.

        Raises:
            TledgeError: of the class's ``error`` type: a field is missing, has the wrong type or is out of bounds, or
                the schema version is another one.
        """
        if not isinstance(fields, Mapping):
            raise cls._unreadable(source, f"expected an object, received {json_type(fields)}")
        version = fields.get(VERSION_FIELD)
        if version is not None and type(version) is not int:
            reason = f"'{VERSION_FIELD}': expected int, received {json_type(version)}"
            raise cls._unreadable(source, reason)
        version = version or 0
        if version != cls._version:
            remedy = f"use the tledge version that wrote it, or {cls._remedy}" if version else cls._remedy
            raise cls._unreadable(source, _describe_version(version, cls._version), remedy)
        try:
            record: Self = convert(fields, cls)
        except FieldError as error:
            raise cls._unreadable(source, str(error)) from error
        return record

    def to_json(self) -> bytes:
        """Returns the record as indented UTF-8 JSON."""
        return json_text(self.to_dict(), indent=2).encode()

    @classmethod
    def from_json(cls, content: bytes | str, source: str | Path) -> Self:
        """Reads JSON; see :meth:`from_dict` for ``source`` and the errors."""
        try:
            fields = parse_json(content)
        except ValueError as error:
            raise cls._unreadable(source, str(error)) from error
        return cls.from_dict(fields, source)

    def save(self, path: Path) -> None:
        """Writes the record as a JSON file, atomically."""
        atomic.write_json(path, self.to_dict())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a file that :meth:`save` wrote; see :meth:`from_dict` for the errors."""
        try:
            content = read_bounded(path, cls._most_bytes, "record")
        except OSError as error:
            raise cls._unreadable(path, error.strerror or str(error)) from error
        return cls.from_json(content, path)

    @classmethod
    def _unreadable(cls, source: str | Path, reason: str, remedy: str = "") -> TledgeError:
        named = f"{cls._kind} '{source}'".lstrip()
        return cls._error(f"cannot read {named}: {one_line(reason)}; {remedy or cls._remedy}")


def with_present_names(value: Any, names: Mapping[str, str]) -> Any:
    """Returns JSON of an earlier version with its fields renamed, at any depth; ``names`` is by the earlier name."""
    if isinstance(value, Mapping):
        return {names.get(name, name): with_present_names(item, names) for name, item in value.items()}
    return [with_present_names(item, names) for item in value] if isinstance(value, list) else value


def _json_fields(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Path) else value for name, value in items}


def _describe_version(received: int, read: int) -> str:
    if not received:
        return f"it has no schema version; this tledge reads version {read}"
    expected = f"version {read}" if read else "records without one"
    return f"it has schema version {shown(received)}; this tledge reads {expected}"
