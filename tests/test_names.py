"""One name stands for one thing, and functions stay small enough to read."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import ROOMS, ROOT

pytestmark = pytest.mark.unit

REGISTRIES = {
    "attacks/methods",
    "bench/places/kinds",
    "cli/commands",
    "edge_runtime/runtimes",
    "export/formats",
    "train/backbones",
    "visualize/kinds",
}
"""Folders whose modules are named by what users type, which may be the name of another thing too."""

MOST_PARAMETERS = 8
MOST_MODULES_IN_ING = 5
WORST_GRADE = "C"


def _modules() -> Iterator[Path]:
    for room in ROOMS:
        yield from sorted(path for path in (ROOT / room).rglob("*.py"))


def _folder(path: Path) -> str:
    return path.parent.relative_to(ROOT).as_posix()


def _defined_twice(places: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: found for name, found in places.items() if len(found) > 1}


def test_a_public_class_name_is_defined_once() -> None:
    places = defaultdict(list)
    for path in _modules():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path.relative_to(ROOT)))
    assert _defined_twice(places) == {}


def test_a_module_name_is_used_once() -> None:
    places = defaultdict(list)
    for path in _modules():
        if path.name != "__init__.py" and _folder(path) not in REGISTRIES:
            places[path.stem].append(str(path.relative_to(ROOT)))
    assert _defined_twice(places) == {}


def test_modules_are_called_by_nouns() -> None:
    found = [str(path.relative_to(ROOT)) for path in _modules() if path.stem.endswith("ing")]
    assert len(found) <= MOST_MODULES_IN_ING, found


def test_no_function_takes_many_parameters() -> None:
    found = {}
    for path in _modules():
        if _folder(path).split("/")[0] == "cli":
            continue  # a Typer command has one parameter for each option
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                arguments = node.args
                named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
                count = sum(argument.arg not in {"self", "cls"} for argument in named)
                if count > MOST_PARAMETERS:
                    found[f"{path.relative_to(ROOT)}: {node.name}"] = count
    assert found == {}


def test_no_function_is_too_complex() -> None:
    from radon.complexity import cc_rank, cc_visit

    found = {}
    for path in _modules():
        for block in cc_visit(path.read_text()):
            if cc_rank(block.complexity) > WORST_GRADE:
                found[f"{path.relative_to(ROOT)}: {block.fullname}"] = cc_rank(block.complexity)
    assert found == {}


def test_the_top_of_bench_holds_its_api_alone() -> None:
    assert {path.name for path in (ROOT / "bench").glob("*.py")} == {"__init__.py", "bench_api.py"}


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "cli"])
def test_a_room_lists_its_public_names(room: str) -> None:
    tree = ast.parse((ROOT / room / "__init__.py").read_text())
    listed = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]
    ]
    assert len(listed) == 1, f"{room}/__init__.py has no __all__"
    assert listed[0] == sorted(set(listed[0]))
