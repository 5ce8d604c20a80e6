"""What the modules of the rooms call, by their syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from support import ROOMS, ROOT


def modules() -> Iterator[Path]:
    """The modules of all rooms."""
    for room in ROOMS:
        yield from sorted((ROOT / room).rglob("*.py"))


@cache
def parsed(path: Path) -> tuple[ast.AST, ...]:
    """All nodes of a module."""
    return tuple(ast.walk(ast.parse(path.read_text())))


@cache
def calls(path: Path) -> tuple[tuple[str, ast.Call], ...]:
    """The calls of a module, with what is called: "print", "json.dumps"."""
    return tuple((ast.unparse(node.func), node) for node in parsed(path) if isinstance(node, ast.Call))
