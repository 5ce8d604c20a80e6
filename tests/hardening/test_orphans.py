"""A benchmark that is killed leaves no process, and the lock is free once its processes are gone."""

import fcntl
import random
import signal
import sys
import time
from pathlib import Path

import pytest
from running_commands import running

from tledge.bench.measure.benchmark_lock import NAME, alone_on_this_machine
from tledge.core.parent_death import tied
from tledge.core.progress import Progress
from tledge.core.worker import Worker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux ends orphans")


def test_no_process_is_left_of_a_killed_benchmark(tiny_artifacts: Path, tmp_path: Path, scale: int) -> None:
    generator = random.Random(1)
    arguments = (
        "bench",
        tiny_artifacts / "float32.tflite",
        "--rounds",
        100,
        "--seconds",
        200,
        "--target",
        "litert:cpu:1",
    )
    for _ in range(max(2, scale)):
        with running(*arguments, cwd=tmp_path) as command:
            while len(command.descendants()) < 2:
                assert command.process.poll() is None, command.process.communicate()
                time.sleep(0.01)
            time.sleep(generator.uniform(0, 2))
            command.end(signal.SIGKILL)
            assert not command.orphans()
        assert is_free(tmp_path / NAME)


def is_free(path: Path, patience: float = 5.0) -> bool:
    """Whether a lock is free, or soon: the kernel closes the files of a killed process after it takes its memory."""
    deadline = time.monotonic() + patience
    with path.open() as lock:
        while time.monotonic() < deadline:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.02)
            else:
                return True
    return False


CHILD = """
import ctypes
from tledge.core.worker_child import serve

def sleep_in_native_code(request, progress):
    progress.note("Sleeping", "")
    ctypes.PyDLL(None).sleep(600)  # holds the interpreter's lock

raise SystemExit(serve(sleep_in_native_code))
"""

PARENT = """
import os, signal, sys
from tledge.core.progress import Progress
from tledge.core.worker import run_worker

class Killed(Progress):
    def note(self, label, text):
        os.kill(os.getpid(), signal.SIGKILL)

run_worker([sys.executable, "-P", sys.argv[1]], 1, name="the work", progress=Killed())
"""


def test_a_child_ends_in_the_middle_of_a_native_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "child.py").write_text(CHILD)
    monkeypatch.setattr("running_commands.MAIN", PARENT)
    with running(tmp_path / "child.py", cwd=tmp_path) as command:
        command.process.wait(60)
        assert not command.orphans()


def test_a_program_of_another_kind_ends_with_its_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "import os, signal, subprocess\nfrom tledge.core.parent_death import tied\n"
        "child = subprocess.Popen(tied(['sh', '-c', 'echo begun; exec sleep 600']), stdout=subprocess.PIPE)\n"
        "child.stdout.readline()\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    monkeypatch.setattr("running_commands.MAIN", program)
    with running(cwd=tmp_path) as command:
        command.process.wait(60)
        assert not command.orphans()


def test_a_program_that_is_missing_is_named(tmp_path: Path) -> None:
    import subprocess

    done = subprocess.run(tied([tmp_path / "gone"]), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"{tmp_path}/gone: No such file or directory\n")


def test_a_child_that_lives_holds_the_lock_of_its_benchmark(tmp_path: Path) -> None:
    echo = "from tledge.core.worker_child import serve; serve(lambda request, _: request)"
    with alone_on_this_machine(Progress(), tmp_path):
        worker = Worker([sys.executable, "-P", "-c", echo], name="the work")
        worker.ask(1)
    with (tmp_path / NAME).open() as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        worker.close()
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
