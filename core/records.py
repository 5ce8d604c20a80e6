"""Records: frozen dataclasses that are written as JSON, and read back with every field's type checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from tledge.core import atomic
from tledge.core.errors import RunError, TledgeError

VERSION_FIELD = "schema_version"


@dataclass(frozen=True, kw_only=True)
class Record:
    """The base class of everything that is kept as JSON; a subclass is a frozen dataclass.

    The field types say what may be read: numbers, strings, tuples, mappings, optional values and other dataclasses.
    A field with a default may be absent, so that a field can be added without a new version.

    Class parameters:
        version: the schema version. It is written as ``schema_version``, and another one is rejected. 0 for a record
            that only stands inside others, which carries no version.
        error: raised for a record that cannot be read.
        remedy: what the user can do then ("train again"); it ends the error message.
    """

    _version: ClassVar[int] = 0
    _error: ClassVar[type[TledgeError]] = RunError
    _remedy: ClassVar[str] = "create it again"

    def __init_subclass__(
        cls,
        *,
        version: int | None = None,
        error: type[TledgeError] | None = None,
        remedy: str | None = None,
        **more: Any,
    ) -> None:
        super().__init_subclass__(**more)
        if version is not None:
            cls._version = version
        if error is not None:
            cls._error = error
        if remedy is not None:
            cls._remedy = remedy

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields, and the schema version, as a dictionary that JSON can hold."""
        fields = asdict(self)
        return {VERSION_FIELD: self._version, **fields} if self._version else fields

    @classmethod
    def from_dict(cls, fields: object, source: str | Path) -> Self:
        """Reads what :meth:`to_dict` returned.

        Args:
            fields: a mapping with the fields; anything else is an error.
            source: the file it came from, for error messages.

        Raises:
            TledgeError: of the class's ``error`` type, if a field is missing or has the wrong type, or if the schema
                version is another one.
        """
        import msgspec

        if not isinstance(fields, Mapping):
            raise cls._unreadable(source, f"expected an object, received {type(fields).__name__}")
        known = dict(fields)
        version = known.pop(VERSION_FIELD, 0)
        if version != cls._version:
            raise cls._unreadable(source, f"schema version {version}; this tledge reads {cls._version}")
        try:
            return msgspec.convert(known, cls)
        except (msgspec.ValidationError, TledgeError, ValueError) as error:
            raise cls._unreadable(source, str(error)) from error

    def to_json(self) -> bytes:
        """Returns the record as indented UTF-8 JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=2).encode()

    @classmethod
    def from_json(cls, content: bytes | str, source: str | Path) -> Self:
        """Reads JSON; arguments and errors are those of :meth:`from_dict`."""
        try:
            fields = json.loads(content)
        except ValueError as error:
            raise cls._unreadable(source, f"not valid JSON: {error}") from error
        return cls.from_dict(fields, source)

    def save(self, path: Path) -> None:
        """Writes the record as a JSON file, whole or not at all."""
        atomic.write_json(path, self.to_dict())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a file that :meth:`save` wrote; errors are those of :meth:`from_dict`."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise cls._unreadable(path, error.strerror or str(error)) from error
        return cls.from_json(content, path)

    @classmethod
    def _unreadable(cls, source: str | Path, reason: str) -> TledgeError:
        return cls._error(f"cannot read '{source}': {reason}; {cls._remedy}")
