"""Rooms name Python parameters; the command line shows its flags."""

import ast
import importlib
import re
from pathlib import Path

import pytest
from support import ROOT

from tledge.cli.messages import translate

ROOMS = ("attacks", "bench", "core", "edge_runtime", "export", "train", "visualize")

FOREIGN = re.compile(
    r"ssh|pip|qemu|mmdebstrap|debootstrap|dpkg|systemd|--only-binary|--platform|--python-version|--dest|--wheel"
    r"|--ignore-fail|--arch|--variant|--include|--download-only|--force-check|--extract|--no-deps|--system-site|--venv"
    r"|venv|vcgencmd|rpicam|--quiet|--disable-pip|--series|--share|--tile|--widest"
)
"""Flags of other programs, and of style sheets."""


REPORTED_COMMAND = "`tledge bench --repeat results.jsonl`"
"""What a report shows its readers to copy."""


@pytest.mark.parametrize(
    ("command", "message", "shown"),
    [
        ("bench", "`seconds` must be above 0; received 0", "--seconds must be above 0; received 0"),
        ("export", "choose `formats='tflite'` or `cpu`", "choose --format tflite or --for"),
        ("train", "`fine_tune=True` needs `weights='none'`", "--fine-tune needs --weights none"),
        ("train", "no `fine_tune=False`", "no --no-fine-tune"),
        ("train", "give `weights='my weights.h5'`", "give --weights 'my weights.h5'"),
        ("train", "`hosts=2, coordinator='a:1'`", "--hosts 2 --coordinator a:1"),
        ("bench", "`eps=(1, 2.5)` or `eps=[1]`", "--eps 1,2.5 or --eps 1"),
        ("bench", "`with_eps` and `seconds` of `x.tflite`", "`with_eps` and --seconds of `x.tflite`"),
        ("bench", "both `files` and `run`", "both FILE and --run"),
        ("demo", "continue with `train(resume=True, runs='x y')`", "continue with tledge train --resume --runs 'x y'"),
        ("bench", "try `predict('int8.tflite', 'a.jpg', top=3)`", "try tledge predict int8.tflite a.jpg --top 3"),
        ("bench", "`bench()` writes it", "tledge bench writes it"),
        ("export", "`export(model=PATH, data=PHOTOS)`", "tledge export --model PATH --data PHOTOS"),
        ("train", "`train(sedd=1)` and `epochs=`", "`train(sedd=1)` and `epochs=`"),
        ("doctor", "`seconds` is an option of another command", "`seconds` is an option of another command"),
        ("bench", "on `on='ssh:pi@HOST'`", "on --on ssh:pi@HOST"),
    ],
)
def test_parameters_become_flags(command: str, message: str, shown: str) -> None:
    importlib.import_module(f"tledge.cli.commands.{command}")
    assert translate(message, command) == shown


def test_no_room_names_a_flag_of_the_command_line() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text.strip()[:100]}"
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
        for line, text in _flags_in_strings(path)
    ]
    assert not found, "\n".join(["rooms name Python parameters in backticks, not flags:", *found])


def _flags_in_strings(path: Path) -> list[tuple[int, str]]:
    """Lines of strings and docstrings with a flag that is not one of another program."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for number, text in enumerate(node.value.splitlines()):
                own = text.replace(REPORTED_COMMAND, "")
                if re.search(r"(?<![\w-])--[a-z]", own) and not FOREIGN.search(own):
                    found.append((node.lineno + number, text))
    return found
