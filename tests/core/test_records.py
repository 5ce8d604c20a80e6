"""What a record accepts when it is read, and how it names what it does not accept."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tledge.core.errors import ArtifactError, DataError, RunError
from tledge.core.records import Record

pytestmark = pytest.mark.unit


class Pair(NamedTuple):
    name: str
    count: int


@dataclass(frozen=True, kw_only=True)
class Lens:
    focal: float

    def __post_init__(self) -> None:
        if self.focal <= 0:
            raise ValueError(f"focal must be above 0; received {self.focal}")


@dataclass(frozen=True, kw_only=True)
class Shot(Record, version=3, error=ArtifactError, remedy="take it again", kind="the shot in"):
    lens: Lens
    size: tuple[int, int]
    classes: Mapping[str, int]
    pairs: tuple[Pair, ...] = ()
    interval: tuple[float, float] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Plain(Record):
    name: str = "x"


@dataclass(frozen=True, kw_only=True)
class Refusing(Record, error=RunError, remedy="do not"):
    name: str

    def __post_init__(self) -> None:
        raise DataError("no such name")


SHOT = Shot(
    lens=Lens(focal=3.5),
    size=(640, 480),
    classes={"cat": 2},
    pairs=(Pair("a", 1), Pair("ü", 2)),
    interval=(0.25, 0.5),
    extra={"any": [1, None, {"deep": "x"}]},
)
FIELDS = json.loads(SHOT.to_json())


def test_a_record_survives_as_dictionary_json_and_file(tmp_path: Path) -> None:
    assert Shot.from_dict(SHOT.to_dict(), "x") == SHOT
    assert Shot.from_json(SHOT.to_json(), "x") == SHOT
    SHOT.save(tmp_path / "shot.json")
    assert Shot.load(tmp_path / "shot.json") == SHOT
    assert FIELDS["schema_version"] == 3
    assert FIELDS["pairs"] == [["a", 1], ["ü", 2]]
    assert "ü" in SHOT.to_json().decode()


def test_absent_fields_with_defaults_and_unknown_fields_are_accepted() -> None:
    few = {"schema_version": 3, "lens": {"focal": 1}, "size": [1, 2], "classes": {}, "new": 1}
    assert Shot.from_dict(few, "x") == Shot(lens=Lens(focal=1.0), size=(1, 2), classes={})


def test_a_record_without_a_version_writes_none() -> None:
    assert Plain().to_dict() == {"name": "x"}
    assert Plain.from_dict({}, "x") == Plain()


OTHER = "this tledge reads version 3; use the tledge version that wrote it, or"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"lens": {"focal": "wide"}}, "'lens.focal': expected float, received str", id="nested type"),
        pytest.param({"lens": {"focal": True}}, "'lens.focal': expected float, received bool", id="bool as a number"),
        pytest.param({"lens": {}}, "'lens': field 'focal' is missing", id="nested missing"),
        pytest.param({"lens": {"focal": 0}}, "'lens': focal must be above 0; received 0.0", id="a check of its own"),
        pytest.param({"size": [1]}, "'size': expected array of length 2, received 1", id="short tuple"),
        pytest.param({"size": [1, 2, 3]}, "'size': expected array of length 2, received 3", id="long tuple"),
        pytest.param({"size": [1, "2"]}, "'size[1]': expected int, received str", id="item of a tuple"),
        pytest.param({"size": [1, 2.5]}, "'size[1]': expected int, received float", id="fraction as an int"),
        pytest.param({"classes": {"cat": None}}, "'classes[...]': expected int, received null", id="value of a map"),
        pytest.param({"classes": []}, "'classes': expected object, received array", id="list as a map"),
        pytest.param({"pairs": [["a", 1], ["b"]]}, "'pairs[1]': expected array of length 2, received 1", id="pair"),
        pytest.param({"interval": [0.5]}, "'interval': expected array of length 2, received 1", id="optional"),
        pytest.param({"schema_version": 2}, f"it has schema version 2; {OTHER}", id="earlier version"),
        pytest.param({"schema_version": 4}, f"it has schema version 4; {OTHER}", id="later version"),
        pytest.param(
            {"schema_version": None}, "it has no schema version; this tledge reads version 3", id="no version"
        ),
    ],
)
def test_a_wrong_field_is_named_with_its_path(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ArtifactError) as caught:
        Shot.from_dict({**FIELDS, **change}, "a.json")
    end = " take it again" if reason.endswith(", or") else "; take it again"
    assert str(caught.value) == f"cannot read the shot in 'a.json': {reason}{end}"


def test_a_missing_field_is_named() -> None:
    with pytest.raises(ArtifactError, match="'a.json': field 'size' is missing; take it again"):
        Shot.from_dict({name: value for name, value in FIELDS.items() if name != "size"}, "a.json")


@pytest.mark.parametrize(("content", "received"), [("[]", "array"), ('"x"', "str"), ("null", "null"), ("1", "int")])
def test_json_that_is_not_an_object_is_an_error(content: str, received: str) -> None:
    with pytest.raises(ArtifactError, match=f"'a.json': expected an object, received {received}; take it again"):
        Shot.from_json(content, "a.json")


def test_a_version_is_not_accepted_where_there_is_none() -> None:
    with pytest.raises(
        RunError,
        match="schema version 1; this tledge reads records without one; use the tledge version that wrote it, or"
        " create it",
    ):
        Plain.from_dict({"schema_version": 1}, "a.json")


def test_an_error_of_ours_gets_the_type_the_file_and_the_remedy() -> None:
    with pytest.raises(RunError, match="^cannot read 'a.json': no such name; do not$"):
        Refusing.from_dict({"name": "x"}, "a.json")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"a": 1}}'])
def test_what_is_not_json_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"cannot read the shot in '.*a.json': not valid JSON: .*; take it again"):
        Shot.load(path)


def test_an_absent_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"'.*gone.json': No such file or directory; take it again"):
        Shot.load(tmp_path / "gone.json")
