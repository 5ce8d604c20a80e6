"""Messages of the rooms, which name Python parameters, as the command line shows them: with its flags."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterable, Mapping
from importlib.util import find_spec

from tledge.cli.shell_text import shell_word
from tledge.core.options import ARGUMENTS, Option

_COMMANDS: dict[str, Mapping[str, Option]] = {}

_CODE = re.compile(r"`([^`\n]{1,500})`")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


_MODULES = "tledge.cli.commands"


def register_options(command: str, options: Iterable[Option]) -> None:
    """Makes the options of a command known to :func:`translate`."""
    _COMMANDS[command] = {item.name: item for item in options}


def flag(option: Option) -> str:
    """Returns what the command line calls an option: ``--max-drop``, or ``FILE`` for an argument."""
    if option.group == ARGUMENTS:
        return option.metavar.strip("[].") or option.name.upper()
    return f"--{option.flag or option.name.replace('_', '-')}"


def translate(message: str, command: str) -> str:
    """Replaces Python parameters in backticks by the flags of a command.

    ```name``` becomes ``--name``, ```name=value``` becomes ``--name value``, and a call such as
    ```train(resume=True)``` becomes ``tledge train --resume``. Anything else in backticks stays as it is.

    Args:
        message: the text of an error, a warning or a note.
        command: whose options the parameters are.
    """
    options = options_of_command(command)
    return _CODE.sub(lambda found: _translated(found[1], options) or found[0], message)


def _translated(code: str, options: Mapping[str, Option]) -> str | None:
    """Returns the flags that stand for a piece of Python; None for one that names no option."""
    if _NAME.fullmatch(code):
        return flag(options[code]) if code in options else None
    call = _parse(code)
    name = call.func.id if call is not None and isinstance(call.func, ast.Name) else ""
    if call is not None and (known := options_of_command(name)):
        arguments = _arguments(call, known)
        return None if arguments is None else " ".join(["tledge", name, *arguments])
    call = _parse(f"options({code})")
    arguments = None if call is None or call.args else _arguments(call, options)
    return " ".join(arguments) if arguments else None


def options_of_command(command: str) -> Mapping[str, Option]:
    """Returns the options of a command; empty if there is no such command."""
    if command not in _COMMANDS and find_spec(f"{_MODULES}.{command or '?'}") is not None:
        importlib.import_module(f"{_MODULES}.{command}")  # which registers them
    return _COMMANDS.get(command, {})


def _parse(code: str) -> ast.Call | None:
    try:
        parsed = ast.parse(code, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # a name from a file, in backticks
        return None
    return parsed if isinstance(parsed, ast.Call) else None


def _arguments(call: ast.Call, options: Mapping[str, Option]) -> list[str] | None:
    """Returns the arguments that stand for those of a call; None if one is no option."""
    found = [_text(argument) for argument in call.args]
    for keyword in call.keywords:
        option = options.get(keyword.arg or "")
        if option is None:
            return None
        value = keyword.value.value if isinstance(keyword.value, ast.Constant) else None
        if value is True:
            found.append(flag(option))
        elif value is False:
            found.append(flag(option).replace("--", "--no-", 1))
        elif option.group == ARGUMENTS:
            found.append(_text(keyword.value))
        else:
            found.append(f"{flag(option)} {_text(keyword.value)}")
    return found


def _text(value: ast.expr) -> str:
    """Returns a value as it is typed: a string in quotes only if a shell needs them, a sequence with commas."""
    if isinstance(value, ast.Constant):
        text = str(value.value)
        return shell_word(text) if re.search(r"[^\w…:@%+=,./*?\[\]-]", text) or not text else text
    if isinstance(value, ast.Tuple | ast.List):
        return ",".join(_text(item) for item in value.elts)
    return ast.unparse(value)
