"""A clock that stands still unless something is run or slept."""

import pytest
from measure_sample import MadeClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> MadeClock:
    made = MadeClock()
    monkeypatch.setattr("time.perf_counter_ns", lambda: made.now)
    monkeypatch.setattr("time.sleep", made.sleep)
    return made
