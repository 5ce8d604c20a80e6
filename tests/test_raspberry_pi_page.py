"""docs/how-to/raspberry-pi.md: its commands are run here as far as possible; those that cannot run are listed."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from PIL import Image
from support import ROOT, stripes

from tledge.cli.app import app

PAGE = (ROOT / "docs" / "how-to" / "raspberry-pi.md").read_text()


def commands_in(text: str) -> list[str]:
    """The lines of all shell blocks, without comments ("# needs a camera")."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if not line.startswith("#")]


COMMANDS = commands_in(PAGE)
TO_SYSTEM = "sudo install -m 644 tledge.service /etc/systemd/system/"
TO_BOARD = "pi@raspberrypi.local:"
RPICAM = "rpicam-vid --timeout 0 --nopreview --codec mjpeg --width 640 --height 480 --framerate 10 --output -"
KEEP_THE_JOURNAL_IN_MEMORY = (
    r"printf '[Journal]\nStorage=volatile\n'"
    " | sudo install -D --mode=644 /dev/stdin /etc/systemd/journald.conf.d/ram.conf"
)

RUN_ON_THE_WORKSTATION = [
    "pip wheel . --no-deps --wheel-dir wheels",
    f"scp wheels/tledge-*.whl constraints.txt runs/latest/artifacts/int8.tflite porch.jpg {TO_BOARD}",
]
"""In a clone with a run; the board's home is another folder here."""

RUN_ON_THE_BOARD = [
    "python3 -m venv tledge",
    "tledge/bin/pip install -c constraints.txt tledge-*.whl",
    "tledge/bin/tledge predict int8.tflite porch.jpg",
    f"mkdir photos && tledge/bin/tledge predict int8.tflite --watch photos --systemd > tledge.service && {TO_SYSTEM}",
    'tledge/bin/pip install -c constraints.txt "$(ls tledge-*.whl)[onnx,camera]"',
    "tledge/bin/tledge doctor",
    "systemd-analyze verify /etc/systemd/system/tledge.service",
    f"tledge/bin/tledge predict int8.tflite --camera 0 --systemd > tledge.service && {TO_SYSTEM}",
    f"{RPICAM} | tledge/bin/tledge predict int8.tflite -",
    f"tledge/bin/tledge predict int8.tflite - --systemd --feed '{RPICAM}' > tledge.service && {TO_SYSTEM}",
    "tledge/bin/pip install --force-reinstall --no-deps tledge-*.whl",
]
"""In an empty folder, with what was copied there, in the page's order."""

NOT_HERE = {
    "rpi-imager": "writes a card",
    "ssh pi@raspberrypi.local": "a board; 'bench --on ssh:' is tested against a server on this machine",
    "sudo apt-get install --yes python3-venv": "changes the system; .ci/run installs it where it is missing",
    "sudo systemctl enable --now tledge": "needs systemd as the first process",
    "journalctl --unit tledge --follow": "needs the service",
    "sudo systemctl edit tledge": "opens an editor",
    "systemctl status tledge": "needs the service",
    "tledge/bin/tledge predict int8.tflite --camera 0": "a camera",
    "tledge/bin/tledge predict int8.tflite --camera picamera": "a Pi's own camera",
    "sudo apt-get install --yes python3-picamera2": "changes the system, and Debian does not have it",
    "python3 -m venv --system-site-packages tledge": "for the above",
    "vcgencmd get_throttled": "a board; recorded answers are tested in tests/bench",
    "vcgencmd measure_temp": "a board; recorded answers are tested in tests/bench",
    "tledge bench --on ssh:pi@raspberrypi.local": "a board; tested against a server on this machine in tests/bench",
    "sudo systemctl stop tledge": "needs the service",
    "tledge bench --on emulated:pi5": "takes minutes; tested in tests/bench",
    KEEP_THE_JOURNAL_IN_MEMORY: "changes the system",
    "sudo systemctl restart systemd-journald": "changes the system",
    f"scp runs/latest/artifacts/int8.tflite {TO_BOARD}new.tflite": "a board",
    "ssh pi@raspberrypi.local 'mv new.tflite int8.tflite && sudo systemctl restart tledge'": "a board",
    "sudo systemctl restart tledge": "needs the service",
}
"""Why."""

OPTIONS = {
    name: {option for parameter in command.params for option in parameter.opts}
    for name, command in typer.main.get_command(app).commands.items()  # type: ignore[attr-defined]
}


@pytest.mark.unit
def test_every_command_is_run_here_or_named_with_a_reason() -> None:
    placed = [*RUN_ON_THE_WORKSTATION, *RUN_ON_THE_BOARD, *NOT_HERE]
    assert sorted(set(COMMANDS)) == sorted(placed)


@pytest.mark.unit
def test_it_takes_ten_commands() -> None:
    ten = PAGE.split("## Ten commands")[1].split("The predictions are in the journal")[0]
    assert len(commands_in(ten)) == 10


@pytest.mark.unit
def test_only_options_that_exist_are_named() -> None:
    named = 0
    for line in COMMANDS:
        if not re.search(r"\btledge (predict|bench|doctor)\b", line):
            continue
        command = line.removesuffix(f" > tledge.service && {TO_SYSTEM}")
        words = shlex.split(command.split(" | ")[-1].split("&& ")[-1])
        assert words[0].rsplit("/", 1)[-1] == "tledge"
        assert {word for word in words[2:] if word.startswith("--")} <= OPTIONS[words[1]], line
        named += 1
    assert named >= 7


@pytest.mark.slow
def test_the_commands_that_need_no_board_run(tiny_artifacts: Path, tmp_path: Path) -> None:
    clone, board = tmp_path / "clone", tmp_path / "home of pi"
    ignored = shutil.ignore_patterns(".git", "build", "dist", "*.egg-info", "__pycache__", "runs", ".venv", ".*_cache")
    shutil.copytree(ROOT, clone, ignore=ignored)
    board.mkdir()
    artifacts = clone / "runs" / "latest" / "artifacts"
    artifacts.mkdir(parents=True)
    shutil.copyfile(tiny_artifacts / "float32.tflite", artifacts / "int8.tflite")
    Image.fromarray(stripes(True, 0)).save(clone / "porch.jpg")
    unit = board / "tledge.service"
    # Stands in for the Pi's camera: the same bytes that rpicam-vid gives, one JPEG after the other.
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "rpicam-vid").write_text(f"#!/bin/sh\ncat {shlex.quote(str(clone / 'porch.jpg'))}\n")
    (programs / "rpicam-vid").chmod(0o755)
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
    }

    def run(command: str, folder: Path) -> str:
        here = command.replace(TO_SYSTEM, "cat tledge.service")
        here = here.replace("/etc/systemd/system/tledge.service", shlex.quote(str(unit)))
        here = re.sub(f"^scp (.*) {TO_BOARD}$", rf"cp \1 {shlex.quote(str(board))}", here)
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", here],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (here, done.stdout[-2000:], done.stderr[-2000:])
        return done.stdout

    said: dict[str, str] = {}
    for command in COMMANDS:
        if command in RUN_ON_THE_WORKSTATION:
            said[command] = run(command, clone)
        elif command in RUN_ON_THE_BOARD:
            if command.startswith("systemd-analyze") and shutil.which("systemd-analyze") is None:
                continue
            said[command] = run(command, board)
            if unit.exists() and shutil.which("systemd-analyze"):
                run("systemd-analyze verify /etc/systemd/system/tledge.service", board)
    assert list((clone / "wheels").glob("tledge-*-py3-none-any.whl"))
    for predicted in (said[RUN_ON_THE_BOARD[2]], said[RUN_ON_THE_BOARD[8]]):
        assert re.search(r"(cat|dog|emu) +[01]\.\d{3}", predicted)
    watching, camera, fed = (said[RUN_ON_THE_BOARD[index]] for index in (3, 7, 9))
    program = board / "tledge" / "bin" / "tledge"
    assert f'ExecStart=":{program}" predict "{board / "int8.tflite"}" --watch "{board / "photos"}"\n' in watching
    assert f"WorkingDirectory={board}\n" in watching
    assert "SupplementaryGroups=video\n" in camera
    assert f'"{RPICAM}" "{program}" predict "{board / "int8.tflite"}" -\n' in fed
    assert f"PATH={programs}:" in fed
    assert "litert:cpu" in said["tledge/bin/tledge doctor"]
    assert "onnxruntime:cpu" in said["tledge/bin/tledge doctor"]
