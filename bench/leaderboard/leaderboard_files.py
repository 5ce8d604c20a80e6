"""The files of a leaderboard: a page, Markdown for a pull request, and CSV for other programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tledge.bench.leaderboard.leaderboard import Leaderboard, PhotoBoard
from tledge.bench.leaderboard.leaderboard_markdown import leaderboard_markdown
from tledge.bench.leaderboard.leaderboard_page import leaderboard_page
from tledge.bench.leaderboard.machine_board import Entry, MachineBoard
from tledge.bench.results.table_files import csv_table
from tledge.core import atomic
from tledge.core.errors import OptionError
from tledge.core.extras import is_installed
from tledge.core.metric_catalogue import METRICS
from tledge.core.progress import Progress

PAGE, MARKDOWN, CSV = "leaderboard.html", "leaderboard.md", "leaderboard.csv"

SIGN = "<!-- written by tledge compare -->"
"""In the first lines of every page and Markdown file: such a file may be replaced."""

_DESCRIPTION = ("photos", "machine", "run", "model", "backbone", "width", "input_size", "artifact", "recipe", "format")
_NUMBERS = tuple(name for name, metric in METRICS.items() if metric.heading and metric.scenario != "comparison")
_COLUMNS = (
    *_DESCRIPTION,
    *("target", "provider", "standing", "less_accurate"),
    *(METRICS[name].key or name for name in _NUMBERS),
    *("top1_low", "top1_high", "flags", "best", "began", "results"),
)

_SIGNS = {PAGE: SIGN, MARKDOWN: SIGN, CSV: ",".join(_COLUMNS[:5])}
"""What is in the first lines of our files; later versions of the CSV may have other columns after the first five."""


def check_ours(folder: Path, *, csv: bool) -> None:
    """Checks that a leaderboard would replace nothing but an earlier leaderboard.

    Args:
        folder: where it will be written.
        csv: whether CSV will be, too.

    Raises:
        OptionError: a file of that name is not one of ours, or the folder is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise OptionError(f"`output='{folder}' is not a folder; name one for the leaderboard")
    for name in _SIGNS:
        path = folder / name
        if path.exists() and (csv or name != CSV) and not _is_ours(path):
            raise OptionError(
                f"'{path}' was not written by `compare()`, so it is not replaced; move it away, or name another folder"
                " with `output`"
            )


def write_leaderboard(
    leaderboard: Leaderboard, folder: Path, *, csv: bool = False, progress: Progress | None = None
) -> tuple[Path, ...]:
    """Writes a leaderboard and returns the paths of its files; the page first, if Jinja2 is installed.

    Files of an earlier leaderboard that are not written again are removed and reported: they would not match the rest.

    Raises:
        OSError: the folder cannot be written to.
    """
    contents: dict[str, bytes] = {}
    if is_installed("jinja2"):
        contents[PAGE] = leaderboard_page(leaderboard, folder, sign=SIGN).encode()
    elif progress is not None:
        progress.note("Page", f"{PAGE} needs jinja2: pip install 'tledge[bench]'")
    contents[MARKDOWN] = f"{SIGN}\n\n{leaderboard_markdown(leaderboard)}".encode()
    if csv:
        contents[CSV] = leaderboard_csv(leaderboard)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        atomic.write_bytes(folder / name, content)
    for name in _SIGNS:
        if name not in contents and _is_ours(folder / name):
            (folder / name).unlink()
            (progress or Progress()).note("Removed", f"'{folder / name}' of an earlier leaderboard")
    return tuple(folder / name for name in contents)


def leaderboard_csv(leaderboard: Leaderboard) -> bytes:
    """Returns a leaderboard as CSV, a row for each file, target and benchmark."""
    return csv_table(
        _COLUMNS,
        [
            _csv_row(entry, photos, board)
            for photos in leaderboard.photos
            for board in photos.machines
            for entry in board.entries
        ],
    )


def _csv_row(entry: Entry, photos: PhotoBoard, board: MachineBoard) -> Mapping[str, Any]:
    row = entry.row
    low, high = row.interval("top1") or (None, None)
    known = {**entry.to_dict(), **{METRICS[name].key or name: row.value(name) for name in _NUMBERS}}
    fields = {
        **known,
        "photos": photos.title,
        "machine": board.title,
        "top1_low": low,
        "top1_high": high,
        "flags": " ".join(row.flags),
        "best": " ".join(known["best"]),
    }
    return {name: fields[name] for name in _COLUMNS}


def _is_ours(path: Path) -> bool:
    """Whether ``compare()`` wrote a file; False if there is none."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _SIGNS[path.name].encode() in file.read(1024)
