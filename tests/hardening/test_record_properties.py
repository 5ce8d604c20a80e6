"""The readers of records with generated JSON: each takes it or refuses it in one line, and reads back what it took."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir

from tledge.bench.profile.operator_profile import Profile
from tledge.bench.results.cell_result import Specification
from tledge.bench.results.round_conditions import ConditionsRecord
from tledge.bench.results.settings import BenchSettings
from tledge.bench.robustness.attack_examples import RobustnessRecord
from tledge.bench.robustness.attack_plan import AttackPlan
from tledge.bench.robustness.attack_set import AttackSetManifest
from tledge.core.bounded_json import DEEPEST, parse_json
from tledge.core.environment import Environment
from tledge.core.errors import TledgeError
from tledge.core.field_bounds import Items, Matching
from tledge.core.images import RESIZE_RULES
from tledge.core.manifest import RunManifest
from tledge.core.measurement import UNITS, Measurement
from tledge.core.options import Choices, Limits
from tledge.core.progress import Progress
from tledge.core.record_types import convert
from tledge.core.records import Record
from tledge.core.sidecar import Sidecar
from tledge.core.splits import Splits
from tledge.core.worker import read_reply
from tledge.export.export_record import ExportRecord
from tledge.train.report.evaluation_record import EvaluationRecord
from tledge.train.resume import UnfinishedRun

pytestmark = pytest.mark.unit

RECORDS: tuple[type[Record], ...] = (
    AttackPlan,
    AttackSetManifest,
    BenchSettings,
    ConditionsRecord,
    Environment,
    EvaluationRecord,
    ExportRecord,
    Measurement,
    Profile,
    RobustnessRecord,
    RunManifest,
    Sidecar,
    Specification,
    UnfinishedRun,
)
EXAMPLES = 10
"""Of each record and test, at scale 1."""

CHOICES = {
    "metric": st.sampled_from(sorted(UNITS)),
    "resize": st.sampled_from(RESIZE_RULES),
    "rigor": st.sampled_from(["quick", "mlperf"]),
    "mean": st.just([]),
    "std": st.just([]),
    "seen_photos": st.sampled_from([None, "drop"]),
}
"""Values of fields that a record checks itself."""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@pytest.fixture(autouse=True, scope="module")
def _nothing_left_behind(tmp_path_factory: pytest.TempPathFactory) -> None:
    set_hypothesis_home_dir(tmp_path_factory.mktemp("hypothesis"))


def generated(scale: int) -> settings:
    """The same examples in every run, and no time limit."""
    return settings(
        max_examples=EXAMPLES * scale,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def values(declared: Any, bounds: tuple[Any, ...] = ()) -> st.SearchStrategy[Any]:
    """Returns JSON values of a field's declared type, within its bounds."""
    origin, arguments = get_origin(declared), get_args(declared)
    if origin is Annotated:
        return values(arguments[0], (*bounds, *arguments[1:]))
    if origin in (Union, UnionType):
        return st.one_of(*(values(member, bounds) for member in arguments))
    if declared is Any:
        return JSON
    if dataclasses.is_dataclass(declared):
        return fields_of(declared)
    if origin in (Mapping, dict) or getattr(origin, "__name__", "") == "Mapping":
        return st.dictionaries(values(arguments[0]), values(arguments[1]), max_size=3)
    if hasattr(declared, "_fields"):
        hints = get_type_hints(declared, include_extras=True)
        return st.tuples(*(values(hints[name]) for name in declared._fields)).map(list)
    if origin is tuple and arguments[-1] is not Ellipsis:
        return st.tuples(*map(values, arguments)).map(list)
    if origin in (tuple, list):
        least = next((bound.least for bound in bounds if isinstance(bound, Items)), 0)
        return st.lists(values(arguments[0]), min_size=least, max_size=least + 3)
    return scalars(declared, bounds)


def scalars(declared: Any, bounds: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    """Returns numbers, texts, booleans and None, within bounds."""
    for bound in bounds:
        if isinstance(bound, Choices):
            return st.sampled_from(bound.names)
        if isinstance(bound, Matching):
            return st.from_regex(bound.pattern, fullmatch=True)
    limits = next((bound for bound in bounds if isinstance(bound, Limits)), Limits())
    least = limits.above if limits.least is None else limits.least
    if declared is int:
        return st.integers(
            None if least is None else math.ceil(least), None if limits.most is None else int(limits.most)
        )
    if declared is float:
        return st.floats(
            least, limits.most, allow_nan=False, allow_infinity=False, exclude_min=limits.above is not None
        )
    return {bool: st.booleans(), NoneType: st.none()}.get(declared, st.text(max_size=20))


def fields_of(declared: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Returns the fields of a dataclass, some of those with a default left out."""
    hints = get_type_hints(declared, include_extras=True)
    known = {
        field.name: values(hints[field.name]) for field in dataclasses.fields(declared) if field.name != "directory"
    }
    needed = {
        field.name
        for field in dataclasses.fields(declared)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    known |= {name: strategy for name, strategy in CHOICES.items() if name in known}
    return st.fixed_dictionaries(
        {name: strategy for name, strategy in known.items() if name in needed},
        optional={name: strategy for name, strategy in known.items() if name not in needed},
    ).map(lambda fields: {**version_of(declared), **fields})


def version_of(declared: Any) -> dict[str, int]:
    """Returns the field with the schema version; none for a part of a record."""
    version = getattr(declared, "_version", 0)
    return {"schema_version": version} if version else {}


def check_message(error: Exception, names: str = "") -> None:
    """An error message is one line of bearable length that names the file."""
    assert len(str(error).splitlines()) == 1, str(error)
    assert len(str(error)) < 1000, str(error)
    assert names in str(error), str(error)


def read(record: type[Record], fields: Any) -> Record | None:
    """Reads a record from JSON; None if it is refused, which takes one line that names the file and is not too long."""
    try:
        return record.from_json(json.dumps(fields), "a.json")
    except TledgeError as error:
        check_message(error, names="'a.json'")
        return None


@pytest.mark.parametrize("record", RECORDS)
def test_what_is_read_can_be_written_and_read_again(record: type[Record], scale: int) -> None:
    taken = 0

    @generated(scale)
    @given(fields_of(record))
    def check(fields: dict[str, Any]) -> None:
        nonlocal taken
        found = read(record, fields)
        if found is not None:
            taken += 1
            assert record.from_json(found.to_json(), "again") == found

    check()
    assert taken or record in (AttackPlan, UnfinishedRun), "options of a kind are seldom valid together"


@pytest.mark.parametrize("record", RECORDS)
def test_any_value_in_a_field_is_taken_or_refused(record: type[Record], scale: int) -> None:
    names = st.sampled_from([field.name for field in dataclasses.fields(record)])

    @generated(scale)
    @given(fields_of(record), st.dictionaries(names, JSON, min_size=1))
    def check(fields: dict[str, Any], wrong: dict[str, Any]) -> None:
        read(record, {**fields, **wrong})

    check()


@pytest.mark.parametrize("record", RECORDS)
def test_any_json_is_taken_or_refused(record: type[Record], scale: int) -> None:
    @generated(scale)
    @given(JSON)
    def check(value: Any) -> None:
        read(record, value)

    check()


def test_any_bytes_are_json_or_refused(scale: int) -> None:
    pieces = st.sampled_from(
        [b"{", b"}", b"[", b"]", b'"a"', b":", b",", b"1", b"-", b"e9", b"NaN", b"\xff", b"\0", b"\\u"]
    )

    @generated(10 * scale)
    @given(st.binary() | st.lists(pieces, max_size=30).map(b"".join))
    def check(content: bytes) -> None:
        try:
            parse_json(content)
        except ValueError as error:
            check_message(error)

    check()


def test_splits_that_are_read_name_photos_below_their_root(tmp_path: Path, scale: int) -> None:
    path = tmp_path / "splits.json"
    sample = st.tuples(st.text() | st.from_regex(r"(\.\.|a|/|\\|\.)+", fullmatch=True), st.integers(-1, 3))

    @generated(5 * scale)
    @given(st.lists(sample, max_size=3))
    def check(samples: list[tuple[str, int]]) -> None:
        stored = [[name, label, "0" * 64] for name, label in samples]
        fields = {"root": ".", "class_names": ["a", "b"], "train": stored, "validation": [], "test": []}
        path.write_text(json.dumps({"schema_version": 1, **fields}), encoding="utf-8")
        try:
            splits = Splits.load(path)
        except TledgeError as error:
            check_message(error, names="splits.json")
            return
        for sample in splits.train:
            assert 0 <= sample.label < 2
            assert (splits.root / sample.path).resolve().is_relative_to(tmp_path)

    check()


def test_any_line_of_another_process_is_a_message_or_refused(scale: int) -> None:
    kinds = ("note", "warn", "step", "begin", "advance", "mark", "end", "fail", "result", "error", "other")
    message = st.tuples(st.sampled_from(kinds), st.lists(JSON, max_size=3)).map(lambda parts: [parts[0], *parts[1]])

    @generated(10 * scale)
    @given(st.lists((message | JSON).map(json.dumps) | st.text(), max_size=4))
    def check(lines: list[str]) -> None:
        try:
            reply = read_reply([f"{line}\n" for line in lines], Progress())
        except ValueError as error:
            check_message(error)
        else:
            assert reply is None or reply[0] in ("result", "error")

    check()


@pytest.mark.parametrize("levels", [DEEPEST, DEEPEST + 1, 10_000])
def test_depth_is_bounded(levels: int) -> None:
    text = "[" * levels + "]" * levels
    if levels > DEEPEST:
        with pytest.raises(ValueError, match="nested deeper than 32 levels"):
            parse_json(text)
    else:
        assert convert(parse_json(text), Any) == json.loads(text)
