"""A leaderboard as tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tledge.cli.bench_table import BEST, DOUBTFUL, measured_columns
from tledge.cli.fitted_table import TableColumn, fitted_table
from tledge.core.number_text import interval_text

if TYPE_CHECKING:
    from tledge.bench.leaderboard.accuracy_board import AccuracyRow
    from tledge.bench.leaderboard.machine_board import Entry, MachineBoard

ELSEWHERE = "--json or the page"

SHORT = {"less accurate": "less acc."}

STYLES = {"ship": BEST, "front": BEST, "less accurate": DOUBTFUL}


def board_table(board: MachineBoard, width: int) -> Any:
    """Returns a Rich table of what was measured on one machine, with the best of each column marked.

    Args:
        board: a row for each entry.
        width: characters per line of the terminal; a narrow one gets fewer columns.
    """
    from tledge.bench.results.columns import BEST_NOTE

    entries = board.entries
    models, targets = [entry.label for entry in entries], [entry.row.target for entry in entries]
    columns = [
        TableColumn(heading="model", cells=models),
        TableColumn(heading="file", cells=[entry.artifact for entry in entries]),
        TableColumn(heading="target", cells=targets),
    ]
    columns = [column for column in columns if column.heading == "file" or len(set(column.cells)) > 1]
    columns += [_standings(entries), *measured_columns([entry.row for entry in entries])]
    same = [f"all {word} {found[0]}" for word, found in (("of", models), ("on", targets)) if len(set(found)) == 1]
    return fitted_table(columns, width, caption="; ".join([*same, f"* {BEST_NOTE}"]), elsewhere=ELSEWHERE)


def _standings(entries: Sequence[Entry]) -> TableColumn:
    from rich.text import Text

    def cells(words: Mapping[str, str]) -> list[Text]:
        return [Text(", ").join(Text(words.get(mark, mark), STYLES[mark]) for mark in entry.marks) for entry in entries]

    full, short = cells({}), cells(SHORT)
    return TableColumn(heading="", cells=full, rank=1, short=TableColumn(heading="", cells=short), name="")


def accuracy_table(rows: Sequence[AccuracyRow], width: int) -> Any:
    """Returns a Rich table of the accuracy of all files on the same photos, from all machines."""
    from rich.text import Text

    from tledge.bench.results.columns import BEST_NOTE

    top1 = [Text(f"*{row.top1:.3f}*", BEST) if row.best else Text(f"{row.top1:.3f} ") for row in rows]
    columns = [
        TableColumn(heading="model", cells=[row.label for row in rows]),
        TableColumn(heading="file", cells=[row.artifact for row in rows]),
        TableColumn(heading="top-1", cells=top1, justify="right"),
        TableColumn(heading="95%", cells=[interval_text(row.interval) for row in rows], rank=1),
        TableColumn(heading="", cells=[Text(row.verdict_text, DOUBTFUL) for row in rows]),
    ]
    return fitted_table(columns, width, caption=f"* {BEST_NOTE}", elsewhere=ELSEWHERE)
