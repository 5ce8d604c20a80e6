"""Commands in a real terminal: no line of a library, nothing cut, nothing wider than the terminal."""

import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from foreign_models import write_onnx
from PIL import Image
from support import stripes, write_stripes

LIBRARY_LINES = re.compile(
    r"XNNPACK delegate|INFO:|WARNING:|oneDNN|cudart|absl|TF-TRT|^--- |Traceback|tensorflow/", re.M
)
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")

WIDTHS = pytest.mark.parametrize("width", [80, 130])


def screen(*arguments: object, cwd: Path, width: int, before: str = "pass") -> list[str]:
    """Runs a command in a terminal, after the Python code ``before``.

    Returns:
        Every line that it drew, the bars at each moment included.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", f"{before}; from tledge.cli.main import main; main()", *map(str, arguments)],
        cwd=cwd,
        env={**environment, "TERM": "xterm-256color"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    drawn = b""
    try:
        while part := os.read(ours, 65536):
            drawn += part
    except OSError:  # Linux: the other end is closed
        pass
    finally:
        os.close(ours)
        code = process.wait(60)
    text = ESCAPES.sub("", drawn.decode())
    assert code == 0, text
    assert not LIBRARY_LINES.search(text), text
    return [line.rstrip() for line in re.split(r"[\r\n]+", text) if line.strip()]


def check_width(lines: list[str], width: int) -> None:
    for line in lines:
        assert len(line) <= width or line.startswith("Next: ") or " " not in line.strip(), line


@WIDTHS
def test_bench_names_what_it_measures_and_cuts_no_number(tiny_artifacts: Path, tmp_path: Path, width: int) -> None:
    for name in ("float32.onnx", "float32.tflite"):
        shutil.copy(tiny_artifacts / name, tmp_path)
    photos = write_stripes(tmp_path / "photos", per_class=4)
    for name, label in (("across", "cat"), ("upright", "dog")):
        (photos / name).rename(photos / label)
    shutil.copytree(photos / "cat", photos / "emu")
    lines = screen(
        "bench", "float32.tflite", "float32.onnx", "--data", photos, "--rounds", 2, "--seconds", 0.2,
        cwd=tmp_path, width=width,
    )  # fmt: skip
    check_width(lines, width)
    bars = [line for line in lines if line.startswith("Benchmark")]
    assert "float32.tflite on litert:cpu:" in bars[0]
    assert all(re.search(r"\d+:\d\d (left|so far)|in \d+:\d\d", bar) for bar in bars), bars
    start = next(number for number, line in enumerate(lines) if line.startswith("artifact "))
    table = lines[start : start + 3]
    assert [line.split()[0] for line in table] == ["artifact", "float32.tflite", "float32.onnx"]
    assert "…" not in "".join(table)
    assert "p50 ms" in table[0]
    left_out = [line for line in lines if line.startswith("not shown in")]
    assert bool(left_out) == (width == 80)


@WIDTHS
def test_predict_shows_the_classes_that_fit(tiny_artifacts: Path, tmp_path: Path, width: int) -> None:
    photos = write_stripes(tmp_path / "photos-with-a-rather-long-folder-name", per_class=2)
    lines = screen("predict", tiny_artifacts / "float32.tflite", photos, "--top", 3, cwd=tmp_path, width=width)
    check_width(lines, width)
    results = [line for line in lines if line.endswith(" ms")]
    assert len(results) >= 4
    assert all(re.match(r"  (cat|dog|emu) 0\.\d{3} ", line) for line in results), "the paths have lines of their own"
    assert len([line for line in lines if line.endswith(".jpg")]) == 4


@WIDTHS
def test_adopt_shows_the_whole_description(tmp_path: Path, width: int) -> None:
    write_onnx(tmp_path / "model.onnx")
    names = [f"{place} of the old harbour" for place in ("north", "east", "south", "west")]
    (tmp_path / "labels.txt").write_text("\n".join(names))
    Image.fromarray(stripes(vertical=True, seed=1)).save(tmp_path / "photo.png")
    options = ["--labels", "labels.txt", "--input-range", "-1..1", "--output", "logits", "--photo", "photo.png"]
    given = ["--colour", "rgb", "--mean", "0,0,0", "--std", "1", "--resize", "stretch"]
    lines = screen("adopt", "model.onnx", *options, *given, cwd=tmp_path, width=width)
    check_width(lines, width)
    assert "…" not in "".join(lines)
    assert ", ".join(names) in " ".join(" ".join(lines).replace(" given", " ").split())


@WIDTHS
def test_doctor_cuts_no_command(tmp_path: Path, width: int) -> None:
    one_missing = "from tledge.cli.commands import doctor; doctor.EXTRAS['onnx'] = ('onnxruntime', 'not-there')"
    lines = screen("doctor", cwd=tmp_path, width=width, before=one_missing)
    assert [line for line in lines if line.startswith("targets ")]
    assert "…" not in "".join(lines)
    commands = [line for line in lines if "pip " in line]
    assert "pip install 'tledge[onnx]'" in {line.strip() for line in commands}
    assert all(line.strip().startswith("pip ") for line in commands), commands
    check_width([line for line in lines if line not in commands], width)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """Where a small network was trained, and what was drawn meanwhile, in 80 columns."""
    folder = tmp_path_factory.mktemp("trained")
    photos = write_stripes(folder / "photos", per_class=4)
    options = ("--backbone", "mobilenet", "--alpha", 0.25, "--weights", "none", "--image-size", 32, "--epochs", 2)
    return folder, screen("train", "--data", photos, *options, cwd=folder, width=80)


@pytest.mark.slow
def test_training_names_the_epoch_and_the_time_left(trained: tuple[Path, list[str]]) -> None:
    _, lines = trained
    check_width(lines, 80)
    bars = [line for line in lines if line.startswith("Full training")]
    assert any("epoch 1/2" in bar for bar in bars), bars
    assert all(re.search(r"\d+:\d\d (left|so far)|in \d+:\d\d", bar) for bar in bars), bars


@pytest.mark.slow
def test_export_names_the_artifact_that_is_made(trained: tuple[Path, list[str]]) -> None:
    lines = screen("export", "--quantize", "float32", "--format", "tflite", cwd=trained[0], width=80)
    check_width(lines, 80)
    assert any("float32.tflite" in line for line in lines if line.startswith("Export "))


@pytest.mark.slow
def test_pictures_show_no_library_line(trained: tuple[Path, list[str]]) -> None:
    check_width(screen("visualize", "features", cwd=trained[0], width=130), 130)
