"""Temporary files of dead processes are removed by the next command; those of live ones and of users never are."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import tledge

from tledge.core import temporary_files
from tledge.core.errors import RunError
from tledge.core.run_directory import RunDirectory, find_run, in_progress, is_made_now, tidy_runs
from tledge.core.temporary_files import OLD_AGE_S, remove_litter, system_folder, temporary_file, temporary_folder

HOLDING = """
import sys, time
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from tledge.core import atomic
from tledge.core.run_directory import create_run
from tledge.core.temporary_files import process_folder, temporary_file, temporary_folder

folder = Path(sys.argv[1])
with ExitStack() as stack:
    stack.enter_context(temporary_file(folder, "results.jsonl"))
    (stack.enter_context(temporary_folder(folder / "samples")) / "a" / "b").mkdir(parents=True)
    (stack.enter_context(process_folder()) / "of_a_library").write_text("content")
    stack.enter_context(create_run(folder / "runs", "net", "data", datetime.now()))
    print("ready", flush=True)
    time.sleep(600)
"""


@contextmanager
def holding(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds temporary files in ``folder``, a run in ``folder/runs`` and a folder in ``folder/tmp``."""
    (folder / "tmp").mkdir(exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(folder / "tmp")}
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", HOLDING, str(folder)], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def litter(folder: Path) -> list[str]:
    """The temporary files and folders, and the begun runs."""
    return sorted(path.name for part in ("", "tmp", "runs") for path in (folder / part).glob("*-*"))


def search(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the next process does in the folders."""
    monkeypatch.setattr(temporary_files, "_searched", set())
    for part in ("", "tmp"):
        remove_litter(folder / part)
    tidy_runs(folder / "runs")


def test_what_a_killed_process_leaves_is_removed_and_what_a_live_one_holds_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with holding(tmp_path) as live:
        held = litter(tmp_path)
        assert len(held) == 4, held
        search(tmp_path, monkeypatch)
        assert litter(tmp_path) == held
        with holding(tmp_path) as killed:
            assert len(litter(tmp_path)) == 8
            killed.send_signal(signal.SIGKILL)
            killed.wait()
            search(tmp_path, monkeypatch)
        assert litter(tmp_path) == held
        live.send_signal(signal.SIGKILL)
        live.wait()
        search(tmp_path, monkeypatch)
    assert not litter(tmp_path)


def test_a_stopped_process_is_a_live_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with holding(tmp_path) as stopped:
        stopped.send_signal(signal.SIGSTOP)
        held = litter(tmp_path)
        search(tmp_path, monkeypatch)
        assert litter(tmp_path) == held
        stopped.send_signal(signal.SIGCONT)


def test_nothing_is_left_after_the_block(tmp_path: Path) -> None:
    with temporary_file(tmp_path, "a.png") as file, temporary_folder(tmp_path / "b") as folder:
        assert file.name.endswith("-a.png")
        (folder / "c").mkdir()
        assert sorted(tmp_path.iterdir()) == sorted([file, folder])
    assert not list(tmp_path.iterdir())


@pytest.mark.unit
def test_the_longest_name_has_a_temporary_one_with_its_suffix(tmp_path: Path) -> None:
    name = "ü" * 123 + ".png"  # 250 bytes
    with temporary_file(tmp_path, name) as file:
        file.replace(tmp_path / name)
        assert file.suffix == ".png"
    assert [path.name for path in tmp_path.iterdir()] == [name]


USERS = (
    ".partial-notes",
    ".partial-abcdefgh-int8.tflite",
    ".partial-locked-me",
    "tledge-pictures",
    "tledge-locked-1234-5678",
    "tledge-abcdefgh.log",
    "tledge-results",
)


@pytest.mark.unit
@pytest.mark.parametrize("name", USERS)
@pytest.mark.parametrize("folder", [False, True], ids=["file", "folder"])
def test_what_a_user_made_is_left(tmp_path: Path, name: str, folder: bool) -> None:
    path = tmp_path / name
    if folder:
        path.mkdir()
    else:
        path.touch()
    path.chmod(0o755 if folder else 0o644)
    os.utime(path, (0, 0))
    remove_litter(tmp_path)
    assert path.exists()


OURS = "locked-{host}-0123456789ab"
EARLIER = (".partial-abcd_123-int8.tflite", ".partial-abcd_123", "tledge-abcd_123.log", ".partial-4711-latest")


def _make(path: Path, *, age: float) -> None:
    path.touch(mode=0o600)
    os.utime(path, (time.time() - age,) * 2)


@pytest.mark.unit
@pytest.mark.parametrize("name", EARLIER)
def test_litter_of_earlier_versions_is_removed_after_a_week(tmp_path: Path, name: str) -> None:
    for part, age, left in (("young", OLD_AGE_S - 60, True), ("old", OLD_AGE_S + 60, False)):
        (tmp_path / part).mkdir()
        _make(tmp_path / part / name, age=age)
        remove_litter(tmp_path / part)
        assert (tmp_path / part / name).exists() == left


@pytest.mark.unit
def test_results_that_an_earlier_version_had_not_moved_to_their_place_are_left(tmp_path: Path) -> None:
    fresh = tmp_path / ".partial-abcd_123"
    fresh.mkdir(mode=0o700)
    _make(fresh / "results.jsonl", age=2 * OLD_AGE_S)
    os.utime(fresh, (0, 0))
    remove_litter(tmp_path)
    assert (fresh / "results.jsonl").exists()


@pytest.mark.unit
def test_litter_of_this_host_is_removed_at_once_and_that_of_others_after_a_week(tmp_path: Path) -> None:
    here = temporary_files._host()
    there = f"{int(here, 16) ^ 1:08x}"
    for host, age, left in ((here, 0.0, False), (there, OLD_AGE_S - 60, True), (there, OLD_AGE_S + 60, False)):
        part = tmp_path / f"{host}-{age}"
        part.mkdir()
        path = part / f".partial-locked-{host}-0123456789ab-int8.tflite"
        _make(path, age=age)
        remove_litter(part)
        assert path.exists() == left


@pytest.mark.unit
def test_links_and_pipes_with_such_names_are_neither_followed_nor_opened(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "photo.jpg").touch()
    name = f".partial-locked-{temporary_files._host()}-0123456789a"
    (tmp_path / f"{name}0").symlink_to(target, target_is_directory=True)
    os.mkfifo(tmp_path / f"{name}1", 0o600)
    remove_litter(tmp_path)
    assert (target / "photo.jpg").exists()
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.unit
def test_a_folder_within_litter_is_not_searched_but_a_folder_is_searched_once(tmp_path: Path) -> None:
    below = tmp_path / "below"
    below.mkdir()
    path = below / f".partial-locked-{temporary_files._host()}-0123456789ab"
    path.touch(0o600)
    remove_litter(tmp_path)
    assert path.exists()  # a tree of a million photos is not walked


@pytest.mark.unit
def test_a_file_taken_for_litter_before_it_was_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold, held = temporary_files._hold, []

    def late(path: Path, handle: int) -> bool:
        if not held:
            path.unlink()  # by another process, between the two system calls
        held.append(path)
        return hold(path, handle)

    monkeypatch.setattr(temporary_files, "_hold", late)
    with temporary_file(tmp_path, "a.json") as path:
        assert path == held[1]
        assert path.exists()


@pytest.mark.unit
def test_a_read_only_folder_is_left_without_an_error(tmp_path: Path) -> None:
    path = tmp_path / f".partial-locked-{temporary_files._host()}-0123456789ab"
    path.touch(0o600)
    tmp_path.chmod(0o500)
    try:
        remove_litter(tmp_path)
    finally:
        tmp_path.chmod(0o700)
    assert path.exists() == (os.geteuid() != 0)


def test_a_command_removes_what_a_killed_one_left_in_the_folder_for_temporary_files(
    tmp_path: Path, tiny_artifacts: Path, photos: Path
) -> None:
    with holding(tmp_path) as killed:
        killed.send_signal(signal.SIGKILL)
    assert len(litter(tmp_path)) == 4
    photo = next(photos.rglob("*.jpg"))
    done = tledge(
        "predict", tiny_artifacts / "float32.tflite", photo, cwd=tmp_path, env={"TMPDIR": str(tmp_path / "tmp")}
    )
    assert done.code == 0, done
    assert not list((tmp_path / "tmp").iterdir())


def test_the_folder_that_processes_share_is_the_same_within_a_command(tmp_path: Path) -> None:
    before = system_folder()
    with temporary_files.process_folder() as own:
        assert own.parent == before
        with temporary_folder() as inner:
            assert inner.parent == own
            assert os.environ["TMPDIR"] == str(own)
        assert system_folder() == before
    assert system_folder() == before
    assert not own.exists()


def test_a_run_killed_before_it_could_be_resumed_is_removed_and_one_that_can_be_is_not(tmp_path: Path) -> None:
    with holding(tmp_path) as killed:
        (run,) = (RunDirectory(path) for path in (tmp_path / "runs").glob("*-net-data"))
        assert not tidy_runs(tmp_path / "runs")
        assert run.path.exists()
        killed.send_signal(signal.SIGKILL)
    run.checkpoints.mkdir()
    run.begun.write_text("{}")
    tidy_runs(tmp_path / "runs")
    assert run.begun.exists()
    assert not run.in_progress_path.exists()
    with holding(tmp_path) as again:
        again.send_signal(signal.SIGKILL)
    tidy_runs(tmp_path / "runs")
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [run.path.name]


def test_a_run_killed_when_it_was_complete_becomes_the_latest(tmp_path: Path) -> None:
    with holding(tmp_path) as killed:
        (run,) = (RunDirectory(path) for path in (tmp_path / "runs").glob("*-net-data"))
        run.checkpoints.mkdir()
        run.begun.touch()
        run.manifest_path.write_text("{}")
        killed.send_signal(signal.SIGKILL)
    assert find_run(runs=tmp_path / "runs").path.resolve() == run.path.resolve()
    assert not run.checkpoints.exists()
    assert not run.in_progress_path.exists()


def test_runs_without_the_mark_are_left_as_they_are(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path / "20260102-000000-net-data")
    run.path.mkdir()
    tidy_runs(tmp_path)
    assert run.path.exists()
    with in_progress(run):
        tidy_runs(tmp_path)
        assert run.in_progress_path.exists()
    assert not list(run.path.iterdir())


def test_only_one_process_makes_a_run(tmp_path: Path) -> None:
    with holding(tmp_path) as killed:
        (run,) = (RunDirectory(path) for path in (tmp_path / "runs").glob("*-net-data"))
        with pytest.raises(RunError, match="is in use by another process; wait until it ends"), in_progress(run):
            pass
        assert is_made_now(run)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert not is_made_now(run)
    with in_progress(run), pytest.raises(RunError, match="in use by another process"), in_progress(run):
        pass


@pytest.mark.unit
def test_a_file_that_replaces_another_while_it_is_locked_is_locked_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = tmp_path / "mark", tmp_path / "other"
    path.touch()
    other.touch()
    real = os.open
    opened: list[int] = []

    def replaced(name: Path, flags: int, *more: int) -> int:
        opened.append(real(name, flags, *more))
        if other.exists():
            other.replace(path)
        return opened[-1]

    monkeypatch.setattr(os, "open", replaced)
    handle = temporary_files.lock_of(path)
    assert handle is not None
    assert len(opened) == 2
    assert os.path.samestat(os.fstat(handle), path.stat())
    os.close(handle)


@pytest.mark.unit
def test_the_log_of_an_internal_error_is_left(tmp_path: Path) -> None:
    _make(tmp_path / "tledge-error-0a1b2c3d.log", age=2 * OLD_AGE_S)
    remove_litter(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
