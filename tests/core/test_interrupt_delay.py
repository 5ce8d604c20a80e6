"""Signals that arrive while results are saved wait until they are."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from tledge.core.interrupt_delay import ENDING_SIGNALS, InterruptDelay

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def _handled() -> Iterator[None]:
    before = {number: signal.signal(number, signal.default_int_handler) for number in ENDING_SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDING_SIGNALS)
def test_a_signal_waits_until_the_end_of_the_block(number: int) -> None:
    saved = []
    with pytest.raises(KeyboardInterrupt), InterruptDelay():
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGTERM)
        saved.append("results")
    assert saved == ["results"]
    assert signal.getsignal(number) is signal.default_int_handler


def test_a_signal_that_was_taken_raises_nothing() -> None:
    with InterruptDelay() as delay:
        assert not delay.take()
        os.kill(os.getpid(), signal.SIGINT)
        assert delay.take()
        assert not delay.take()


def test_an_error_comes_before_the_signal() -> None:
    with pytest.raises(ZeroDivisionError), InterruptDelay():
        os.kill(os.getpid(), signal.SIGINT)
        raise ZeroDivisionError


def test_ignored_signals_stay_ignored_and_threads_have_none() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with InterruptDelay() as delay:
        os.kill(os.getpid(), signal.SIGHUP)
        assert not delay.take()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    ended = []

    def work() -> None:
        with InterruptDelay():
            ended.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended == [True]
