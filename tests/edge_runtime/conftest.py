"""Inspecting a file in these tests starts no process, unless a test asks for that."""

import pytest

from tledge.edge_runtime import inspection


@pytest.fixture(autouse=True)
def without_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out the child process in which ``inspect`` tries a file."""
    monkeypatch.setattr(inspection, "try_model", lambda *_, **__: None)
