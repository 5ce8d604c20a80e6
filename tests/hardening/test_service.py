"""Services: a unit is printed only if the service would start, and systemd reads in it what was meant."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from command_trials import CommandForks, Trial
from support import write_stripes

HOSTILE = (
    *("%", "%n", "%%", "$", "$HOME", "${HOME}", "\\", "\\n", "\\x41", '"', "'", ";", " ", "\n", "\r", "\t", "#", "&"),
    *(
        "|",
        "`id`",
        "$(id)",
        "\x1b[31m",
        "\x7f",
        "\u202e",
        "\u2028",
        "é",
        "-",
        "--",
        "=",
        ":",
        "@",
        "~",
        "[x]",
        "*",
        "a",
    ),
)
"""Pieces of names that a shell, a terminal or systemd could take for something else."""


@pytest.fixture
def model(tiny_artifacts: Path, tmp_path: Path) -> Path:
    """A model file in an empty folder, in which all commands of a test run."""
    return Path(shutil.copyfile(tiny_artifacts / "float32.tflite", tmp_path / "m.tflite"))


def words_read_by_systemd(units: dict[str, str], folder: Path) -> dict[str, list[str]]:
    """The words of each unit's command line as systemd reads them; it must have nothing to object to."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    folder.mkdir()
    for name, text in units.items():
        (folder / name).write_text(text)
    command = [analyze, "verify", "--man=no", *(str(folder / name) for name in units)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    objections = [line for line in checked.stderr.splitlines() if "tledge" in line]
    assert not objections, objections
    environment = {"SYSTEMD_LOG_LEVEL": "debug", "PATH": "/usr/bin:/bin"}
    explained = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    found = {}
    for name in units:
        section = explained.split(f"-> Unit {name}:")[1].split("-> Unit ")[0]
        line = re.search(r"^\s*Command Line: (.*)$", section, re.MULTILINE)
        assert line, section
        shell = ["sh", "-c", f"printf '%s\\0' {line[1]}"]
        found[name] = subprocess.run(shell, capture_output=True, text=True, check=True, env={}).stdout.split("\0")[:-1]
    return found


def check_nothing_printed(trial: Trial) -> None:
    assert trial.code in (1, 2), trial
    assert trial.out == "", "a unit that is cut off or cannot work"
    assert not trial.faults(), trial
    assert len(trial.err.strip().splitlines()) == 1, trial


def test_no_unit_is_printed_for_what_could_not_run(model: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.tflite").write_bytes(model.read_bytes()[: model.stat().st_size // 2])
    (tmp_path / "empty.tflite").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    photos = write_stripes(tmp_path / "photos", per_class=1)
    refused = {
        "cut.tflite photos": "'cut.tflite'",
        "empty.tflite photos": "'empty.tflite' is empty",
        "gone.tflite photos": "'gone.tflite'",
        "m.tflite gone": "no file",
        "m.tflite gone.jpg": "no file",
        "m.tflite empty": "no images in folder",
        "m.tflite photos empty": "no images in folder",
        "m.tflite 'photos/*.png'": "no image or video matches",
        "m.tflite --watch gone": "cannot watch folder 'gone'",
        "m.tflite --watch file": "cannot watch folder 'file'",
        "m.tflite photos --target onnxruntime:cpu": "onnxruntime cannot run",
        "m.tflite photos --target litert:nosuch": "has no device 'nosuch'",
        "m.tflite photos --target nosuch": "unknown runtime 'nosuch'",
        "m.tflite photos --every 2": "--every 2 selects frames",
        "m.tflite --camera nosuch": "--camera must be",
        "m.tflite -": "a service has no standard input",
        "m.tflite - --feed 'if true'": "is not a shell command",
        'm.tflite - --feed "echo \'open"': "is not a shell command",
        "m.tflite - --feed nosuchprogram": "which is not installed here",
        "m.tflite - --feed './gone --codec mjpeg'": "which is not installed here",
        "m.tflite photos --feed 'cat x'": "nothing reads the output",
    }
    assert photos.is_dir()
    with CommandForks("tledge.cli.commands.predict") as commands:
        for line, reason in refused.items():
            trial = commands.run("predict", *shlex.split(line), "--systemd", cwd=tmp_path)
            check_nothing_printed(trial)
            assert reason in trial.err, (line, trial.err)


def test_hostile_names_and_feeds_arrive_as_they_are_or_are_refused(model: Path, tmp_path: Path, scale: int) -> None:
    random = np.random.default_rng(0)
    units: dict[str, str] = {}
    meant: dict[str, str] = {}
    refused = 0
    with CommandForks("tledge.cli.commands.predict") as commands:
        for number in range(8 * scale):
            text = "".join(HOSTILE[place] for place in random.integers(0, len(HOSTILE), random.integers(1, 6)))
            fed = number % 2 == 0
            if fed:
                feed = f"printf %s {shlex.quote(text)}"
                trial = commands.run("predict", model, "-", "--systemd", "--feed", feed, cwd=tmp_path)
            else:
                folder = tmp_path / f"{number} {text}"
                folder.mkdir()
                trial = commands.run("predict", model, "--systemd", f"--watch={folder}", cwd=tmp_path)
            if trial.code:
                refused += 1
                check_nothing_printed(trial)
                assert re.search(r"[\x00-\x1f\x7f\u2028]", text), (text, trial.err)
                continue
            name = f"tledge-{number}.service"
            units[name], meant[name] = trial.out, feed if fed else str(folder)
    assert units
    assert refused < 8 * scale // 2 + 2, "most names are ordinary enough"
    for name, words in words_read_by_systemd(units, tmp_path / "units").items():
        shown = [word.replace("\\n", "\n").replace("\\t", "\t") for word in words]  # as systemd shows them in a feed
        assert meant[name] in (*words, *shown), (name, meant[name], words)
        assert words[-1] == ("-" if int(name[7:-8]) % 2 == 0 else meant[name])
