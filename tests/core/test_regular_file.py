"""Only regular files are read, and never more of them than a stated number of bytes."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tledge.core.regular_file import open_regular, read_bounded, read_start

pytestmark = pytest.mark.unit

READERS: dict[str, Callable[[Path], object]] = {
    "read_bounded": lambda path: read_bounded(path, 100),
    "read_start": lambda path: read_start(path, 10),
    "open_regular": open_regular,
}


@pytest.mark.parametrize("reader", READERS)
def test_a_pipe_a_socket_a_device_and_a_folder_are_refused(tmp_path: Path, reader: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "link").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for name, reason in [
            ("pipe", "is a named pipe, not a regular file"),
            ("link", "is a named pipe, not a regular file"),
            ("zero", "is a device, not a regular file"),
            ("socket", "is a socket, not a regular file"),
            (".", "Is a directory"),
            ("absent", "No such file or directory"),
        ]:
            with pytest.raises(OSError, match=r".") as raised:
                READERS[reader](tmp_path / name)
            assert raised.value.strerror == reason, name


def test_a_pipe_that_replaces_the_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check before the opening sees a regular file, and the opening meets the pipe."""
    regular, pipe = tmp_path / "regular", tmp_path / "pipe"
    regular.write_bytes(b"")
    os.mkfifo(pipe)
    seen = regular.stat()
    monkeypatch.setattr("tledge.core.regular_file.os.stat", lambda path: seen)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(OSError, match="is a named pipe"):
        read_bounded(pipe, 100)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_file_is_read_up_to_the_limit(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for content in (b"", b"a", bytes(range(100))):
        file.write_bytes(content)
        assert read_bounded(file, 100) == content
        assert read_start(file, 10) == content[:10]
        with open_regular(file, 100) as opened:
            assert opened.read() == content
    file.write_bytes(bytes(101))
    with pytest.raises(OSError, match="has 101 bytes; a photo may have 100 at most"):
        read_bounded(file, 100, "photo")
    with pytest.raises(OSError, match="has 101 bytes; a file may have 100 at most"):
        open_regular(file, 100)


def test_a_file_of_another_size_than_announced_is_read_up_to_the_limit() -> None:
    whole = Path("/proc/self/status").read_bytes()  # its size is 0
    assert read_bounded(Path("/proc/self/status"), 100_000)[:20] == whole[:20]
    with pytest.raises(OSError, match="has more than 100 bytes; a file may have 100 at most"):
        read_bounded(Path("/proc/self/status"), 100)


def test_a_sparse_file_is_refused_without_reading(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(8 << 30)
    with pytest.raises(OSError, match="has 8,589,934,592 bytes; a photo may have 1,000 at most"):
        read_bounded(tmp_path / "sparse", 1000, "photo")
