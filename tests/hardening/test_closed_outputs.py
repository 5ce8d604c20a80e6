"""Every command with closed and full outputs: no traceback, and the exit code of a well-behaved tool."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

MAIN = "from tledge.cli.main import main; main()"

COMMANDS = {
    "help": ["--help"],
    "help of a command": ["train", "--help"],
    "version": ["--version"],
    "wrong usage": ["predict", "--wrong"],
    "doctor": ["doctor"],
    "doctor as JSON": ["doctor", "--json"],
    "predict": ["predict", "float32.tflite", *["photos"] * 3],
    "predict as JSON": ["predict", "float32.tflite", "photos", "--json"],
    "export": ["export"],
    "bench without files": ["bench", "gone.tflite"],
}

REDIRECTIONS = [
    ">&-",
    "2>&-",
    "<&-",
    ">&- 2>&- <&-",
    ">/dev/full",
    "2>/dev/full",
    ">/dev/full 2>/dev/full",
    "| head -1",
]

FULL = "tledge: cannot write the output: No space left on device"

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")


@pytest.fixture(scope="module")
def folder(tiny_artifacts: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outputs")
    (folder / "float32.tflite").write_bytes((tiny_artifacts / "float32.tflite").read_bytes())
    (folder / "photos").symlink_to(photos)
    return folder


def run(arguments: list[str], redirection: str, cwd: Path) -> tuple[int, str, str]:
    """Runs a command in a shell; its own exit code, and what reaches the shell's outputs."""
    script = f'"$@" {redirection}; exit ${{PIPESTATUS[0]}}'
    command = ["bash", "-c", script, "bash", sys.executable, "-P", "-c", MAIN, *arguments]
    done = subprocess.run(
        command,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "TMPDIR": str(cwd)},  # a lock of its own: other benchmarks may run on this machine
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_closed_and_full_outputs(folder: Path, name: str) -> None:
    code, _, err = run(COMMANDS[name], "", folder)
    for redirection in REDIRECTIONS:
        found = run(COMMANDS[name], redirection, folder)
        assert "Traceback" not in found[1] + found[2], (redirection, found)
        assert "Exception ignored" not in found[1] + found[2], (redirection, found)
        if redirection == "| head -1":
            assert found[0] in (code, 141), (redirection, found)
            assert found[2] == err, (redirection, found)
        elif redirection.startswith(">/dev/full") and code == 0:
            assert found[0] == 1, (redirection, found)
            lines = found[2].splitlines()
            assert lines[-1:] == ([] if "2>" in redirection else [FULL]), (redirection, found)
        else:
            assert found[0] == code, (redirection, found)


@pytest.mark.parametrize(
    ("redirection", "expected"), [("| head -1", (0, 141)), (">/dev/full", (1,)), ("2>/dev/full", (0,))]
)
def test_a_benchmark_is_saved_without_its_output(
    folder: Path, tmp_path: Path, redirection: str, expected: tuple[int, ...]
) -> None:
    arguments = ["bench", "float32.tflite", "--rounds", "1", "--seconds", "0.1", "--target", "litert:cpu:1"]
    code, out, err = run([*arguments, "--output", str(tmp_path / "results")], redirection, folder)
    assert code in expected, (out, err)
    assert "Traceback" not in out + err
    assert (tmp_path / "results" / "results.jsonl").exists()
    assert (tmp_path / "results" / "run.json").exists()
