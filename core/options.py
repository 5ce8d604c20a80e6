"""Options of a command, each declared once: as a field of a frozen dataclass, with its help and its limits.

The signature and the documentation of the Python function follow from that dataclass (:func:`takes`), and so do the
options of the command line, the record of a run, and the names in error messages.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast, get_type_hints

from tledge.core.errors import OptionError, UnknownNameError

P = ParamSpec("P")
Options = TypeVar("Options")
R = TypeVar("R")
T = TypeVar("T")

REQUIRED: Any = dataclasses.MISSING
"""The default of an option that has to be given."""

ARGUMENTS = "Arguments"
"""The group of the options that the command line takes by position."""

_KEY = "option"


class UnknownOptionError(UnknownNameError, TypeError):
    """An option that a function does not have; ``known`` are those that it has."""

    def __init__(self, function: str, received: str, known: Iterable[str]) -> None:
        super().__init__("option", received, known)
        self.args = (f"{function}(): {self.args[0]}",)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The numbers that an option may be.

    Attributes:
        least, most: the bounds, which are included; None for no bound.
        above: a lower bound that is not included, instead of ``least``.
        zero: also allow 0, which turns the option off.
    """

    least: float | None = None
    most: float | None = None
    above: float | None = None
    zero: bool = False

    def allow(self, value: float) -> bool:
        """Whether a number is within the limits; NaN is not."""
        if self.zero and value == 0:
            return True
        low = self.above is None or value > self.above
        return low and (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        if self.above is not None:
            return f"above {self.above:g}" + ("" if self.most is None else f" and at most {self.most:g}")
        if self.most is None:
            return f"{self.least:g} or more"
        bounds = (f"{bound:g}" if bound % 1 else str(int(bound)) for bound in (self.least or 0, self.most))
        return f"{'0, or ' * self.zero}between {' and '.join(bounds)}"


@dataclass(frozen=True)
class Choices:
    """The names that an option may be; error messages call each a ``kind`` ("precision")."""

    kind: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Option:
    """An option of a command.

    Attributes:
        default: its value where it is not given; ``REQUIRED`` if it has to be.
        help: one sentence or two, for the command line and the documentation of the Python function.
        group: the heading it is shown under; empty for an option that only Python has.
        default_text: the default in words, where it depends on other options ("30 from random weights").
        allowed: the values it may have, None for all.
        flag: its name on the command line where that is another one, without dashes.
        metavar: what the command line shows in place of the value.
        separator: what separates several values in one argument.
        name: the Python parameter.
        annotation: its type.
    """

    default: Any
    help: str
    group: str
    default_text: str = ""
    allowed: Limits | Choices | None = None
    flag: str = ""
    metavar: str = ""
    separator: str = ""
    name: str = ""
    annotation: Any = None

    def check(self, value: Any) -> None:
        """Raises OptionError or UnknownNameError for a value, or one of several, that is not allowed."""
        if self.allowed is None or value is None:
            return
        for item in value if isinstance(value, list | tuple) else (value,):
            if isinstance(self.allowed, Choices):
                if item not in self.allowed.names:
                    raise UnknownNameError(self.allowed.kind, str(item), self.allowed.names)
            elif not self.allowed.allow(item):
                raise OptionError(f"`{self.name}` must be {self.allowed}; received {item}")


def option(
    default: T,
    help: str,
    *,
    group: str = "",
    default_text: str = "",
    allowed: Limits | Choices | None = None,
    flag: str = "",
    metavar: str = "",
    separator: str = "",
) -> T:
    """Returns a field of a dataclass of options; the arguments are the attributes of :class:`Option`."""
    declared = Option(default, help, group, default_text, allowed, flag, metavar, separator)
    return dataclasses.field(default=default, metadata={_KEY: declared})


@functools.cache
def options_of(options: Any) -> tuple[Option, ...]:
    """Returns the options that a dataclass declares, in order."""
    hints = get_type_hints(options)
    return tuple(
        dataclasses.replace(field.metadata[_KEY], name=field.name, annotation=hints[field.name])
        for field in dataclasses.fields(options)
        if _KEY in field.metadata
    )


def option_names(*options: Any) -> frozenset[str]:
    """Returns the names of the options that some dataclasses declare."""
    return frozenset(item.name for declared in options for item in options_of(declared))


def given_options(options: Any, declared: Any = None) -> dict[str, Any]:
    """Returns the options that differ from their defaults, by name.

    Args:
        options: an object whose class declares options.
        declared: look only at those that this class declares; None for all of them.
    """
    found = {
        item.name: (getattr(options, item.name), item.default) for item in options_of(declared or options.__class__)
    }
    return {name: value for name, (value, default) in found.items() if not _same(value, default)}


def check_options(options: Any) -> None:
    """Raises OptionError or UnknownNameError for the first option whose value is not allowed."""
    for item in options_of(options.__class__):
        item.check(getattr(options, item.name))


def check_used(options: Any, names: Iterable[str], reason: str) -> None:
    """Raises OptionError if one of some options is given, although what is asked for does not use them.

    Args:
        options: an object whose class declares options.
        names: of the options that are not used.
        reason: why, for the error message: "with `augment=False`".
    """
    given = given_options(options)
    if unused := [f"`{name}`" for name in names if name in given]:
        verb, pronoun = ("has", "it") if len(unused) == 1 else ("have", "them")
        raise OptionError(f"{', '.join(unused)} {verb} no effect {reason}; leave {pronoun} out")


def as_tuple(values: str | Path | Iterable[T]) -> tuple[T, ...]:
    """Returns one or several values as a tuple."""
    return (cast(T, values),) if isinstance(values, str | Path) else tuple(values)


def takes(options: Callable[P, Options]) -> Callable[[Callable[[Options], R]], Callable[P, R]]:
    """Decorates a function of an options object so that it takes the options themselves.

    The signature is that of the dataclass, and each option's help is added to the docstring, before "Returns:".

    Args:
        options: the dataclass.

    Returns:
        The decorator. The decorated function raises UnknownOptionError for an option that does not exist.
    """
    declared = options_of(options)
    signature = inspect.signature(options)

    def decorate(function: Callable[[Options], R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            for name in kwargs:
                if name not in signature.parameters:
                    raise UnknownOptionError(function.__name__, name, signature.parameters)
            return function(options(*args, **kwargs))

        returns = inspect.signature(function).return_annotation
        call.__signature__ = signature.replace(return_annotation=returns)  # type: ignore[attr-defined]
        call.__doc__ = _documented(function.__doc__ or "", declared)
        return call

    return decorate


def _same(value: Any, default: Any) -> bool:
    if isinstance(value, Sequence) and isinstance(default, Sequence) and not isinstance(value, str):
        return list(value) == list(default)
    return bool(value == default)


def _documented(docstring: str, declared: Sequence[Option]) -> str:
    text = inspect.cleandoc(docstring)
    lines = ["Args:"]
    for item in declared:
        default = f" [default: {item.default_text}]" if item.default_text else ""
        line = f"{item.name}: {item.help}{default}"
        lines += textwrap.wrap(line, 112, initial_indent="    ", subsequent_indent="        ")
    before, marker, after = text.partition("\nReturns:")
    arguments = "\n".join(lines)
    return f"{before.rstrip()}\n\n{arguments}\n" + (f"{marker}{after}" if marker else "")
