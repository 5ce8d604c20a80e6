"""Commands and Python snippets of README and docs run as written, or say what they need."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.main
from document_sample import INSTALLS, PAGES, SMALL, TRAINED, Sandbox, blocks_of, runnable_commands, shared_beginnings
from support import ROOT

from tledge.cli.app import app

REASONS = {
    "needs a Raspberry Pi",
    "needs a camera",
    "needs SSH",
    "needs a download",
    "needs an interrupted run",
    "needs a Keras file of yours",
    "needs a TFLite file of yours",
    "needs an ONNX file of yours",
    "needs weights files of yours",
    "needs Ctrl-C to stop",
}
"""The first lines with which a block may say that it cannot run here."""

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
PAGE_NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
RUN = [page for page in PAGES if runnable_commands(page)]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    return Sandbox(tmp_path_factory.mktemp("documents"))


@pytest.mark.unit
def test_blocks_are_left_out_for_listed_reasons_only() -> None:
    reasons = {block.reason for page in PAGES for block in blocks_of(page)} - {None}
    assert reasons == REASONS


@pytest.mark.unit
def test_every_block_is_of_a_known_language_and_closed() -> None:
    for page in PAGES:
        fences = re.findall(r"^ *```(.*)$", page.read_text(), re.MULTILINE)
        assert len(fences) % 2 == 0, page
        assert set(fences[::2]) <= {"sh", "python", "text", "yaml"}, page
        assert set(fences[1::2]) <= {""}, page


@pytest.mark.unit
@pytest.mark.parametrize("page", PAGES, ids=PAGE_NAMES)
def test_commands_and_options_exist(page: Path) -> None:
    """Also those of blocks that cannot run here."""
    for block in blocks_of(page):
        for line in block.commands if block.language == "sh" else ():
            for command in re.split(r" \| | && ", re.sub(r"'[^']*'", "''", line)):
                words = shlex.split(command, comments=True)
                if not words or Path(words[0]).name != "tledge":
                    continue
                assert words[1] in COMMANDS, line
                known = {option for parameter in COMMANDS[words[1]].params for option in parameter.opts}
                assert {word for word in words[2:] if word.startswith("--")} <= known, line


@pytest.mark.unit
def test_only_installations_are_left_to_another_test() -> None:
    """tests/test_docs.py resolves them, and tests/cli/test_demo.py runs the demo."""
    left = {
        command
        for page in PAGES
        for block in blocks_of(page)
        if block.reason is None and block.language == "sh"
        for command in block.commands
        if command.startswith(INSTALLS)
    }
    for command in left:
        _, _, then = command.partition(" && ")
        assert then in ("", "tledge demo", "pytest", ". .venv/bin/activate"), command


@pytest.mark.unit
def test_the_training_that_a_small_run_stands_for_runs_elsewhere() -> None:
    assert set(SMALL) <= set(RUN)
    assert TRAINED in {command for page in set(RUN) - set(SMALL) for command in runnable_commands(page)}


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.stem)
def test_the_page_runs_as_written(page: Path, sandbox: Sandbox) -> None:
    sandbox.run(page, shared_beginnings(RUN))
