"""Ctrl-C, also where a library loses the exception that it raises."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tledge.cli.interrupts import Interrupts
from tledge.cli.library_log import LibraryLog
from tledge.cli.terminal import Terminal

pytestmark = pytest.mark.unit


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
        log.close(None, keep=False)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_background_job_goes_on_ignoring_it() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    interrupts = Interrupts()
    with interrupts.heeded():
        os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert not interrupts.asked
