"""Whatever shows a text goes through its medium's writer, so that new code cannot forget to escape a name."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest
from source_calls import calls, modules, parsed
from support import ROOT

pytestmark = pytest.mark.unit

WORKERS = {"core/worker_child.py", "bench/places/remote/remote_receiver.py", "bench/measure/round_worker.py"}
"""Processes whose output another process reads."""


def imports(path: Path) -> set[str]:
    """What a module imports: "html.escape"."""
    nodes = [node for node in parsed(path) if isinstance(node, ast.ImportFrom)]
    return {f"{node.module}.{alias.name}" for node in nodes for alias in node.names}


def given(name: str, value: object) -> Callable[[ast.Call], bool]:
    return lambda call: any(
        word.arg == name and isinstance(word.value, ast.Constant) and word.value.value is value
        for word in call.keywords
    )


@pytest.mark.parametrize(
    ("what", "where"),
    [
        (
            ("print",),
            {
                "cli/terminal.py",
                "cli/main.py",
                "cli/app.py",
                "cli/execution.py",
                "cli/library_log.py",
                "core/notebook.py",
                *WORKERS,
            },
        ),
        (("typer.echo",), {"cli/app.py", "cli/commands/predict.py"}),
        (("csv.writer", "csv.DictWriter"), {"bench/results/table_files.py", "train/history.py"}),
        (("shlex.quote",), {"cli/shell_text.py"}),
        (("Console", "rich.print"), set()),
        (("sys.stdout.write", "sys.stderr.write"), set()),
    ],
    ids=lambda item: "-".join(item) if isinstance(item, tuple) else "",
)
def test_only_writers_write(what: tuple[str, ...], where: set[str]) -> None:
    found = {path.relative_to(ROOT).as_posix() for path in modules() if any(name in what for name, _ in calls(path))}
    assert found <= where


def test_json_for_people_is_written_by_one_function() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for path in modules()
        if any(name.startswith("json.dump") and given("ensure_ascii", False)(call) for name, call in calls(path))
    }
    assert found == {"core/json_text.py", "train/report/card_header.py", "bench/results/table_files.py"}, (
        "in a header of YAML and in a cell of CSV, which escape it again"
    )


def test_html_is_escaped_by_one_function_and_by_every_template() -> None:
    for path in modules():
        name = path.relative_to(ROOT).as_posix()
        assert "html.escape" not in imports(path) or name == "core/html_text.py", name
        for called, call in calls(path):
            if called == "Environment" and "jinja2.Environment" in imports(path):
                finalize = [ast.unparse(word.value) for word in call.keywords if word.arg == "finalize"]
                assert given("autoescape", True)(call), name
                assert finalize == ["shown_value"], name


@pytest.mark.parametrize("template", ["bench/report/report.html", "visualize/page.html"])
def test_only_our_own_markup_is_safe(template: str) -> None:
    safe = [line.strip() for line in (ROOT / template).read_text().splitlines() if "| safe" in line]
    for line in safe:
        for value in line.split("| safe")[:-1]:
            assert value.rstrip().split("{{")[-1].strip() in {
                "css",
                "script",
                "marker.key()",
                "figure.wide | string",
                "figure.narrow | string",
                "item.drawing | string",
                "drawing | string",
            }
