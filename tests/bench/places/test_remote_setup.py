"""What a benchmark on another machine checks and copies, before and without a connection."""

import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tledge.bench import bench
from tledge.bench.places.remote import remote_receiver
from tledge.bench.places.remote.connection import Account
from tledge.bench.places.remote.wheel import write_wheel
from tledge.core.errors import OptionError, UnknownNameError


@pytest.mark.parametrize(
    ("text", "account"),
    [
        ("pi@raspberrypi.local", Account("pi@raspberrypi.local")),
        ("board", Account("board")),
        ("pi@10.0.0.7:2222", Account("pi@10.0.0.7", 2222)),
        ("pi@[fe80::1%eth0]:22", Account("pi@fe80::1%eth0", 22)),
    ],
)
def test_accounts_are_written_as_ssh_has_them(text: str, account: Account) -> None:
    assert Account.parse(text) == account


@pytest.mark.parametrize(
    "text", ["pi@host:99999", "", "-oProxyCommand=evil", "pi@", "pi@host:port", "a b", "pi@-x", "host;rm"]
)
def test_what_is_no_account_is_refused_before_ssh_sees_it(text: str) -> None:
    with pytest.raises(OptionError, match=r"`on` must look like 'ssh:USER@HOST'"):
        bench(files=["x.tflite"], on=f"ssh:{text}")


def test_places_are_named_and_what_they_cannot_do_is_refused(tiny_artifacts: Path, tmp_path: Path) -> None:
    model = [tiny_artifacts / "float32.tflite"]
    with pytest.raises(UnknownNameError, match=r"unknown place 'emulate'. Did you mean 'emulated'\?"):
        bench(files=model, on="emulate:pi5")
    with pytest.raises(UnknownNameError, match=r"unknown board 'pi6'"):
        bench(files=model, on="emulated:pi6")
    with pytest.raises(OptionError, match=r"`on` must look like 'emulated:pi5'; received 'emulated'"):
        bench(files=model, on="emulated")
    with pytest.raises(OptionError, match=r"`seconds` cannot be combined with `on='emulated:pi5'`"):
        bench(files=model, on="emulated:pi5", seconds=3)
    with pytest.raises(
        OptionError, match=r"`profile` cannot be combined with `on='ssh:pi@board'`: it runs only on this machine"
    ):
        bench(files=model, on="ssh:pi@board", profile=True)
    with pytest.raises(OptionError, match=r"`attack` cannot be combined with `on='ssh:pi@board'`"):
        bench(files=model, on="ssh:pi@board", attack=["square"])
    with pytest.raises(OptionError, match=r"`ssh_config='.*'` is only used with `on='ssh:USER@HOST'`"):
        bench(files=model, ssh_config=tmp_path / "config")
    with pytest.raises(
        OptionError, match=r"`targets` cannot be combined with `on='emulated:pi5'`.*received 'litert:cpu:4'"
    ):
        bench(files=model, on="emulated:pi5", targets=["litert:cpu:4"])


def test_the_wheel_holds_what_is_installed_here_and_is_the_same_each_time(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    first, second = (write_wheel(tmp_path / name) for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    with zipfile.ZipFile(first) as archive:
        names = archive.namelist()
        source = archive.read("tledge/bench/places/remote/remote_receiver.py")
        record = archive.read(next(name for name in names if name.endswith("RECORD"))).decode()
    assert source == Path(remote_receiver.__file__).read_bytes()
    assert {"tledge/cli/main.py", "tledge/bench/report/report.html", "tledge/core/py.typed"} <= set(names)
    assert {line.split(",")[0] for line in record.splitlines()} == set(names)


def test_a_copy_that_is_cut_off_leaves_no_half_file(tmp_path: Path) -> None:
    content = os.urandom(200_000)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in ("photos/first.jpg", "photos/second.jpg"):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    program = [sys.executable, remote_receiver.__file__]
    cut = subprocess.run(
        [*program, "receive", tmp_path / "there"], input=packed.getvalue()[:300_000], capture_output=True, check=False
    )
    assert cut.returncode != 0
    assert (tmp_path / "there/photos/first.jpg").read_bytes() == content
    assert not (tmp_path / "there/photos/second.jpg").exists()
    digest = __import__("hashlib").sha256(content).hexdigest()
    manifest = json.dumps({"photos/first.jpg": digest, "photos/second.jpg": digest})
    reported = subprocess.run(
        [*program, "missing", tmp_path / "there"], input=manifest.encode(), capture_output=True, check=True
    )
    assert json.loads(reported.stdout) == ["photos/second.jpg"]
