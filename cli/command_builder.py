"""Builds a Typer command from the dataclass that declares its options."""

from __future__ import annotations

import functools
import inspect
import re
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand

from tledge.cli.messages import flag, register_options, translate
from tledge.core.errors import OptionError
from tledge.core.options import ARGUMENTS, REQUIRED, Option, options_of

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.", rich_help_panel="Output")]
"""The option that every command has."""


@dataclass(frozen=True)
class Given:
    """The options that a command was given.

    Attributes:
        command: the command's name.
        context: the command's context.
        raw: the values as the command line gave them, by parameter.
        options: the declared options of the command.
    """

    command: str
    context: typer.Context
    raw: Mapping[str, Any]
    options: tuple[Option, ...]

    @property
    def names(self) -> frozenset[str]:
        """The parameters that are given on the command line."""
        return frozenset(name for name in self.raw if is_given(self.context, name))

    def values(self, *declared: Any) -> dict[str, Any]:
        """Returns the given options as keyword arguments of the Python function.

        Args:
            declared: the classes whose options are wanted; all options without any.

        Raises:
            OptionError: a list of numbers that cannot be read.
        """
        wanted = [item for each in declared for item in options_of(each)] if declared else self.options
        names = self.names
        return {item.name: _read(item, self.raw[item.name]) for item in wanted if item.name in names}

    def flags(self, names: Collection[str]) -> list[str]:
        """Returns what the command line calls those of some parameters that are given."""
        return [flag(item) for item in self.options if item.name in names and item.name in self.names]


def is_given(context: typer.Context, name: str) -> bool:
    """Whether a parameter of a command is given on the command line."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


class UsageProblem(typer.BadParameter):
    """Wrong usage of a command, shown as it is, without "Invalid value"."""

    def format_message(self) -> str:
        """Returns the message."""
        return self.message


class GroupedCommand(TyperCommand):
    """A command whose help shows its options under headings, in plain text."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            found = re.match(r"('.*') is not a valid (int|float)", error.message)
            if found is None or error.param is None:
                raise
            name, number = max(error.param.opts, key=len), "whole number" if found[2] == "int" else "number"
            raise UsageProblem(f"{name} takes a {number}; received {found[1]}", ctx=ctx) from error

    def format_options(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[tuple[str, str]]] = {ARGUMENTS: []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                heading = ARGUMENTS if parameter.param_type_name == "argument" else None
                panel = heading or getattr(parameter, "rich_help_panel", None) or "Other options"
                sections.setdefault(panel, []).append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


def build_command(
    name: str, *declared: Any, groups: Sequence[str] = (), without: Collection[str] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorates the body of a command with the options that its dataclasses declare.

    The body takes a :class:`Given` first, and its own parameters with Typer's annotations: the options that only the
    command line has.

    Args:
        name: of the command.
        declared: dataclasses of options; of two options of the same name the first is taken.
        groups: the headings of the help, in order.
        without: options that the command line does not have.
    """
    found: dict[str, Option] = {}
    for item in (item for each in declared for item in options_of(each)):
        found.setdefault(item.name, item)
    shown = tuple(item for item in found.values() if item.group and item.name not in without)
    order = {heading: position for position, heading in enumerate((ARGUMENTS, *groups))}
    options = tuple(sorted(shown, key=lambda item: order[item.group]))

    def decorate(body: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(body, include_extras=True)
        keyword_only = inspect.Parameter.KEYWORD_ONLY
        names = list(inspect.signature(body).parameters.values())[1:]
        own = [item.replace(annotation=hints[item.name], kind=keyword_only) for item in names]
        register_options(name, [*options, *map(_own_option, own)])

        @functools.wraps(body)
        def run(context: typer.Context, **raw: Any) -> None:
            for_body = {item.name: raw.pop(item.name) for item in own}
            body(Given(name, context, raw, options), **for_body)

        context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
        parameters = _in_groups([*map(_parameter, options), *own], order)
        run.__signature__ = inspect.Signature([context, *parameters])  # type: ignore[attr-defined]
        run.__annotations__ = {item.name: item.annotation for item in (context, *parameters)}
        run.__doc__ = translate(body.__doc__ or "", name)
        return run

    def _parameter(item: Option) -> inspect.Parameter:
        help_text = translate(_help(item), name)
        annotation: Any = Annotated[_typer_type(item), _declaration(item, help_text)]
        required = item.default is REQUIRED and item.group == ARGUMENTS
        default = inspect.Parameter.empty if required else None
        return inspect.Parameter(item.name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)

    return decorate


def _in_groups(parameters: Sequence[inspect.Parameter], order: Mapping[str, int]) -> list[inspect.Parameter]:
    def place(item: inspect.Parameter) -> int:
        panel = getattr(item.annotation.__metadata__[0], "rich_help_panel", None)
        return -1 if item.default is inspect.Parameter.empty else order.get(panel or ARGUMENTS, len(order))

    return sorted(parameters, key=place)


def _own_option(parameter: inspect.Parameter) -> Option:
    """Returns an option that only the command line has, so that messages can name it."""
    details = parameter.annotation.__metadata__[0]
    declared = [text for text in getattr(details, "param_decls", None) or () if text.startswith("--")]
    return Option(
        parameter.default,
        details.help or "",
        group=details.rich_help_panel or "Other options",
        flag=declared[0].lstrip("-") if declared else "",
        metavar=details.metavar or "",
        name=parameter.name,
        annotation=parameter.annotation,
    )


def _help(item: Option) -> str:
    default = item.default_text or _default_text(item)
    return f"{item.help}  [default: {default}]" if default else item.help


def _default_text(item: Option) -> str:
    value = item.default
    if value is REQUIRED or value is None or value is False:
        return ""
    if value is True:
        return "on"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _declaration(item: Option, help_text: str) -> Any:
    if item.group == ARGUMENTS:
        return typer.Argument(metavar=item.metavar or None, help=help_text, show_default=False)
    kind, many = _kind(item)
    name = flag(item)
    if kind is bool and item.default is not False:
        name = f"{name}/{name.replace('--', '--no-', 1)}"
    metavar = item.metavar or ("NUMBERS" if many and kind in (int, float) else "")
    return typer.Option(name, help=help_text, metavar=metavar or None, show_default=False, rich_help_panel=item.group)


def _typer_type(item: Option) -> Any:
    kind, many = _kind(item)
    if many:
        return str | None if kind in (int, float) else list[kind] | None  # type: ignore[valid-type]
    return kind if item.default is REQUIRED and item.group == ARGUMENTS else kind | None


def _kind(item: Option) -> tuple[type, bool]:
    """Returns the type of one value, which is the first of a union, and whether an option takes several."""
    members = _members(item.annotation)
    for member in members:
        if get_origin(member) is not None:
            return _members(get_args(member)[0])[0], True
    return members[0], False


def _members(annotation: Any) -> list[Any]:
    union = get_origin(annotation) in (Union, types.UnionType)
    return [member for member in (get_args(annotation) if union else (annotation,)) if member is not types.NoneType]


def _read(item: Option, value: Any) -> Any:
    """Returns a value of the command line as the Python function takes it."""
    kind, many = _kind(item)
    if not many:
        return value
    if kind in (int, float):
        return _read_numbers(item, value, kind)
    if not item.separator:
        return tuple(value)
    return tuple(part.strip() for text in value for part in str(text).split(item.separator))


def _read_numbers(item: Option, text: str, kind: type) -> tuple[Any, ...]:
    """Reads numbers separated by commas, each once. Raises OptionError, with an example, for any other text."""
    try:
        return tuple(dict.fromkeys(kind(part) for part in text.split(item.separator)))
    except ValueError as error:
        whole = "whole numbers" if kind is int else "numbers"
        example = _default_text(item) or item.default_text
        raise OptionError(
            f"`{item.name}` takes {whole} separated by commas, as in {example}; received '{text}'"
        ) from error
