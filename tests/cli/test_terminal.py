"""What goes where, and how wide."""

import pytest

from tledge.cli.interrupts import Interrupts
from tledge.cli.library_log import LibraryLog
from tledge.cli.terminal import PIPED_WIDTH, Terminal

pytestmark = pytest.mark.unit

SENTENCE = (
    "int8.tflite is 1.16× faster (1.06–1.28) than float32.tflite on litert:cpu:2, 0.31 of its size, top-1 not shown to"
    " differ (McNemar p = 1.00)."
)


@pytest.mark.parametrize("as_json", [False, True])
def test_a_sentence_is_no_wider_than_the_tables(capfd: pytest.CaptureFixture[str], as_json: bool) -> None:
    assert len(SENTENCE) > PIPED_WIDTH
    log = LibraryLog()
    try:
        Terminal(log, as_json, Interrupts(), "bench").print_sentence(SENTENCE)
    finally:
        log.close(None)
    printed = capfd.readouterr().out
    assert " ".join(printed.split()) == ("" if as_json else SENTENCE)
    assert all(len(line) <= PIPED_WIDTH for line in printed.splitlines())


@pytest.mark.parametrize("columns", [30, 31])
def test_a_command_to_copy_is_never_broken(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], columns: int
) -> None:
    monkeypatch.setattr(Terminal, "is_terminal", True)
    monkeypatch.setattr(Terminal, "width", columns)
    log = LibraryLog()
    try:
        Terminal(log, False, Interrupts(), "demo").print_command("tledge predict runs/a.png")
    finally:
        log.close(None)
    lines, shown = capfd.readouterr().out.splitlines(), "Next: tledge predict runs/a.png"
    assert lines == ([shown] if columns >= len(shown) else shown.split(" ", 1))
