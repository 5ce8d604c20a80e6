"""Ctrl-C, also where a library loses the exception that it raises."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
import typer

from tledge.cli.execution import NOTHING_INCOMPLETE, executing
from tledge.cli.interrupts import Interrupts
from tledge.cli.library_log import LibraryLog
from tledge.cli.terminal import Terminal
from tledge.core.errors import OptionError, RunError

pytestmark = pytest.mark.unit

INTERRUPTED = f"interrupted; {NOTHING_INCOMPLETE}"


def swallow_ctrl_c() -> None:
    with suppress(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)


@pytest.fixture(autouse=True)
def _python_heeds_ctrl_c() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("as_json", [False, True])
def test_a_step_stops_at_its_next_advance(as_json: bool) -> None:
    interrupts, log = Interrupts(), LibraryLog()
    try:
        with (
            interrupts.heeded(),
            Terminal(log, as_json, interrupts, "bench").progress().step("Work", 2, "photos") as step,
        ):
            step.advance()
            swallow_ctrl_c()
            with pytest.raises(KeyboardInterrupt):
                step.stop_if_asked()
            with pytest.raises(KeyboardInterrupt):
                step.advance()
    finally:
        log.close(None)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, INTERRUPTED),
        (OptionError("lost"), 130, INTERRUPTED),
        (ValueError("lost"), 130, INTERRUPTED),
        (OSError(28, "No space left on device"), 1, "No space left on device"),
        (MemoryError(), 1, "out of memory"),
    ],
)
def test_after_ctrl_c_the_exit_code_is_that_of_what_is_said(
    capfd: pytest.CaptureFixture[str], error: BaseException, code: int, said: str
) -> None:
    with pytest.raises(typer.Exit) as ended, executing("bench", False) as terminal:
        terminal.interrupts.asked = True
        raise error
    assert ended.value.exit_code == code
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("tledge: ")]
    assert len(lines) == 1
    assert said in lines[0]


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGINT, 130, "tledge: interrupted; "),
        (signal.SIGTERM, 143, "tledge: interrupted by SIGTERM; "),
        (signal.SIGHUP, 129, "tledge: interrupted by SIGHUP; "),
    ],
)
def test_each_signal_has_a_shells_exit_code_and_comes_twice_at_a_closed_terminal(
    capfd: pytest.CaptureFixture[str], number: int, code: int, said: str
) -> None:
    before = signal.getsignal(number)
    saved = []
    with pytest.raises(typer.Exit) as ended, executing("bench", False):
        try:
            os.kill(os.getpid(), number)
            time.sleep(5)
        finally:
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), signal.SIGHUP)
            saved.append("results")
    assert (ended.value.exit_code, saved) == (code, ["results"])
    assert capfd.readouterr().err.splitlines() == [f"{said}{NOTHING_INCOMPLETE}"]
    assert signal.getsignal(number) is before


def test_a_background_job_goes_on_ignoring_it() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    interrupts = Interrupts()
    with interrupts.heeded():
        os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert not interrupts.asked


def test_ctrl_c_after_another_error_is_shown_adds_nothing(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fail = Terminal.fail

    def fail_and_interrupt(terminal: Terminal, message: str) -> None:
        fail(terminal, message)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Terminal, "fail", fail_and_interrupt)
    with pytest.raises(typer.Exit) as ended, executing("export", False):
        raise RunError("no finished run")
    assert ended.value.exit_code == 1
    assert "interrupted" not in capfd.readouterr().err


def test_ctrl_c_while_another_error_is_caught_is_shown_instead(capfd: pytest.CaptureFixture[str]) -> None:
    class CaughtError(RunError):
        def __str__(self) -> str:
            os.kill(os.getpid(), signal.SIGINT)
            return "no finished run"

    with pytest.raises(typer.Exit) as ended, executing("export", False):
        raise CaughtError("")
    assert ended.value.exit_code == 130
    assert f"tledge: {INTERRUPTED}" in capfd.readouterr().err
