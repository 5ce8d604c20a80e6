"""The wheel holds every module, and its base install is small and enough."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image
from support import ROOT, stripes

LARGEST_BASE_INSTALL = 180e6  # bytes that it adds to a new virtual environment, which has pip in it (ADR 24)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    ignored = shutil.ignore_patterns(".git", "build", "dist", "*.egg-info", "__pycache__", "runs", ".venv", ".*_cache")
    shutil.copytree(ROOT, source, ignore=ignored)
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(source)],
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_every_module_and_template_and_nothing_else(wheel: Path) -> None:
    rooms = {path.parent for path in ROOT.glob("*/py.typed")}
    expected = {
        f"tledge/{path.relative_to(ROOT).as_posix()}"
        for room in rooms
        for path in room.rglob("*")
        if path.suffix in {".py", ".css", ".html", ".js"} or path.name == "py.typed"
    }
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert packed == expected
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        assert "License-Expression: Apache-2.0" in archive.read(metadata).decode()


def _size(folder: Path) -> int:
    """Returns the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


@pytest.mark.slow
def test_the_base_install_is_small_and_classifies(wheel: Path, tiny_artifacts: Path, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    empty = _size(environment)
    python = environment / "bin" / "python"
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    constraints = ROOT / "constraints.txt"
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "-c", constraints, wheel],
        check=True,
        env=clean,
        capture_output=True,
    )
    added = _size(environment) - empty
    assert added <= LARGEST_BASE_INSTALL, f"{added / 1e6:.0f} MB"
    Image.fromarray(stripes(True, 0)).save(tmp_path / "photo.jpg")
    command = environment / "bin" / "tledge"

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [command, *map(str, arguments)], cwd=tmp_path, env=clean, capture_output=True, text=True, check=False
        )

    done = run("predict", tiny_artifacts / "float32.tflite", "photo.jpg", "--json")
    assert done.returncode == 0, done
    assert json.loads(done.stdout)["predictions"][0]["label"] in {"cat", "dog", "emu"}
    done = run("bench", tiny_artifacts / "float32.tflite", "--seconds", "0.02", "--rounds", "1")
    assert done.returncode == 0, done
    assert "report.html needs jinja2: pip install 'tledge[bench]'" in done.stdout
    assert "Report: bench-results/report.md" in done.stdout
    done = run("predict", tiny_artifacts / "float32.onnx", "photo.jpg")
    assert done.returncode == 1
    assert "onnxruntime, not installed here: pip install 'tledge[onnx]'" in done.stderr
    for command_name, extra in (("train", "train"), ("demo", "train")):
        done = run(command_name)
        assert done.returncode == 1
        assert f"pip install 'tledge[{extra}]'" in done.stderr
    assert run("doctor").returncode == 0
