"""The unit contains the given arguments, and systemd itself reads it so."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from tledge.cli.systemd_unit import Service, arguments_given, check_feed, predict_service, unit_text
from tledge.core.errors import OptionError

ODD_NAMES = [
    "two words",
    "50%n",
    "$HOME and ${HOME}",
    'it\'s "quoted"',
    "back\\slash\\n",
    "semi;colon",
    "Füße",
    "# hash",
    "-dash",
    "a*b?[c]",
]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """An executable with the name of ours: systemd-analyze checks that it exists, and starts nothing."""
    path = tmp_path / "bin" / "tledge"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    path = tmp_path / "int8.tflite"
    path.write_bytes(b"x" * 1000)
    return path


@pytest.fixture
def service(program: Path, artifact: Path, tmp_path: Path) -> Service:
    photos = tmp_path / "photos"
    photos.mkdir()
    return Service(
        command=(str(program), "predict", str(artifact), "--watch", str(photos)),
        paths=(artifact, photos),
        folder=tmp_path,
        user="root",
        memory=300 * 2**20,
    )


@pytest.fixture
def called_as_tledge(program: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "argv", [str(program)])
    monkeypatch.chdir(tmp_path)


def settings(text: str) -> dict[str, list[str]]:
    """The values of each name in a unit."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if "=" in line and not line.startswith("#"):
            name, value = line.split("=", 1)
            found.setdefault(name, []).append(value)
    return found


def verified(text: str, tmp_path: Path) -> str:
    """What systemd makes of a unit: the words of ``systemd-analyze verify``, which has nothing to object to."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "tledge.service"
    unit.write_text(text)
    command = [analyze, "verify", "--man=no", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    # It also reads the units that ours comes after, and may object to those of the machine.
    assert "tledge.service" not in done.stderr, done.stderr
    explained = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"SYSTEMD_LOG_LEVEL": "debug", "PATH": "/usr/bin:/bin"}
    )
    return explained.stdout.split("-> Unit tledge.service:")[1].split("-> Unit ")[0]


def as_read(explained: str, name: str) -> str:
    """The value of one line of what systemd says of a unit."""
    match = re.search(rf"^\s*{re.escape(name)}: (.*)$", explained, re.MULTILINE)
    assert match, explained
    return match[1]


def argv(explained: str) -> list[str]:
    """The words of the command line, which systemd shows as a shell would take them."""
    command = f"printf '%s\\0' {as_read(explained, 'Command Line')}"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, env={})
    return done.stdout.split("\0")[:-1]


def test_systemd_reads_the_unit_as_it_was_meant(service: Service, tmp_path: Path) -> None:
    text = unit_text(service)
    explained = verified(text, tmp_path)
    assert argv(explained) == list(service.command)
    assert as_read(explained, "WorkingDirectory") == str(tmp_path)
    assert as_read(explained, "User") == "root"
    assert as_read(explained, "Restart") == "on-failure"
    assert as_read(explained, "KillSignal") == "SIGTERM"
    assert as_read(explained, "MemoryMax").startswith(str(300 * 2**20))
    assert as_read(explained, "StandardOutput") == "journal"
    for path in service.paths:
        assert f"RequiresMountsFor: {path} " in explained
    assert settings(text)["WantedBy"] == ["multi-user.target"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_arrive_as_they_are(service: Service, name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    words = ("predict", name, "--top", "", ";", str(folder))
    odd = replace(service, command=(service.command[0], *words), folder=folder, paths=(folder, tmp_path))
    explained = verified(unit_text(odd), tmp_path)
    assert argv(explained) == list(odd.command)
    assert as_read(explained, "WorkingDirectory") == str(folder)
    assert f"RequiresMountsFor: {folder} " in explained


@pytest.mark.parametrize("name", ["two words", "50%n", "$HOME", "semi;colon", "Füße", "a*b?[c]"])
def test_the_program_may_have_an_odd_path_too(service: Service, name: str, tmp_path: Path) -> None:
    program = tmp_path / name / "tledge"
    program.parent.mkdir()
    shutil.copy(service.command[0], program)
    odd = replace(service, command=(str(program), "predict"))
    assert argv(verified(unit_text(odd), tmp_path)) == list(odd.command)


@pytest.mark.unit
@pytest.mark.parametrize("name", ["it's", 'a"b', "back\\slash"])
def test_a_program_that_systemd_would_not_start_is_refused(service: Service, name: str) -> None:
    with pytest.raises(OptionError, match="systemd cannot start a program with a quote or backslash"):
        unit_text(replace(service, command=(f"/home/{name}/tledge", "predict")))


@pytest.mark.unit
@pytest.mark.parametrize(
    "name", ["two\nlines", "tab\t", "\udcff", "next\x85line", "line\u2028separator", "a\0b", "\x1b[31m"]
)
def test_names_that_no_unit_can_hold_are_refused(service: Service, name: str) -> None:
    for odd in (
        replace(service, command=(*service.command, name)),
        replace(service, folder=service.folder / name),
        replace(service, paths=(service.folder / name,)),
    ):
        with pytest.raises(OptionError, match="a systemd unit cannot contain the text"):
            unit_text(odd)


def test_a_name_is_described_as_far_as_a_unit_can(service: Service, tmp_path: Path) -> None:
    artifact = tmp_path / "100% \\"
    text = unit_text(replace(service, command=(service.command[0], "predict", str(artifact)), paths=(artifact,)))
    assert as_read(verified(text, tmp_path), "Description") == "tledge: 100%"


def test_a_path_upwards_is_mounted_too(service: Service, tmp_path: Path) -> None:
    """systemd ignores a path with "..", with a warning."""
    upwards = tmp_path / "photos" / ".." / "other"
    text = unit_text(replace(service, paths=(upwards,)))
    assert f"RequiresMountsFor: {tmp_path / 'other'} " in verified(text, tmp_path)


@pytest.mark.unit
@pytest.mark.parametrize("name", ["ends in \\", "ends in space "])
def test_a_folder_whose_name_would_lose_its_end_is_refused(service: Service, name: str) -> None:
    with pytest.raises(OptionError, match="systemd would strip its ends"):
        unit_text(replace(service, folder=service.folder / name))


def test_it_can_do_little_harm(service: Service, tmp_path: Path) -> None:
    """systemd's own measure of a unit's exposure, 0 to 10: 9.6 is a unit that hardens nothing."""
    for made in (service, replace(service, camera=True)):
        verified(unit_text(made), tmp_path)
        command = ["systemd-analyze", "security", "--offline=yes", "--threshold=40", "--no-pager"]
        done = subprocess.run([*command, tmp_path / "tledge.service"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout.splitlines()[-1]


@pytest.mark.unit
def test_devices_and_the_network_are_open_only_to_who_needs_them(service: Service) -> None:
    closed, camera, fed = (
        settings(unit_text(made))
        for made in (service, replace(service, camera=True), replace(service, feed="rpicam-vid -o -"))
    )
    assert closed["PrivateDevices"] == ["yes"]
    assert camera["SupplementaryGroups"] == fed["SupplementaryGroups"] == ["video"]
    assert closed["IPAddressDeny"] == camera["IPAddressDeny"] == ["any"]
    for shut in ("PrivateDevices", "DevicePolicy", "DeviceAllow", "ProtectClock"):  # the last closes all but a clock
        assert shut not in camera
        assert shut not in fed
    for shut in ("RestrictAddressFamilies", "IPAddressDeny"):
        assert shut not in fed
    for made in (closed, camera, fed):
        assert made["ProtectSystem"] == ["strict"]
        assert made["ProtectHome"] == ["read-only"]
        assert made["NoNewPrivileges"] == ["yes"]


@pytest.mark.unit
def test_a_temporary_folder_of_its_own_hides_no_photos(service: Service) -> None:
    at_home = replace(service, folder=Path("/home/pi"), paths=(Path("/home/pi/int8.tflite"),))
    assert settings(unit_text(at_home))["PrivateTmp"] == ["yes"]
    dropped = replace(at_home, paths=(*at_home.paths, Path("/tmp/photos")))
    assert settings(unit_text(dropped))["PrivateTmp"] == ["no"]


FEEDS = [
    "printf frames, 2>/dev/null",
    "printf fra; printf mes,",
    "printf fra && printf mes,  # two halves",
    "printf '%s,' \"frames\"",
    "X=frames; printf '%s,' $X",
    "printf 'fra\\155es,'",
    "printf fra\nprintf mes,",
    "cat <<'END'\nframes,\nEND",
    "if true; then\n\tprintf frames,\nfi",
    "printf '%d' $(date +%s) >/dev/null; printf frames,",
    "printf frames, | cat",
    "(exec 3>&1; printf frames, >&3)",
]
"""Shell commands that print "frames,", with all that a shell or systemd could take for something else."""


@pytest.mark.parametrize("feed", FEEDS)
def test_a_feed_is_piped_in_and_restarted_when_it_ends(service: Service, feed: str, tmp_path: Path) -> None:
    program = tmp_path / "two words" / "tledge"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\ncat\nprintf "%s," "$@"\n')
    program.chmod(0o755)
    path = f"/opt/50%n $HOME/bin:{os.environ['PATH']}"
    words = ("predict", "it's 50%n $HOME.tflite", "-")
    fed = replace(service, command=(str(program), *words), feed=feed, search_path=path)
    text = unit_text(fed)
    explained = verified(text, tmp_path)
    assert f"PATH={path}" in explained
    assert settings(text)["Restart"] == ["always"]
    # systemd shows line feeds and tabs as escapes.
    command = re.sub(r"(?<!\\)\\n", "\n", as_read(explained, "Command Line"))
    command = re.sub(r"(?<!\\)\\t", "\t", command)
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.replace("\n", "") == "frames,predict,it's 50%n $HOME.tflite,-,"


@pytest.mark.usefixtures("called_as_tledge")
def test_paths_become_absolute_and_words_stay(program: Path, artifact: Path, tmp_path: Path) -> None:
    made = predict_service(
        [Path("int8.tflite"), "--watch", Path("photos/in"), "--target", "litert:cpu:2", Path("/mnt/usb/*.jpg")],
        artifact=artifact,
    )
    assert made.command == (
        *(str(program), "predict", str(artifact), "--watch", str(tmp_path / "photos/in")),
        *("--target", "litert:cpu:2", "/mnt/usb/*.jpg"),
    )
    assert made.paths == (artifact, tmp_path / "photos/in", Path("/mnt/usb/*.jpg"))
    assert made.folder == tmp_path
    assert made.user == subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    assert made.memory == 512 * 2**20 + 4 * 1000


@pytest.mark.unit
def test_standard_input_needs_a_feed_and_a_feed_a_reader() -> None:
    for feed in (None, "", " "):
        with pytest.raises(OptionError, match="name a command for '-', as in --feed 'rpicam-vid"):
            check_feed(["-"], feed)
    for feed in ("cat x", ""):
        with pytest.raises(OptionError, match=f"nothing reads the output of --feed '{feed}'"):
            check_feed(["photos"], feed)
    check_feed(["-"], "cat x")
    check_feed(["photos"], None)


@pytest.mark.unit
def test_the_program_is_that_of_this_python_however_it_was_started(
    artifact: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["-c"])
    assert predict_service([artifact], artifact=artifact).command[0] == str(Path(sys.executable).parent / "tledge")
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path / "empty"))
    with pytest.raises(OptionError, match="no program 'tledge' at .*empty/tledge; install tledge"):
        predict_service([artifact], artifact=artifact)


@pytest.mark.unit
def test_all_that_a_command_was_given_goes_into_the_unit() -> None:
    app = typer.Typer()
    found: list[list[str | Path]] = []

    @app.command()
    def run(
        context: typer.Context,
        artifact: Annotated[Path, typer.Argument()],
        sources: Annotated[list[str] | None, typer.Argument()] = None,
        watch: Annotated[list[Path] | None, typer.Option()] = None,
        top: int = 2,
        target: str = "litert",
        json: Annotated[bool, typer.Option("--json")] = False,
        loud: bool = True,
        systemd: Annotated[bool, typer.Option("--systemd")] = False,
    ) -> None:
        found.append(arguments_given(context, without={"systemd"}, paths={"sources"}))

    def given(line: str) -> list[str | Path]:
        assert CliRunner().invoke(app, line.split()).exit_code == 0
        return found[-1]

    assert given("int8.tflite --systemd") == [Path("int8.tflite")]
    assert given("int8.tflite a.jpg in/*.png - --top 3 --json --systemd") == [
        *(Path("int8.tflite"), Path("a.jpg"), Path("in/*.png"), "-"),
        *("--top", "3", "--json"),
    ]
    assert given("--watch in --watch=other int8.tflite --no-loud --top 2") == [
        *(Path("int8.tflite"), "--watch", Path("in"), "--watch", Path("other"), "--top", "2", "--no-loud"),
    ]
