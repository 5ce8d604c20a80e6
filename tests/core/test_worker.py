"""Work in a child process: requests, results, progress, and every way it can end."""

import io
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tledge.core.errors import ConversionError, MeasurementError
from tledge.core.progress import Progress, Step
from tledge.core.worker import Worker, describe_end, python_module, read_reply, run_worker
from tledge.core.worker_child import ORPHANED, RelayedProgress


class Recorder(Progress, Step):
    """Records every call."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def note(self, label: str, text: str) -> None:
        self.calls.append(("note", label, text))

    def warn(self, text: str) -> None:
        self.calls.append(("warn", text))

    @contextmanager
    def step(self, label: str, total: int, unit: str) -> Iterator[Step]:
        self.calls.append(("step", label, total, unit))
        yield self
        self.calls.append(("end",))

    def advance(self, count: int = 1, detail: str = "") -> None:
        self.calls.append(("advance", count, detail))

    def mark(self, detail: str) -> None:
        self.calls.append(("mark", detail))


MODULE = """
import os
import signal
import sys
import time
from pathlib import Path

from tledge.core.errors import MeasurementError
from tledge.core.worker_child import serve


def handle(request, progress):
    if request == "progress":
        progress.note("Data", "ä\\n2 photos")
        with progress.step("Outer", 2, "steps") as outer:
            with progress.step("Inner", 9, "queries") as inner:
                inner.advance(9, "half")
            outer.mark("first")
            outer.advance()
        progress.warn("done")
    elif request == "failed steps":
        try:
            with progress.step("First", 2, "steps"):
                raise ValueError
        except ValueError:
            progress.note("First", "failed")
        with progress.step("Second", 2, "steps"):
            raise MeasurementError("no luck")
    elif request == "print":
        print("printed by Python")
        os.system("echo printed by a library")
    elif request == "error":
        raise MeasurementError("the model 'ä' is empty")
    elif request == "bug":
        raise ZeroDivisionError("of the child")
    elif request == "crash":
        os.kill(os.getpid(), signal.SIGABRT)
    elif request == "interrupt":
        raise KeyboardInterrupt
    elif request == "wait":
        progress.warn("waiting")
        time.sleep(600)
    elif isinstance(request, dict):
        Path(request["started"]).write_text(str(os.getpid()))
        time.sleep(request["seconds"])
        Path(request["finished"]).touch()
    return {"received": request}


raise SystemExit(serve(handle, outlive_parent="outlive" in sys.argv))
"""


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    (tmp_path / "worker_module.py").write_text(MODULE)
    return [sys.executable, "-P", str(tmp_path / "worker_module.py")]


def test_one_child_serves_many_requests(command: list[str]) -> None:
    with Worker(command, name="the work") as worker:
        assert [worker.ask(request) for request in (1, "ä\n", [None])] == [
            {"received": 1},
            {"received": "ä\n"},
            {"received": [None]},
        ]
    assert not psutil.Process().children()


def test_progress_of_the_child_is_shown_here(command: list[str]) -> None:
    recorder = Recorder()
    run_worker(command, "progress", name="the work", progress=recorder)
    assert recorder.calls == [
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


def test_a_step_that_failed_in_the_child_does_not_end_here(command: list[str]) -> None:
    recorder = Recorder()
    with pytest.raises(MeasurementError, match="no luck"):
        run_worker(command, "failed steps", name="the work", progress=recorder)
    assert recorder.calls == [
        ("step", "First", 2, "steps"),
        ("note", "First", "failed"),
        ("step", "Second", 2, "steps"),
    ]


@pytest.mark.parametrize("last", ['["error", "no luck"]', ""])
def test_steps_that_are_open_at_an_error_do_not_end(last: str) -> None:
    recorder = Recorder()
    lines = [
        '["step", "Outer", 2, "steps"]\n',
        '["step", "Inner", 2, "steps"]\n',
        '["end"]\n',
        f"{last}\n" if last else "",
    ]
    assert read_reply(lines, recorder) == (("error", "no luck") if last else None)
    assert recorder.calls == [("step", "Outer", 2, "steps"), ("step", "Inner", 2, "steps"), ("end",)]


def test_what_libraries_print_goes_to_the_log_alone(
    command: list[str], capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="tledge")
    assert run_worker(command, "print", name="the work") == {"received": "print"}
    assert capfd.readouterr() == ("", ""), "nothing is printed here, in a notebook for instance"
    assert caplog.records[0].levelname == "INFO"
    assert caplog.messages[0].startswith("--- the work\n")
    assert {"printed by Python", "printed by a library"} <= set(caplog.messages[0].splitlines())


def test_what_a_child_printed_before_it_failed_is_a_warning(
    command: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(MeasurementError):
        run_worker(command, "bug", name="the work")
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().endswith("ZeroDivisionError: of the child")


def test_errors_of_the_child_are_raised_here(command: list[str]) -> None:
    with pytest.raises(ConversionError, match=r"^the model 'ä' is empty$"):
        run_worker(command, "error", name="the work", error=ConversionError)


@pytest.mark.parametrize(
    ("request_", "how"),
    [
        ("bug", r"^the work ended with exit code 1: ZeroDivisionError: of the child$"),
        ("crash", r"^the work was ended by SIGABRT: it printed nothing$"),
        ("interrupt", r"^the work ended with exit code 130: it printed nothing$"),
    ],
)
def test_a_child_that_ends_early_is_an_error(command: list[str], request_: str, how: str) -> None:
    with pytest.raises(MeasurementError, match=how):
        run_worker(command, request_, name="the work")


def test_a_stuck_child_is_killed(command: list[str]) -> None:
    with pytest.raises(MeasurementError, match=r"^the work did not reply within 1 s$"):
        run_worker(command, "wait", name="the work", timeout=1.0)
    assert not psutil.Process().children()


def test_the_child_ends_when_the_parent_is_interrupted(command: list[str]) -> None:
    class Impatient(Recorder):
        def warn(self, text: str) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_worker(command, "wait", name="the work", progress=Impatient())
    assert not psutil.Process().children()


PARENT = """
import sys
from tledge.core.worker import run_worker

run_worker(sys.argv[3:], {"started": sys.argv[1], "finished": sys.argv[2], "seconds": SECONDS}, name="the work")
"""


@pytest.mark.parametrize("outlives", [False, True])
def test_a_child_ends_when_its_parent_is_killed(command: list[str], tmp_path: Path, outlives: bool) -> None:
    started, finished = tmp_path / "started", tmp_path / "finished"
    program = PARENT.replace("SECONDS", "1.5" if outlives else "600")
    arguments = [*map(str, (started, finished)), *command, *(["outlive"] if outlives else [])]
    parent = subprocess.Popen([sys.executable, "-P", "-c", program, *arguments])
    while not (started.exists() and started.read_text()):
        assert parent.poll() is None
        time.sleep(0.01)
    child = psutil.Process(int(started.read_text()))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    psutil.wait_procs([child], timeout=30)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    assert finished.exists() == outlives


def test_a_child_without_requests_ends_well(command: list[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, b"")


def test_an_orphan_says_so_by_its_exit_code(command: list[str], tmp_path: Path) -> None:
    request = f'{{"started": "{tmp_path}/a", "finished": "{tmp_path}/b", "seconds": 600}}\n'
    done = subprocess.run(command, input=request.encode(), capture_output=True, check=False, timeout=60)
    assert done.returncode == ORPHANED


@pytest.mark.unit
def test_every_call_is_a_line() -> None:
    stream = io.StringIO()
    with RelayedProgress(stream).step("A", 1, "b") as step:
        step.advance(2)
    assert stream.getvalue().splitlines() == ['["step", "A", 1, "b"]', '["advance", 2, ""]', '["end"]']


@pytest.mark.unit
@pytest.mark.parametrize(
    ("code", "printed", "text"),
    [
        (1, "first\nno such file\n", "ended with exit code 1: no such file"),
        (2, "", "ended with exit code 2: it printed nothing"),
        (-signal.SIGKILL, "", "was killed (SIGKILL), probably for lack of memory: it printed nothing"),
    ],
)
def test_how_a_program_ended_is_described(code: int, printed: str, text: str) -> None:
    assert describe_end(code, printed) == text


@pytest.mark.unit
def test_modules_run_in_this_python_without_the_working_directory() -> None:
    assert python_module("a.b", "c", Path("d")) == [sys.executable, "-P", "-m", "a.b", "c", "d"]


@pytest.mark.parametrize(
    "line", ["Welcome!", '["step"]', '["end"]', '["advance", 1, ""]', "[[]]", "{}", '["note", 1, "a"]']
)
def test_a_message_that_is_not_one_of_the_protocol_is_an_error(line: str) -> None:
    command = [sys.executable, "-c", f"print({line!r}, flush=True); input()"]
    with pytest.raises(MeasurementError, match=r"^the work sent a message that is not one of the protocol: "):
        run_worker(command, 1, name="the work")
