"""A leaderboard in GitHub's Markdown, for a pull request."""

from __future__ import annotations

from tledge.bench.leaderboard.leaderboard import Leaderboard, PhotoBoard
from tledge.bench.leaderboard.machine_board import Entry, MachineBoard
from tledge.bench.results.columns import BEST_NOTE, REPORT_COLUMNS, Column, shown_columns
from tledge.bench.results.flags import MEANINGS
from tledge.core.markdown_text import Markdown, bullets, heading, plain_text, table_row
from tledge.core.number_text import flag_text, interval_text

ACCURACY = "Accuracy on all machines"


def leaderboard_markdown(leaderboard: Leaderboard) -> str:
    """Returns a leaderboard as Markdown: its notes, then the recommendation and the table of each machine."""
    parts: list[str] = [heading(leaderboard.title, 1), bullets(leaderboard.notes)]
    for board in leaderboard.photos:
        parts += _photos(board)
    parts.append(plain_text(f"* {BEST_NOTE}"))
    parts.append(bullets(f"⚠ {flag_text(flag)}: {MEANINGS.get(flag, 'flagged')}." for flag in leaderboard.flags))
    return "\n\n".join(part for part in parts if part) + "\n"


def board_columns(board: MachineBoard) -> list[Column]:
    """Returns the columns of a machine's table: the main ones, without comparisons within one benchmark."""
    columns = [column for column in REPORT_COLUMNS if column.metric.brief and column.metric.scenario != "comparison"]
    return shown_columns(columns, [entry.row for entry in board.entries])


def _photos(board: PhotoBoard) -> list[str]:
    parts: list[str] = [heading(board.title, 2), bullets(board.notes)]
    for machine in board.machines:
        parts += _machine(machine)
    if board.accuracy:
        lines = [table_row(["Model", "File", "Top-1", "Standing", "Machines"]), "|---|---|---:|---|---|"]
        for row in board.accuracy:
            top1 = _starred(f"{row.top1:.3f}", interval_text(row.interval), best=row.best)
            lines.append(table_row([row.label, row.artifact, top1, row.verdict_text, "; ".join(row.machines)]))
        parts += [heading(ACCURACY, 3), "\n".join(lines)]
    return parts


def _machine(board: MachineBoard) -> list[str]:
    card = board.card
    figures = " · ".join(f"{item.heading}: {item.value}" for item in card.figures)
    columns = board_columns(board)
    headings = ["Model", "File", "Target", "Standing"]
    headings += [f"{column.metric.heading} {column.unit}".strip() for column in columns]
    lines = [table_row(headings), "|---|---|---|---|" + "---:|" * len(columns)]
    lines += [table_row(_cells(entry, columns)) for entry in board.entries]
    return [
        heading(board.title, 3),
        f"**{plain_text(card.title)}**",
        plain_text(figures),
        *(plain_text(sentence) for sentence in (*card.why, card.rule) if sentence),
        bullets(board.notes),
        "\n".join(lines),
    ]


def _cells(entry: Entry, columns: list[Column]) -> list[str]:
    artifact = entry.artifact + "".join(f" ⚠ {flag_text(flag)}" for flag in entry.row.flags)
    return [
        entry.label,
        artifact,
        entry.row.target,
        ", ".join(entry.marks),
        *(_number(entry, column) for column in columns),
    ]


def _number(entry: Entry, column: Column) -> Markdown:
    _, text, detail, best = column.cell(entry.row)
    return _starred(text, detail, best=best)


def _starred(text: str, detail: str, *, best: bool) -> Markdown:
    """Returns a number with its detail in brackets; the best are bold with a star."""
    number = f"**{plain_text(text)}**\\*" if best else plain_text(text)
    return Markdown(f"{number} ({plain_text(detail)})" if detail else number)
