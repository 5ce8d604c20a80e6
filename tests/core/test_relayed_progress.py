"""Progress of another process, shown in this one."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tledge.core.progress import Progress, Step
from tledge.core.relayed_progress import RelayedProgress, run_relayed


class Recorder(Progress, Step):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def note(self, label: str, text: str) -> None:
        self.told.append(("note", label, text))

    def warn(self, text: str) -> None:
        self.told.append(("warn", text))

    @contextmanager
    def step(self, label: str, total: int, unit: str) -> Iterator[Step]:
        self.told.append(("step", label, total, unit))
        yield self
        self.told.append(("end",))

    def advance(self, count: int = 1, detail: str = "") -> None:
        self.told.append(("advance", count, detail))

    def mark(self, detail: str) -> None:
        self.told.append(("mark", detail))


MODULE = """
import sys
from tledge.core.relayed_progress import RelayedProgress

progress = RelayedProgress(sys.stdout)
progress.note("Data", "ä\\n2 photos")
with progress.step("Outer", 2, "steps") as outer:
    with progress.step("Inner", 9, "queries") as inner:
        inner.advance(9, "half")
    outer.mark("first")
    outer.advance()
progress.warn(sys.argv[1])
if sys.argv[1] == "wait":
    import time
    time.sleep(600)
print("what it had to say", file=sys.stderr)
raise SystemExit(3)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "relaying_module.py").write_text(MODULE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "relaying_module"


def test_what_it_tells_is_told_here(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    recorder = Recorder()
    code, printed = run_relayed(module, "done", progress=recorder)
    assert (code, printed) == (3, "what it had to say\n")
    assert printed in capsys.readouterr().err, "it goes to the log"
    assert recorder.told == [
        ("note", "Data", "ä\n2 photos"),
        ("step", "Outer", 2, "steps"),
        ("step", "Inner", 9, "queries"),
        ("advance", 9, "half"),
        ("end",),
        ("mark", "first"),
        ("advance", 1, ""),
        ("end",),
        ("warn", "done"),
    ]


def test_it_ends_with_this_process(module: str) -> None:
    class Impatient(Recorder):
        def warn(self, text: str) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_relayed(module, "wait", progress=Impatient())
    assert not psutil.Process().children()


def test_every_call_is_a_line() -> None:
    stream = io.StringIO()
    with RelayedProgress(stream).step("A", 1, "b") as step:
        step.advance(2)
    assert stream.getvalue().splitlines() == ['["step", "A", 1, "b"]', '["advance", 2, ""]', '["end"]']
