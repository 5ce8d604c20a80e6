"""``tledge visualize``."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tledge.cli.command_builder import Given, Json, build_command
from tledge.cli.execution import executing
from tledge.cli.terminal import Terminal
from tledge.core.errors import RunError
from tledge.core.number_text import counted
from tledge.core.run_directory import DEFAULT_RUNS, find_run
from tledge.visualize.visualize_options import GROUPS, VisualizeOptions

if TYPE_CHECKING:
    from tledge.visualize import VisualizeRecord


@build_command("visualize", VisualizeOptions, groups=GROUPS)
def run(given: Given, *, json: Json = False) -> None:
    """Show what the network sees.

    features: the responses of layers to a photo. saliency: where the model and each artifact look. ideal: images that
    maximize the score of a class, with and without the total-variation term. adversarial: the smallest perturbation
    that changes the predicted class, and which artifacts it fools. confusions: an artifact's errors. embedding: a map
    of the test photos. Writes PNG and GIF files, visualize.json, and visualize.html, which shows them all.
    """
    with executing(given.command, json) as terminal:
        from tledge.visualize import visualize

        options = given.values()
        if "backbone" not in options:
            with suppress(RunError):  # which visualize() reports, after wrong options
                directory = find_run(options.get("run"), Path(options.get("runs", DEFAULT_RUNS)), terminal.progress())
                terminal.log_to = directory.logs / "visualize.log"
        _show(terminal, visualize(**options, progress=terminal.progress()))


def _show(terminal: Terminal, record: VisualizeRecord) -> None:
    terminal.print_json(record.to_dict())
    for name, section in record.sections.items():
        terminal.heading(f"{section.title} ({name})")
        for sentence in section.sentences:
            terminal.print_sentence(sentence)
    for name, reason in record.left_out.items():
        terminal.print(f"Skipped: {name}: {reason}")
    terminal.print(f"\n{counted(len(record.files), 'pictures')} in {record.folder}")
    terminal.print(f"Page: {record.page}")
