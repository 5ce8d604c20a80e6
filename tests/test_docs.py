"""The documents tell the truth."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer.main
from support import ROOT

from tledge.cli.app import app

README = (ROOT / "README.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def set_up_commands() -> list[str]:
    """The README's commands that install and then run something: the demo's and the tests'."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.startswith("pip install") and "&&" in line]


@pytest.mark.unit
def test_the_readme_has_the_two_commands_that_do_all_the_set_up() -> None:
    demo, tests = set_up_commands()
    assert demo.split("&&")[1].strip() == "tledge demo"
    assert tests.split("&&")[1].strip() == "pytest"
    for command in (demo, tests):
        constraints, extras = re.fullmatch(r"pip install -c (\S+) '\.\[([\w,]+)\]' && \w+( \w+)?", command).groups()[:2]  # type: ignore[union-attr]
        assert (ROOT / constraints).exists()
        assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])


def test_the_parts_of_the_set_up_commands_run() -> None:
    """The demo itself runs in tests/cli/test_demo.py; this is its installation, resolved anew."""
    for command in set_up_commands():
        arguments = command.split("&&", maxsplit=1)[0].replace("'", "").split()[1:]
        done = subprocess.run(
            [sys.executable, "-m", "pip", *arguments, "--dry-run", "--quiet"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.unit
def test_the_readme_shows_every_command() -> None:
    for command in typer.main.get_command(app).commands:  # type: ignore[attr-defined]
        assert re.search(rf"tledge {command}\b", README), f"tledge {command} is not in the README"


@pytest.mark.unit
def test_files_that_the_documents_link_to_exist() -> None:
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for link in re.findall(r"\]\((?!https?://|#)([^)#]+)", document.read_text()):
            assert (document.parent / link).exists(), f"{document.name} links to {link}"


@pytest.mark.unit
def test_the_version_has_an_entry_in_the_changelog() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert f"## [{PROJECT['version']}]" in changelog
    assert "Keep a Changelog" in changelog


@pytest.mark.unit
def test_constraints_pin_names_and_versions_only() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert len(lines) > 20
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.!+-]+( ; .+)?", line), line


@pytest.mark.unit
@pytest.mark.parametrize("minor", [11, 12, 13])
def test_the_supported_pythons_are_declared(minor: int) -> None:
    assert f"Programming Language :: Python :: 3.{minor}" in PROJECT["classifiers"]
    assert f"3.{minor}" in (ROOT / "CONTRIBUTING.md").read_text()


def test_no_machine_and_no_registry_is_named() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    tracked = listed.stdout
    assert "README.md" in tracked.split()
    for name in tracked.split():
        content = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b""
        assert not re.search(rb"https?://[^ )\"]*/(simple|packages)/|index[-]url", content), name
        assert Path(name).suffix not in {".h5", ".keras", ".tflite", ".onnx"}, name
