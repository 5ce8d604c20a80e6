"""Commands on a machine that lacks something: memory, open files, disk space, a folder, a locale."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from support import write_stripes

MB = 2**20

POOR: Mapping[str, Mapping[str, str]] = {
    "no temporary folder": {"TMPDIR": "/nonexistent"},
    "unwritable home": {"HOME": "/proc", "XDG_CACHE_HOME": ""},
    "ascii": {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
    "unknown locale": {"LC_ALL": "xx_YY"},
    "odd columns": {"COLUMNS": "abc", "TERM": "dumb"},
    "no columns": {"COLUMNS": "0"},
}


def run(
    *arguments: object,
    cwd: Path,
    limits: Mapping[int, int] | None = None,
    env: Mapping[str, str] | None = None,
    code: str = "from tledge.cli.main import main; main()",
) -> subprocess.CompletedProcess[str]:
    """Runs a command in a process of its own, with limits on its resources."""

    def limit() -> None:
        for kind, value in (limits or {}).items():
            resource.setrlimit(kind, (value, value))

    return subprocess.run(
        [sys.executable, "-P", "-c", code, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
        preexec_fn=limit,
    )


def check_end(done: subprocess.CompletedProcess[str]) -> None:
    """A command succeeds, or ends with a clear error."""
    text = done.stdout + done.stderr
    assert "Traceback" not in text, done
    assert "internal error" not in text, done
    assert done.returncode in (0, 1, 2), done
    assert done.returncode == 0 or text.strip(), done


@pytest.fixture
def folder(tmp_path: Path, tiny_artifacts: Path) -> Path:
    write_stripes(tmp_path / "photos", per_class=2)
    for name in ("float32.tflite", "float32.onnx"):
        (tmp_path / name).write_bytes((tiny_artifacts / name).read_bytes())
    return tmp_path


@pytest.mark.parametrize("suffix", ["tflite", "onnx"])
def test_too_little_memory_is_one_line(folder: Path, suffix: str, scale: int) -> None:
    for number in range(4 * scale):
        limit = (120 + 160 * number // (4 * scale)) * MB
        check_end(run("predict", f"float32.{suffix}", "photos", cwd=folder, limits={resource.RLIMIT_AS: limit}))


@pytest.mark.parametrize("files", [4, 6, 8, 12])
def test_too_few_open_files_are_one_line(folder: Path, files: int) -> None:
    limits = {resource.RLIMIT_NOFILE: files}
    if run(cwd=folder, limits=limits, code="pass").stderr:
        pytest.skip("Python itself needs more files to start here")
    check_end(run("predict", "float32.onnx", "photos", cwd=folder, limits=limits))


def test_a_disk_without_space_is_one_line(folder: Path) -> None:
    done = run("train", "--data", "photos", "--runs", "runs", cwd=folder, limits={resource.RLIMIT_FSIZE: 0})
    check_end(done)
    assert done.returncode == 1


@pytest.mark.parametrize("lacking", POOR)
def test_predict_works_whatever_the_environment_is(folder: Path, lacking: str) -> None:
    done = run("predict", "float32.tflite", "photos", cwd=folder, env=POOR[lacking])
    assert done.returncode == 0, done
    assert len(done.stdout.splitlines()) >= 4, done


@pytest.mark.parametrize("command", ["--help", "train", "bench", "export", "predict x.tflite y"])
def test_a_removed_working_directory_is_named(tmp_path: Path, command: str) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    code = "import os, sys; os.rmdir(os.getcwd()); from tledge.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *command.split()],
        cwd=gone,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    check_end(done)
    if command != "--help":
        assert "the working directory was removed; change to another folder" in done.stderr
