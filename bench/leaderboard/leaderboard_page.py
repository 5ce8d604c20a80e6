"""``leaderboard.html``: one file that opens from disk and loads nothing from the network."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tledge.bench.leaderboard.benchmark_names import started
from tledge.bench.leaderboard.leaderboard import Leaderboard
from tledge.bench.leaderboard.leaderboard_markdown import board_columns
from tledge.bench.leaderboard.machine_board import Entry, MachineBoard
from tledge.bench.results.columns import BEST_NOTE
from tledge.bench.results.flags import MEANINGS
from tledge.bench.results.stored_results import StoredResults
from tledge.core.extras import require
from tledge.core.html_text import shown_value
from tledge.core.number_text import flag_text, interval_text


@dataclass(frozen=True, kw_only=True)
class Filter:
    """A choice by which rows are shown or hidden.

    Attributes:
        name: of the attribute of a row, and of the field.
        label: of the field.
        values: what can be chosen, sorted.
    """

    name: str
    label: str
    values: tuple[str, ...]


_FILTERS: Sequence[tuple[str, str, Callable[[MachineBoard, Entry], str]]] = (
    ("model", "Model", lambda board, entry: entry.model.title or entry.label),
    ("recipe", "Recipe", lambda board, entry: entry.model.recipe),
    ("format", "Format", lambda board, entry: entry.model.format),
    ("target", "Target", lambda board, entry: entry.row.target),
    ("machine", "Machine", lambda board, entry: board.title),
)


def leaderboard_page(leaderboard: Leaderboard, folder: Path, *, sign: str) -> str:
    """Returns the page.

    Args:
        folder: where it will be: links to reports are relative to it.
        sign: a comment near its start.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    require("jinja2", extra="bench", purpose="leaderboard.html")
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tledge.bench.leaderboard", "."),
        autoescape=True,
        finalize=shown_value,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("leaderboard.html").render(_context(leaderboard, folder, sign))


def _context(leaderboard: Leaderboard, folder: Path, sign: str) -> dict[str, Any]:
    """Returns the variables of the template."""
    boards = leaderboard.machines
    columns = {id(board): board_columns(board) for board in boards}
    known = {column.metric.heading: column.metric.explanation for found in columns.values() for column in found}
    return {
        "sign": sign,
        "css": "\n".join(_asset(*name) for name in (("report", "report.css"), ("leaderboard", "leaderboard.css"))),
        "script": "\n".join(_asset(*name) for name in (("report", "report.js"), ("leaderboard", "leaderboard.js"))),
        "version": importlib.metadata.version("tledge"),
        "leaderboard": leaderboard,
        "rules": list(dict.fromkeys(board.card.rule for board in boards if board.card.rule)),
        "columns_of": lambda board: columns[id(board)],
        "filters": _filters(leaderboard),
        "choices": lambda board, entry: [(name, value(board, entry)) for name, _, value in _FILTERS],
        "details": lambda entry: " · ".join(filter(None, [entry.model.recipe, entry.model.format])),
        "run": _run,
        "meanings": MEANINGS,
        "flags": [(flag, flag_text(flag), MEANINGS.get(flag, "")) for flag in leaderboard.flags],
        "flag_text": flag_text,
        "interval_text": interval_text,
        "best_note": BEST_NOTE,
        "explanations": known,
        "benchmarks": [_benchmark(benchmark, folder) for benchmark in leaderboard.benchmarks],
    }


def _asset(room: str, name: str) -> str:
    return files(f"tledge.bench.{room}").joinpath(name).read_text(encoding="utf-8")


def _filters(leaderboard: Leaderboard) -> list[Filter]:
    """Returns the choices that tell rows apart."""
    rows = [(board, entry) for board in leaderboard.machines for entry in board.entries]
    found = [
        Filter(name=name, label=label, values=tuple(sorted({value(*row) for row in rows} - {""})))
        for name, label, value in _FILTERS
    ]
    return [item for item in found if len(item.values) > 1]


def _run(entry: Entry) -> str:
    """Returns what else tells a model apart: its run and the time of its benchmark."""
    return "\n".join(filter(None, [entry.model.run, started(entry.benchmark)]))


def _benchmark(benchmark: StoredResults, folder: Path) -> tuple[str, str, str, str]:
    """Returns the run or files, the time, the results and a link to the report, which may be empty."""
    settings = benchmark.settings
    report = benchmark.folder.html
    link = quote(Path(os.path.relpath(report.resolve(), folder.resolve())).as_posix()) if report.is_file() else ""
    if settings is None:
        return "", "", str(benchmark.path), link
    name = settings.run or ", ".join(Path(file).name for file in settings.files[:3])
    return name, started(benchmark), str(benchmark.path), link
