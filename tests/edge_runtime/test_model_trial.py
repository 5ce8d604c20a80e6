"""What happens to the process that tries a model is one error."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tledge.core import crash_trial
from tledge.core.errors import ArtifactError
from tledge.edge_runtime import Classifier, inspection
from tledge.edge_runtime.inspection import inspect
from tledge.edge_runtime.model_trial import try_model

ABORT = "import os; os.abort()"

ENDS = {
    ABORT: r"LiteRT crashed \(SIGABRT\) while loading or running 'model.tflite': the file is damaged",
    "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)": r"LiteRT crashed \(SIGSEGV\)",
    "import os, signal; os.kill(os.getpid(), signal.SIGKILL)": (
        r"the process that tried .model.tflite. was killed \(SIGKILL\), probably for lack of memory; use a smaller"
        " model"
    ),
    "import time; time.sleep(60)": r"LiteRT did not reply within 1 s while running 'model.tflite': it may never end",
}


@pytest.mark.parametrize("program", ENDS, ids=["abort", "segv", "kill", "sleep"])
def test_the_end_of_the_process_is_described(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr(crash_trial, "python_module", lambda name: [sys.executable, "-c", program])
    monkeypatch.setattr(crash_trial, "SECONDS", 1.0 if "sleep" in program else 30.0)
    with pytest.raises(ArtifactError, match=ENDS[program]):
        try_model(Path("model.tflite"))


def test_errors_of_the_file_are_left_to_its_reader(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(100))
    try_model(tmp_path / "model.tflite")


@pytest.mark.parametrize("call", [inspect, Classifier])
def test_calls_from_python_survive_a_file_that_crashes_its_runtime(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, call: Callable[[Path], object]
) -> None:
    """Nothing loads the file here before a child process has survived it."""
    path = tmp_path / "model.tflite"
    path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(100))
    monkeypatch.setattr(inspection, "try_model", try_model)
    monkeypatch.setattr(crash_trial, "python_module", lambda name: [sys.executable, "-c", ABORT])
    monkeypatch.setattr(inspection, "BareModel", lambda *_: pytest.fail("loaded in this process"))
    with pytest.raises(ArtifactError, match=r"LiteRT crashed \(SIGABRT\) while loading or running '.*model.tflite'"):
        call(path)


def test_a_file_that_ends_the_process_by_itself_is_one_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A real crash: in the child process, the runtime reads outside of its memory."""
    path = tmp_path / "model.tflite"
    path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(100))
    program = "import ctypes; import ai_edge_litert.interpreter; ctypes.string_at(0)"
    monkeypatch.setattr(inspection, "try_model", try_model)
    monkeypatch.setattr(crash_trial, "python_module", lambda name: [sys.executable, "-c", program])
    with pytest.raises(ArtifactError, match=r"LiteRT crashed \(SIGSEGV\)"):
        inspect(path)


def test_the_trial_happens_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tried: list[object] = []
    monkeypatch.setattr(inspection, "try_model", lambda model, size, *, grey: tried.append((model, size, grey)))
    path = tmp_path / "model.tflite"
    path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(100))
    for trial in (True, False):
        with pytest.raises(ArtifactError, match="LiteRT cannot load"):
            inspect(path, (32, 48), grey=True, trial=trial)
    assert tried == [(path, (32, 48), True)]
    with pytest.raises(ArtifactError, match="no model file"):
        inspect(tmp_path / "gone.tflite")
    assert len(tried) == 1
