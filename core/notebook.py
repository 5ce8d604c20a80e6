"""What Jupyter notebooks show: progress bars, and records as small tables. Plain HTML, without ipywidgets."""

from __future__ import annotations

import base64
import sys
import time
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from tledge.core.html_text import html_text
from tledge.core.progress import Progress, Step
from tledge.core.terminal_text import printable_text

INTERVAL = 0.2
"""Seconds between two updates of a bar."""


def in_notebook() -> bool:
    """Returns whether this process is the kernel of a notebook. Does not import IPython."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return get_ipython is not None and getattr(get_ipython(), "kernel", None) is not None


class NotebookProgress(Progress):
    """A bar for each step, below the cell; notes and warnings as lines of text."""

    def note(self, label: str, text: str) -> None:
        print(f"{printable_text(label):<9} {printable_text(text)}")

    def warn(self, text: str) -> None:
        print(f"warning: {printable_text(text)}")

    @contextmanager
    def step(self, label: str, total: int, unit: str) -> Iterator[Step]:
        bar = _Bar(label, total, unit)
        try:
            yield bar
        finally:
            bar.show()


class _Bar(Step):
    def __init__(self, label: str, total: int, unit: str) -> None:
        ipython: Any = import_module("IPython.display")  # of the kernel that this runs in
        self._label, self._total, self._unit = label, total, unit
        self._count, self._detail = 0, ""
        self._html = ipython.HTML
        self._started = self._shown = time.monotonic()
        self._handle: Any = ipython.display(ipython.HTML(self._text()), display_id=True)

    def begin(self, detail: str, seconds: float | None = None, later: float | None = None) -> None:
        self.mark(detail)

    def advance(self, count: int = 1, detail: str = "") -> None:
        self._count += count
        self._detail = detail or self._detail
        if time.monotonic() - self._shown >= INTERVAL:
            self.show()

    def mark(self, detail: str) -> None:
        self._detail = detail
        self.show()

    def finish(self, detail: str) -> None:
        self._total, self._detail = self._count, detail

    def show(self) -> None:
        self._shown = time.monotonic()
        self._handle.update(self._html(self._text()))

    def _text(self) -> str:
        spent = time.monotonic() - self._started
        left = ""
        if 0 < self._count < self._total and spent >= 1:
            left = f"{spent / self._count * (self._total - self._count):,.0f} s left"
        counted = f"{self._count:,}/{self._total:,} {self._unit}"
        texts = " · ".join(html_text(text) for text in (counted, left, self._detail) if text)
        bar = f'<progress value="{self._count}" max="{max(self._total, 1)}" aria-label="{html_text(self._label)}">'
        return f"<div><b>{html_text(self._label)}</b> {bar}</progress> {texts}</div>"


def html_table(
    rows: Sequence[Sequence[str]], *, headings: Sequence[str] = (), bold: Container[tuple[int, int]] = ()
) -> str:
    """Returns a table of plain texts, which are escaped.

    Args:
        headings: of the columns; without them, the first cell of a row is its name.
        bold: the rows and columns of cells in bold, counted from 0; the first column never is.
    """
    first = "td" if headings else "th"
    lines = [f"<tr>{''.join(f'<th>{html_text(text)}</th>' for text in headings)}</tr>"] if headings else []
    for number, (name, *cells) in enumerate(rows):
        shown = [html_text(text) for text in cells]
        texts = [f"<b>{text}</b>" if (number, at) in bold else text for at, text in enumerate(shown, 1)]
        others = "".join(f"<td>{text}</td>" for text in texts)
        lines.append(f'<tr><{first} style="text-align: left">{html_text(name)}</{first}>{others}</tr>')
    return f"<table>{''.join(lines)}</table>"


def html_picture(path: Path, text: str) -> str:
    """Returns a PNG file as an image within the page; empty if the file is not there."""
    if not path.is_file():
        return ""
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<img src="data:image/png;base64,{data}" alt="{html_text(text)}" style="max-width: 100%">'
