"""On a 32-bit system every way in ends in one line that says what to do."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from support import ROOT, Finished, check_one_line_error, modules_after

from tledge.core import word_size
from tledge.core.errors import TargetError

CLASSIFIER = "from tledge.edge_runtime import Classifier"
COMMAND_LINE = "from tledge.cli.main import main; main()"


def on_32_bits(code: str, *arguments: str, machine: str, cwd: Path) -> Finished:
    """Runs code where Python says that it is a 32-bit one, and NumPy and the runtimes cannot be imported."""
    patched = (
        "import platform, sys; sys.maxsize = 2**31 - 1; platform.machine = lambda: " + repr(machine) + "\n"
        "for name in ('numpy', 'PIL', 'ai_edge_litert', 'onnxruntime'): sys.modules[name] = None\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", patched + code, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    return Finished(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("machine", ["armv7l", "armv6l", "aarch64"])
@pytest.mark.parametrize(
    "arguments",
    [["predict", "int8.tflite", "a.jpg"], ["doctor"], ["bench"], ["train"], ["export"], ["--help"], ["--version"], []],
    ids=lambda arguments: " ".join(arguments) or "nothing",
)
def test_every_command_ends_in_one_line(arguments: list[str], machine: str, tmp_path: Path) -> None:
    done = on_32_bits(COMMAND_LINE, *arguments, machine=machine, cwd=tmp_path)
    check_one_line_error(
        done, "this system is 32-bit (32-bit Python", f" on {machine}), and", "install 64-bit Raspberry Pi OS"
    )
    assert done.out == ""
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    "code", [CLASSIFIER, "import tledge.edge_runtime", "import tledge.edge_runtime.runtimes.litert"]
)
def test_importing_the_edge_runtime_ends_in_the_same_line(code: str, tmp_path: Path) -> None:
    done = on_32_bits(code, machine="armv7l", cwd=tmp_path)
    assert done.code == 1
    last = done.err.splitlines()[-1]
    assert last.startswith("tledge.core.errors.TargetError: this system is 32-bit (32-bit Python 3.")
    assert " on armv7l), and" in last
    assert "install 64-bit Raspberry Pi OS (on a Pi 3, 4, 5 or Zero 2 W" in last


def test_building_from_a_clone_ends_in_the_same_line_before_any_library_is_looked_for(tmp_path: Path) -> None:
    """The marker in pyproject.toml knows the kernel's name only: 32-bit systems on 64-bit kernels are reported here."""
    code = f"import runpy; runpy.run_path({str(ROOT / 'setup.py')!r})"
    done = on_32_bits(code, "egg_info", machine="aarch64", cwd=tmp_path)
    check_one_line_error(
        done, "this system is 32-bit (32-bit Python", " on aarch64), and", "install 64-bit Raspberry Pi OS"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.unit
def test_elsewhere_than_on_arm_another_python_is_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "maxsize", 2**31 - 1)
    monkeypatch.setattr("platform.machine", lambda: "i686")
    with pytest.raises(TargetError, match=r"on i686\), .*; install a 64-bit Python$"):
        word_size.check_word_size()


def test_on_64_bits_nothing_is_said_and_nothing_loaded() -> None:
    assert word_size.word_size_problem() == ""
    word_size.check_word_size()
    before = set(modules_after("from __future__ import annotations; import tledge.core"))
    added = set(modules_after("from tledge.core import word_size; word_size.check_word_size()")) - before
    assert added == {"tledge.core.word_size"}


@pytest.mark.unit
@pytest.mark.parametrize(
    ("machine", "wanted"),
    [("armv6l", False), ("armv7l", False), ("armv8l", False), ("aarch64", True), ("x86_64", True)],
)
def test_pip_installs_tledge_where_litert_cannot_be(machine: str, wanted: bool) -> None:
    """Else pip would end with the name of a library that means nothing to a user."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (litert,) = (
        requirement for requirement in map(Requirement, project["dependencies"]) if requirement.name == "ai-edge-litert"
    )
    assert (litert.marker is None or litert.marker.evaluate({"platform_machine": machine})) is wanted
