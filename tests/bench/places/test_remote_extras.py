"""What is installed on another machine: the extras that its models and photos need."""

import subprocess
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

import pytest

from tledge.bench.places.kinds import ssh
from tledge.bench.places.kinds.ssh import SshHost
from tledge.bench.places.remote.connection import Account
from tledge.bench.places.remote.remote_folder import RemoteFolder
from tledge.bench.results.cell_result import Timing
from tledge.core.progress import Progress

JPEG = b"\xff\xd8\xff\xe0"
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
AVIF = b"\0\0\0\x18ftypavif\0\0\0\0mif1avif"


@pytest.fixture
def folder(tmp_path: Path) -> RemoteFolder:
    """A folder on a machine whose python3 only creates virtual environments, with a python that logs its arguments."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "there").mkdir()
    python3 = tmp_path / "bin/python3"
    python = f'for last; do :; done; echo "$last" >> "{tmp_path}/log"; test ! -e "{tmp_path}/broken"'
    (tmp_path / "python").write_text(f"#!/bin/sh\n{python}\n")
    (tmp_path / "python").chmod(0o755)
    create = f'echo created >> "{tmp_path}/log"; mkdir -p "$3/bin"; cp "{tmp_path}/python" "$3/bin"'
    python3.write_text(f"#!/bin/sh\n{create}\n")
    python3.chmod(0o755)

    def run(command: list[Any], **_: Any) -> bytes:
        environment = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
        return subprocess.run(list(map(str, command)), check=True, env=environment, stdout=subprocess.PIPE).stdout

    made: Any = object.__new__(RemoteFolder)
    made._connection, made._progress = SimpleNamespace(host="board", run=run), Progress()
    made._wheel, made.path, made.rounds = Path("t.whl"), PurePosixPath(tmp_path / "there"), PurePosixPath("rounds")
    made.copy = lambda *_: None
    found: RemoteFolder = made
    return found


def installed(tmp_path: Path) -> list[str]:
    return [line.rpartition("/")[2] for line in (tmp_path / "log").read_text().split()]


def test_extras_are_added_to_the_environment_once(folder: RemoteFolder, tmp_path: Path) -> None:
    folder.install("onnx")
    folder.install("onnx")
    assert installed(tmp_path) == ["created", "t.whl[onnx]"]
    folder.install("onnx", "heic")
    folder.install("onnx", "heic")
    assert installed(tmp_path) == ["created", "t.whl[onnx]", "t.whl[onnx,heic]"]


def test_an_installation_that_failed_is_done_again(folder: RemoteFolder, tmp_path: Path) -> None:
    for broken, wanted in ((True, ["created", "t.whl"]), (False, ["created", "t.whl"] * 2)):
        (tmp_path / "broken").touch() if broken else (tmp_path / "broken").unlink()
        try:
            folder.install()
        except subprocess.CalledProcessError:
            assert broken
        assert installed(tmp_path) == wanted


@pytest.mark.parametrize(
    ("photos", "wanted"),
    [
        ({"a.jpg": JPEG}, ["created", "t.whl"]),
        ({"a.jpg": JPEG, "b.HEIC": HEIC}, ["created", "t.whl", "t.whl[heic]"]),
        ({"a.jpg": HEIC}, ["created", "t.whl", "t.whl[heic]"]),  # the content counts
        ({"a.avif": AVIF}, ["created", "t.whl", "t.whl[heic]"]),
        ({}, ["created", "t.whl"]),
    ],
)
def test_photos_decide_whether_their_decoder_is_installed(
    photos: dict[str, bytes], wanted: list[str], folder: RemoteFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "Rounds", lambda *_, **__: SimpleNamespace(run=lambda: "measured"))
    for name, content in photos.items():
        (tmp_path / name).write_bytes(content)
    host = SshHost(Account.parse("pi@board"), "pi@board", None)
    folder.install()
    host._folder = folder
    workload: Any = SimpleNamespace(photos=tuple(tmp_path / name for name in photos), fingerprint="")
    timing: Any = Timing
    assert host.measure(workload, [], count=1, timing=timing, progress=Progress()) == "measured"
    assert installed(tmp_path) == wanted
