"""A folder that cannot be written to is found before the work, in one line that names it."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from support import check_one_line_error, invoke, write_stripes

from tledge.core.temporary_files import check_writable

NOWHERE = Path("/sys")
"""Refuses files even from root."""


@pytest.mark.unit
def test_a_writable_folder_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    check_writable(tmp_path / "there")
    check_writable(tmp_path / "new" / "below")
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


@pytest.mark.unit
def test_what_is_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    for name in ("file", "file/below", "gone"):
        with pytest.raises(OSError, match="Not a directory") as caught:
            check_writable(tmp_path / name)
        assert (caught.value.errno, caught.value.filename) == (errno.ENOTDIR, str(tmp_path / name))


@pytest.mark.unit
@pytest.mark.skipif(not NOWHERE.is_dir(), reason="needs /sys of Linux")
def test_a_disk_that_takes_no_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="denied|permitted|Read-only") as caught:
        check_writable(NOWHERE / "tledge" / "runs")
    assert caught.value.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
    assert caught.value.filename == "/sys/tledge/runs"


@pytest.mark.skipif(not NOWHERE.is_dir(), reason="needs /sys of Linux")
@pytest.mark.parametrize("command", ["train", "bench"])
def test_commands_find_it_before_the_work(command: str, tmp_path: Path, tiny_artifacts: Path) -> None:
    photos = write_stripes(tmp_path / "photos", per_class=8)
    model = tiny_artifacts / "float32.tflite"
    arguments = {
        "train": ("train", "--data", photos, "--weights", "none", "--runs", NOWHERE / "runs"),
        "bench": ("bench", model, "--output", NOWHERE / "results"),
    }[command]
    done = invoke(*arguments, cwd=tmp_path)
    check_one_line_error(done, "cannot read or write '/sys/")
    assert "Train" not in done.out + done.err
