"""The bounds of fields, on both sides; and JSON that is not decoded."""

import json
from typing import Annotated, Any, NamedTuple

import pytest

from tledge.core.bounded_json import parse_json
from tledge.core.field_bounds import (
    LARGEST_INTEGER,
    LONGEST_REASON,
    MOST_CHARACTERS,
    AnyFloat,
    Characters,
    Count,
    FileName,
    Fraction,
    ImageSize,
    IsoTime,
    Items,
    NotNegative,
    OptionalSha256,
    PathInside,
    Positive,
    PositiveCount,
    Sha256,
    TargetName,
    one_line,
    shown,
)
from tledge.core.options import Choices
from tledge.core.record_types import FieldError, convert

pytestmark = pytest.mark.unit


class Case(NamedTuple):
    """A type with values that it takes and values that it refuses."""

    declared: Any
    taken: tuple[Any, ...]
    refused: tuple[Any, ...]


CASES = {
    "int": Case(int, (0, LARGEST_INTEGER, -LARGEST_INTEGER), (LARGEST_INTEGER + 1, -LARGEST_INTEGER - 1, 10**4000)),
    "float": Case(float, (0.0, 1e308, -5e-324, 7), (float("nan"), float("inf"), float("-inf"), 10**400)),
    "any float": Case(AnyFloat, (float("inf"), float("nan"), 1.0), (10**400, "1")),
    "count": Case(Count, (0, 1), (-1, True, 0.0)),
    "positive count": Case(PositiveCount, (1,), (0,)),
    "fraction": Case(Fraction, (0, 0.0, 1.0), (-1e-9, 1 + 1e-9)),
    "positive": Case(Positive, (5e-324,), (0.0, 0, -1)),
    "not negative": Case(NotNegative, (0.0, 0), (-1e-9,)),
    "text": Case(
        str,
        ("", "a" * MOST_CHARACTERS, "a\nü\U0001f600", "caf\udce9.jpg"),
        ("a" * (MOST_CHARACTERS + 1), "\0", "\ud800", "a\udfff"),
    ),
    "long text": Case(Annotated[str, Characters(most=20_000)], ("a" * 20_000,), ("a" * 20_001,)),
    "items": Case(Annotated[tuple[int, ...], Items(least=1, most=2)], ([1], [1, 2]), ([], [1, 2, 3])),
    "optional": Case(Count | None, (None, 0), (-1,)),
    "choice": Case(Annotated[str, Choices("colour", ("red", "blue"))], ("red",), ("", "Red")),
    "sha256": Case(Sha256, ("0123456789abcdef" * 4,), ("", "0" * 63, "0" * 65, "A" * 64, "0" * 64 + "\n")),
    "optional sha256": Case(OptionalSha256, ("", "f" * 64), ("f", "\n")),
    "file name": Case(FileName, ("a", ".a", "..a", "ü b.png"), ("", ".", "..", "a/b", "/a", "a\\b")),
    "path inside": Case(
        PathInside,
        ("a", "a/b.png", "..a/b..", "a/.b", "a\n/b"),
        ("", ".", "..", "/a", "../a", "a/..", "a/../b", "a/./b", "a\\..\\b", "a\n/../b"),
    ),
    "size": Case(ImageSize, ([1, 65_535],), ([0, 1], [1, 65_536], [1])),
    "time": Case(IsoTime, ("2026-11-23T10:15:00+00:00", "2026-11-23T10:15:00.5Z"), ("", "2026-11-23", "yesterday")),
    "target": Case(TargetName, ("litert", "litert:cpu:2"), ("", "a/b", "litert:cpu:2:3", "a:", "../a")),
    "any": Case(Any, (None, {"a": [1.5, "x"]}), ({"a": [float("nan")]}, ["\ud800"], {"\0": 1}, 10**30)),
}


@pytest.mark.parametrize("name", CASES)
def test_values_within_bounds_are_taken(name: str) -> None:
    declared, taken, _ = CASES[name]
    for value in taken:
        found = convert(value, declared, "field")
        assert found == (tuple(value) if isinstance(value, list) else value) or found != found


@pytest.mark.parametrize("name", CASES)
def test_values_out_of_bounds_are_refused(name: str) -> None:
    declared, _, refused = CASES[name]
    for value in refused:
        with pytest.raises(FieldError, match="field") as caught:
            convert(value, declared, "field")
        assert len(str(caught.value)) < 200
        assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"a": 1, "a": 1}', "^field 'a' is there twice$"),
        (b'[{"b": {"a": 1, "c": 2, "a": 3}}]', "^field 'a' is there twice$"),
        (b"[" * 33 + b"]" * 33, "^it is nested deeper than 32 levels$"),
        (b'{"x": ' + b"[" * 32 + b"]" * 32 + b"}", "^'x' is nested deeper than 32 levels$"),
        (b"[" * 100_000, "^it is nested deeper than 32 levels$"),
        (b"9" * 5000, "^not valid JSON: Exceeds the limit"),
        ('{"a": "ü"}'.encode("latin-1"), "^not valid JSON: 'utf-8' codec"),
        ('{"a": 1}'.encode("utf-16"), "^not valid JSON: 'utf-8' codec"),
        (b"", "^not valid JSON: Expecting value"),
    ],
)
def test_json_out_of_bounds_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_json(content)


def test_a_byte_order_mark_is_skipped() -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": 1}') == parse_json('\ufeff{"a": 1}') == {"a": 1}


def test_the_deepest_json_is_decoded() -> None:
    text = "[" * 32 + "]" * 32
    assert parse_json(text) == json.loads(text)


def test_a_quoted_value_is_short_and_printable() -> None:
    assert shown("a\x1b\u202e") == r"'a\x1b\u202e'"
    assert len(shown("a" * 1000)) < 70
    assert shown(10**4000) == "about 2^13288"
    assert shown(-(10**4000)) == "about -2^13288"
    assert one_line("a\nb\x1b\u202e\ud800ü") == r"a\nb\x1b\u202e\ud800ü"
    assert one_line("a" * LONGEST_REASON) == "a" * LONGEST_REASON
    assert one_line("a" * 10_000) == "a" * LONGEST_REASON + "…"
