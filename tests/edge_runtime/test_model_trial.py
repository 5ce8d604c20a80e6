"""What happens to the process that tries a model is one error."""

import sys
from pathlib import Path

import pytest

from tledge.core import crash_trial
from tledge.core.errors import ArtifactError
from tledge.edge_runtime.model_trial import try_model

ENDS = {
    "import os; os.abort()": r"LiteRT crashed \(SIGABRT\) while loading or running 'model.tflite': the file is damaged",
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
