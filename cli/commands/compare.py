"""``tledge compare``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tledge.bench.leaderboard.compare_options import GROUPS, CompareOptions
from tledge.cli.command_builder import Given, Json, build_command
from tledge.cli.execution import executing
from tledge.cli.leaderboard_table import accuracy_table, board_table
from tledge.cli.terminal import Terminal
from tledge.core.terminal_text import printable_text

if TYPE_CHECKING:
    from tledge.bench import CompareRecord
    from tledge.bench.leaderboard.machine_board import MachineBoard


@build_command("compare", CompareOptions, groups=GROUPS)
def run(given: Given, *, json: Json = False) -> None:
    """Compare benchmarks of several runs, backbones and machines.

    Shows one leaderboard, with a recommendation for each machine. Accuracy is compared on the same photos, and times on
    the same machine; everything else has a table of its own. Writes leaderboard.html and leaderboard.md.
    """
    with executing(given.command, json) as terminal:
        from tledge.bench import compare

        _show(terminal, compare(**given.values(), progress=terminal.progress()))


def _show(terminal: Terminal, record: CompareRecord) -> None:
    from tledge.bench.results.flags import MEANINGS
    from tledge.core.number_text import flag_text

    leaderboard = record.leaderboard
    terminal.print_json(record.to_dict())
    for photos in leaderboard.photos:
        terminal.heading(photos.title)
        for note in photos.notes:
            terminal.print_sentence(note)
        for board in photos.machines:
            _show_machine(terminal, board)
        if photos.accuracy:
            terminal.heading("Accuracy on all machines")
            terminal.print(accuracy_table(photos.accuracy, terminal.width))
    terminal.print()
    for flag in leaderboard.flags:
        terminal.print_sentence(f"⚠ {flag_text(flag)}: {MEANINGS.get(flag, 'flagged')}")
    for note in leaderboard.notes:
        terminal.print_sentence(note)
    for path in record.files[1:]:
        terminal.print(f"Table: {path}")
    terminal.print(f"Page: {record.page}")


def _show_machine(terminal: Terminal, board: MachineBoard) -> None:
    from rich.text import Text

    card = board.card
    terminal.print(f"\n{board.title}")
    terminal.print(Text(printable_text(card.title), "bold"))
    if card.figures:
        terminal.print_sentence(" · ".join(f"{item.heading} {item.value}" for item in card.figures))
    for sentence in card.why:
        terminal.print_sentence(sentence)
    terminal.print()
    terminal.print(board_table(board, terminal.width))
    for note in board.notes:
        terminal.print_sentence(note)
