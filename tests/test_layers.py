"""The rooms keep their places."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from support import ROOMS, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_imports_keep_the_layers() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_core_imports_nothing_but_the_standard_library_numpy_and_pillow() -> None:
    allowed = set(sys.stdlib_module_names) | {"numpy", "PIL", "tledge"}
    inside_functions = {"image_formats.py": {"pillow_heif"}, "photo_table.py": {"pyarrow"}}  # of extras: ADR 19
    for path in (ROOT / "core").rglob("*.py"):
        tree = ast.parse(path.read_text())
        assert _imported(tree.body) <= allowed, path
        assert _imported(ast.walk(tree)) <= allowed | inside_functions.get(path.name, set()), path


def _imported(nodes: Iterable[ast.AST]) -> set[str]:
    """Returns the top-level modules that nodes import."""
    names: list[str] = []
    for node in nodes:
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
    return {name.split(".")[0] for name in names}


@pytest.mark.unit
def test_every_package_is_installed_under_the_name_of_its_folder() -> None:
    folders = {path.parent.relative_to(ROOT) for room in ROOMS for path in (ROOT / room).rglob("__init__.py")}
    expected = {f"tledge.{'.'.join(folder.parts)}": folder.as_posix() for folder in folders}
    assert PROJECT["tool"]["setuptools"]["package-dir"] == expected
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == set(expected)
    assert PROJECT["tool"]["importlinter"]["root_packages"] == [f"tledge.{room}" for room in ROOMS]
    for folder in folders:
        assert (ROOT / folder / "py.typed").exists(), folder


@pytest.mark.unit
def test_test_files_are_short() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in sorted((ROOT / "tests").rglob("*.py"))}
    assert {path.name for path, length in lengths.items() if length > 500} == set()


@pytest.mark.parametrize("path", sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py")), ids=str)
def test_files_are_documented_and_short(path: Path) -> None:
    content = path.read_text()
    tree = ast.parse(content)
    assert ast.get_docstring(tree), "a module says what it is for"
    assert len(content.splitlines()) <= 500, "a second room is due"
    for node in tree.body:
        public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
        assert not public or ast.get_docstring(node), f"{node.name} is public and has no docstring"
