"""Values read from JSON, converted to the declared types of a record's fields; each type and bound is checked."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from tledge.core.bounded_json import check_depth
from tledge.core.errors import TledgeError
from tledge.core.field_bounds import find_fault

_SCALARS = frozenset((str, int, float, bool))


class FieldError(ValueError):
    """A value that its field's declared type does not allow.

    Args:
        reason: what is wrong with the value.
        path: where it stands, such as ``data.images`` or ``pairs[1]``; empty for the record itself.
    """

    def __init__(self, reason: str, path: str) -> None:
        super().__init__(f"'{path}': {reason}" if path else reason)


def convert(value: object, declared: Any, path: str = "") -> Any:
    """Converts what :func:`json.loads` returned to a declared type.

    Args:
        value: a mapping, list, string, number, boolean or None, or any nesting of these.
        declared: a dataclass, a named tuple, ``tuple[...]``, ``Mapping[str, ...]``, a union, ``Any``, ``Path`` or a
            JSON scalar; with bounds in ``Annotated``, see ``core.field_bounds``. A ``float`` accepts a whole number;
            no number accepts a boolean. Unknown fields of a dataclass are ignored, and fields with a default may be
            absent.
        path: where the value stands, for the error message.

    Returns:
        A value of the declared type.

    Raises:
        FieldError: a value has another type or length or is out of bounds, a field is missing, or a
            ``__post_init__`` raised ``ValueError``, ``TypeError`` or ``TledgeError``.
    """
    return _convert(value, declared, path)


def json_type(value: object) -> str:
    """Returns what JSON calls a value's type: ``object``, ``array`` or ``null``; scalars have their Python names."""
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "object"
    return "array" if isinstance(value, list | tuple) else type(value).__name__


def _convert(value: object, declared: Any, path: str, bounds: tuple[Any, ...] = ()) -> Any:
    if declared.__class__ is not type:  # not a plain class, which need not be taken apart
        origin = get_origin(declared)
        if origin is Annotated:
            return _convert(value, declared.__origin__, path, (*bounds, *declared.__metadata__))
        if origin in (Union, types.UnionType):
            return _convert_union(value, get_args(declared), path, bounds)
    converted = value if type(value) is declared in _SCALARS else _convert_type(value, declared, path)
    if fault := find_fault(value, bounds):
        raise FieldError(fault, path)
    return converted


def _convert_type(value: object, declared: Any, path: str) -> Any:
    if declared is Any:
        _check_any(value, path)
        return value
    if is_dataclass(declared):
        return _convert_dataclass(_expect(value, Mapping, declared, path), declared, path)
    if _is_mapping(declared):
        key_type, value_type = get_args(declared) or (Any, Any)
        mapping = _expect(value, Mapping, declared, path)
        return {
            _convert(key, key_type, path): _convert(item, value_type, f"{path}[...]") for key, item in mapping.items()
        }
    if _is_array(declared):
        return _convert_array(_expect(value, (list, tuple), declared, path), declared, path)
    if declared is float and type(value) is int:
        if fault := find_fault(value, ()):
            raise FieldError(fault, path)
        return float(value)
    if declared is Path and isinstance(value, str):
        return Path(value)
    if (declared is type(None) and value is None) or type(value) is declared:
        return value
    raise _wrong_type(value, declared, path)


def _check_any(value: object, path: str) -> None:
    """Checks the values inside a field of any type: their depth, finite numbers and valid texts."""
    try:
        check_depth(value)
    except ValueError as error:
        raise FieldError(str(error), path) from error
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Mapping):
            waiting += [*item, *item.values()]
        elif isinstance(item, list | tuple):
            waiting += item
        elif fault := find_fault(item, ()):
            raise FieldError(fault, path)


def _convert_union(value: object, members: Sequence[Any], path: str, bounds: tuple[Any, ...]) -> Any:
    """Takes the member whose JSON type is the value's own; a whole number stands for a float only where no int may."""
    received = json_type(value)
    for member in members:
        if member is Any or _type_name(member) == received:
            return _convert(value, member, path, bounds)
    for member in members:
        if received == "int" and _type_name(member) == "float":
            return _convert(value, member, path, bounds)
    expected = " | ".join(_type_name(member) for member in members)
    raise FieldError(f"expected {expected}, received {received}", path)


def _convert_array(values: Sequence[Any], declared: Any, path: str) -> Any:
    if hasattr(declared, "_fields"):  # a named tuple
        hints = _hints_of(declared)
        item_types = [hints[name] for name in declared._fields]
    else:
        item_types = list(get_args(declared)) or [Any, ...]
        if get_origin(declared) is list or item_types[-1] is Ellipsis:
            item_types = item_types[:1] * len(values)
    if len(values) != len(item_types):
        raise FieldError(f"expected array of length {len(item_types)}, received {len(values)}", path)
    items = [
        _convert(item, item_type, f"{path}[{index}]")
        for index, (item, item_type) in enumerate(zip(values, item_types, strict=True))
    ]
    return declared(*items) if hasattr(declared, "_fields") else (get_origin(declared) or declared)(items)


def _convert_dataclass(values: Mapping[str, Any], declared: Any, path: str) -> Any:
    arguments = {}
    for name, (field_type, required) in _fields_of(declared).items():
        if name in values:
            arguments[name] = _convert(values[name], field_type, f"{path}.{name}" if path else name)
        elif required:
            raise FieldError(f"field '{name}' is missing", path)
    try:
        return declared(**arguments)
    except FieldError:
        raise
    except (TypeError, ValueError, TledgeError) as error:
        raise FieldError(str(error), path) from error


@cache
def _hints_of(declared: Any) -> dict[str, Any]:
    return get_type_hints(declared, include_extras=True)


@cache
def _fields_of(declared: Any) -> dict[str, tuple[Any, bool]]:
    """Returns each field's type and whether it must be given, by its name."""
    hints = _hints_of(declared)
    return {
        field.name: (hints[field.name], field.default is MISSING and field.default_factory is MISSING)
        for field in fields(declared)
        if field.init
    }


def _expect(value: object, accepted: Any, declared: Any, path: str) -> Any:
    if not isinstance(value, accepted):
        raise _wrong_type(value, declared, path)
    return value


def _wrong_type(value: object, declared: Any, path: str) -> FieldError:
    return FieldError(f"expected {_type_name(declared)}, received {json_type(value)}", path)


def _type_name(declared: Any) -> str:
    if get_origin(declared) is Annotated:
        return _type_name(get_args(declared)[0])
    if declared is Path:
        return "str"
    if declared in (None, type(None)):
        return "null"
    if is_dataclass(declared) or _is_mapping(declared):
        return "object"
    return "array" if _is_array(declared) else getattr(declared, "__name__", str(declared))


def _is_mapping(declared: Any) -> bool:
    return (get_origin(declared) or declared) in (Mapping, dict)


def _is_array(declared: Any) -> bool:
    return hasattr(declared, "_fields") or (get_origin(declared) or declared) in (tuple, list)
