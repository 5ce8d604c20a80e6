"""Options are declared once; everything else follows from the declaration."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tledge.core.errors import OptionError, UnknownNameError
from tledge.core.options import (
    Choices,
    Limits,
    UnknownOptionError,
    as_tuple,
    check_options,
    given_options,
    option,
    option_names,
    options_of,
    takes,
)


@dataclass(frozen=True, kw_only=True)
class Recorded:
    count: int | None = option(None, "How many.", group="Numbers", default_text="3 or 4", allowed=Limits(least=1))
    rate: float = option(0.5, "How fast.", group="Numbers", allowed=Limits(above=0, most=1))
    kind: str = option("round", "Its shape.", group="Names", allowed=Choices("shape", ("round", "square")))
    sizes: Sequence[int] = option((1, 8), "Sizes.", allowed=Limits(least=1, most=4096))

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, kw_only=True)
class All(Recorded):
    quiet: bool = option(False, "No output.")


@takes(All)
def collect(options: All) -> All:
    """Collects things.

    Returns:
        What was collected.
    """
    return options


def test_the_signature_and_the_documentation_follow_from_the_dataclass() -> None:
    parameters = inspect.signature(collect).parameters
    assert list(parameters) == ["count", "rate", "kind", "sizes", "quiet"]
    assert all(item.kind is inspect.Parameter.KEYWORD_ONLY for item in parameters.values())
    assert parameters["rate"].default == 0.5
    assert inspect.signature(collect).return_annotation == "All" or inspect.signature(collect).return_annotation is All
    documented = inspect.getdoc(collect) or ""
    assert documented.splitlines()[:4] == ["Collects things.", "", "Args:", "    count: How many. [default: 3 or 4]"]
    assert documented.index("    quiet: No output.") < documented.index("Returns:")


def test_the_function_receives_the_options_as_one_object() -> None:
    assert collect(count=2, quiet=True) == All(count=2, quiet=True)


def test_an_unknown_option_is_named_with_the_nearest_one() -> None:
    with pytest.raises(
        UnknownOptionError, match=r"collect\(\): unknown option 'cuont'. Did you mean 'count'\?"
    ) as error:
        collect(cuont=1)  # type: ignore[call-arg]
    assert isinstance(error.value, TypeError)
    assert isinstance(error.value, UnknownNameError)


def test_given_options_are_those_that_differ_from_their_defaults() -> None:
    assert given_options(All()) == {}
    assert given_options(All(sizes=[1, 8], rate=0.5)) == {}
    assert given_options(All(count=3, quiet=True)) == {"count": 3, "quiet": True}
    assert given_options(All(count=3, quiet=True), Recorded) == {"count": 3}
    assert option_names(Recorded) == {"count", "rate", "kind", "sizes"}
    assert [item.name for item in options_of(All)][-1] == "quiet"


@pytest.mark.parametrize(
    ("limits", "inside", "outside", "text"),
    [
        (Limits(least=1), (1, 10**9), (0, 0.999), "1 or more"),
        (Limits(above=0, most=1), (1e-9, 1), (0, 1.001), "above 0 and at most 1"),
        (Limits(least=0.01, most=0.45), (0.01, 0.45), (0.0099, 0.4501), "between 0.01 and 0.45"),
        (Limits(least=0.05, most=0.95, zero=True), (0, 0.05, 0.95), (0.049, 0.951, -1), "0, or between 0.05 and 0.95"),
        (Limits(least=0, most=2**32 - 1), (0, 2**32 - 1), (-1, 2**32), "between 0 and 4294967295"),
    ],
)
def test_limits_hold_at_both_bounds(
    limits: Limits, inside: tuple[float, ...], outside: tuple[float, ...], text: str
) -> None:
    assert all(limits.allow(value) for value in inside)
    assert not any(limits.allow(value) for value in (*outside, float("nan")))
    assert str(limits) == text


def test_values_that_are_not_allowed_are_errors_that_name_the_parameter() -> None:
    with pytest.raises(OptionError, match="^`count` must be 1 or more; received 0$"):
        collect(count=0)
    with pytest.raises(OptionError, match="^`sizes` must be between 1 and 4096; received 4097$"):
        collect(sizes=(1, 4097))
    with pytest.raises(UnknownNameError, match="unknown shape 'rond'. Did you mean 'round'"):
        collect(kind="rond")


def test_one_value_and_several_become_a_tuple() -> None:
    assert as_tuple("a") == ("a",)
    assert as_tuple(Path("a")) == (Path("a"),)
    assert as_tuple(["a", "b"]) == ("a", "b")
    assert as_tuple(()) == ()
