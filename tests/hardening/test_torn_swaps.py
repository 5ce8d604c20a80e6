"""A process killed at any step of replacing a folder's contents: the next command finds the old or the new ones whole.

A child process ends by ``os._exit`` at its k-th change of the file system, for every k.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from comparison_sample import Planted, write_bench

from tledge.bench.earlier.repeated_benchmark import read_repetition
from tledge.bench.results.results_folder import EARLIER, ResultsFolder
from tledge.bench.results.stored_results import read_stored
from tledge.core import atomic, temporary_files
from tledge.core.artifact import move_artifact, read_artifact, write_artifact
from tledge.core.errors import MeasurementError
from tledge.core.folder_contents import ARRIVING, REPLACING, finish_replacement, replacing_contents
from tledge.core.measurement import read_results
from tledge.core.progress import Progress
from tledge.core.temporary_files import discard, remove_litter, temporary_folder

CHANGES = frozenset({"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.symlink", "os.link", "os.truncate"})
"""Audit events of what changes a folder; ``open`` counts too where it writes."""

KILLED = 99
ENDED = 0


class Notes(Progress):
    """Collects what is reported."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []

    def note(self, label: str, text: str) -> None:
        self.notes.append(f"{label}: {text}")

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def killed_at(step: int, change: Callable[[], None]) -> bool:
    """Runs ``change`` in a child process that ends before its ``step``-th change of the file system; whether it did."""
    child = os.fork()
    if child == 0:
        count = 0

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal count
            writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if event in CHANGES or writes:
                count += 1
                if count == step:
                    os._exit(KILLED)

        sys.addaudithook(hook)
        try:
            change()
        except BaseException:  # noqa: BLE001 - the parent must not run twice
            traceback.print_exc()
            os._exit(1)
        os._exit(ENDED)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (KILLED, ENDED)
    return code == KILLED


def every_step(change: Callable[[Path], None], prepare: Callable[[Path], None], folder: Path) -> list[Path]:
    """Returns a folder as each kill leaves it, the last one as an undisturbed process does."""
    found = []
    while True:
        path = folder / f"step{len(found):03d}"
        path.mkdir(parents=True)
        prepare(path)
        killed = killed_at(len(found) + 1, lambda path=path: change(path))  # type: ignore[misc]
        found.append(path)
        if not killed:
            return found


def contents(folder: Path) -> dict[str, bytes]:
    """The files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _hidden(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(".*") if path.name != ".notes"]


@dataclass(frozen=True)
class Samples:
    """A folder of results as it is before a benchmark, and new results."""

    old: Path
    new: Path

    def prepare(self, folder: Path) -> None:
        shutil.copytree(self.old, folder, dirs_exist_ok=True)

    def replace(self, folder: Path) -> None:
        with ResultsFolder(folder).replaced(Progress()) as fresh:
            shutil.copytree(self.new, fresh.path, dirs_exist_ok=True)

    def tear(self, folder: Path) -> Path:
        """A folder whose new results are complete, and whose old ones have not left."""
        self.prepare(folder)
        shutil.copytree(self.new, folder / REPLACING)
        (folder / REPLACING / ".aside").write_text(f"{EARLIER}/20260101T000000")
        return folder


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    root = tmp_path_factory.mktemp("samples")
    found = Samples(root / "old", root / "new")
    for seed, folder in enumerate((found.old, found.new)):
        write_bench(folder, seed, [Planted()])
    (found.old / "report.md").write_text("old")
    (found.old / EARLIER / "20250101T000000").mkdir(parents=True)
    (found.old / EARLIER / "20250101T000000" / "results.jsonl").write_text("older")
    (found.old / ".notes").write_text("of a user")
    (found.new / "adversarial" / "originals").mkdir(parents=True)
    (found.new / "adversarial" / "originals" / "a.png").write_text("new")
    return found


def test_results_are_the_old_or_the_new_ones_after_a_kill_at_any_step(tmp_path: Path, samples: Samples) -> None:
    before = contents(samples.old)
    kept = {name: text for name, text in before.items() if name.startswith((EARLIER, ".notes"))}
    aside = ResultsFolder(samples.old)._aside()
    moved = {f"{aside}/{name}": text for name, text in before.items() if name not in kept}
    after = {**contents(samples.new), **kept, **moved}
    outcomes, states = [], set()
    for folder in every_step(samples.replace, samples.prepare, tmp_path):
        unfinished = [(folder / name).exists() for name in (REPLACING, ARRIVING)]
        states.add(tuple(unfinished))
        notes = Notes()
        stored = read_stored(folder, complete=True, progress=notes)
        assert stored.cells[0].samples is not None
        assert len(notes.notes) == any(unfinished)
        assert not notes.warnings
        assert not _hidden(folder)
        found = contents(folder)
        assert found in (before, after), folder
        outcomes.append(found == after)
    assert states == {(False, False), (True, False), (False, True)}
    assert outcomes == sorted(outcomes)  # once decided, always the new ones
    assert outcomes.count(False) >= 5
    assert outcomes.count(True) >= 10


def test_a_kill_at_any_step_of_finishing_is_repaired_too(tmp_path: Path, samples: Samples) -> None:
    def finish(folder: Path) -> None:
        finish_replacement(folder)

    steps = every_step(finish, lambda folder: samples.tear(folder) and None, tmp_path)
    assert len(steps) > 8
    whole = contents(steps[-1])
    assert contents(samples.new).items() <= whole.items()
    for folder in steps:
        finish_replacement(folder)
        assert contents(folder) == whole
        assert not _hidden(folder)


@pytest.mark.parametrize(
    "read",
    [
        lambda folder: read_results(folder / "results.jsonl"),
        lambda folder: read_stored(folder / "results.jsonl"),
        lambda folder: read_repetition(folder / "results.jsonl"),
        lambda folder: read_stored(folder / EARLIER / "20260101T000000"),
    ],
    ids=["read_results", "read_stored", "read_repetition", "earlier"],
)
def test_every_reader_finishes_a_torn_swap(tmp_path: Path, samples: Samples, read: Callable[[Path], object]) -> None:
    folder = samples.tear(tmp_path / "bench")
    with suppress(MeasurementError):  # of read_repetition, once it has read: the run does not exist
        read(folder)
    assert (folder / EARLIER / "20260101T000000" / "results.jsonl").exists()
    assert contents(samples.new).items() <= contents(folder).items()
    assert not _hidden(folder)


def test_readers_on_a_read_only_disk_read_the_new_results_and_say_why(
    tmp_path: Path, samples: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = samples.tear(tmp_path / "bench")
    before = contents(folder)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    for name in ("mkdir", "replace", "rename"):
        monkeypatch.setattr(Path, name, refuse)
    notes = Notes()
    stored = read_stored(folder, progress=notes)
    assert stored.path == folder / REPLACING / "results.jsonl"
    assert stored.measurements == tuple(read_results(samples.new / "results.jsonl"))
    assert "Read-only file system" in notes.warnings[0]
    assert not notes.notes
    assert contents(folder) == before


@pytest.mark.unit
@pytest.mark.parametrize("text", ["../../elsewhere/x", "/etc/x", "a", "a/b/c", "", "a/..", "\0"])
def test_a_damaged_journal_moves_nothing_elsewhere(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "bench"
    (folder / REPLACING).mkdir(parents=True)
    (folder / "results.jsonl").write_text("old")
    (folder / REPLACING / "results.jsonl").write_text("new")
    (folder / REPLACING / ".aside").write_text(text)
    before, notes = contents(tmp_path), Notes()
    finish_replacement(folder, notes)
    assert contents(tmp_path) == before
    assert "does not name a folder" in notes.warnings[0]


def test_a_reader_waits_for_a_live_process_that_replaces(tmp_path: Path, samples: Samples) -> None:
    folder = tmp_path / "bench"
    samples.prepare(folder)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        flush = atomic.flush_folder

        def slow(path: Path) -> None:
            if (path / REPLACING).exists():
                os.write(writing, b"x")
                time.sleep(0.3)
            flush(path)

        atomic.flush_folder = slow
        try:
            samples.replace(folder)
            os._exit(0)
        except BaseException:  # noqa: BLE001 - the parent must not run twice
            os._exit(1)
    os.read(reading, 1)
    notes = Notes()
    stored = read_stored(folder, complete=True, progress=notes)
    assert os.waitpid(child, 0)[1] == 0
    assert stored.path == folder / "results.jsonl"
    assert not notes.notes
    assert not _hidden(folder)


ROUNDS = 15
"""How often each of several processes replaces the contents."""


def _replace_often(folder: Path, name: str, aside: bool) -> None:
    for number in range(ROUNDS):
        content = f"{name}{number}"
        with replacing_contents(folder, (lambda: f"earlier/{_free(folder)}") if aside else None) as fresh:
            for file in ("first", "second", "third"):
                (fresh / file).write_text(content)


def _free(folder: Path) -> str:
    return f"{len(list((folder / 'earlier').glob('*'))):03d}"


def _finish_often(folder: Path) -> None:
    for _ in range(20 * ROUNDS):
        finish_replacement(folder)


@pytest.mark.parametrize("aside", [True, False], ids=["set aside", "replaced by name"])
def test_processes_that_replace_the_same_contents_at_once_follow_one_another(tmp_path: Path, aside: bool) -> None:
    folder = tmp_path / "bench"
    folder.mkdir()
    changes: tuple[Callable[[], None], ...] = (
        lambda: _replace_often(folder, "a", aside),
        lambda: _replace_often(folder, "b", aside),
        lambda: _finish_often(folder),
    )
    children = [_started(change) for change in changes]
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert codes == [ENDED] * len(changes)
    assert not _hidden(folder)
    sets = [folder, *(folder / "earlier").glob("*")]
    found = []
    for path in sets:
        files = {file.name: file.read_text() for file in path.iterdir() if file.is_file()}
        assert set(files) == {"first", "second", "third"}
        assert len(set(files.values())) == 1, "a mixture of two"
        found.append(files["first"])
    if aside:
        assert sorted(found) == sorted(f"{name}{number}" for name in "ab" for number in range(ROUNDS))


def _started(change: Callable[[], None]) -> int:
    """Runs a function in a child process and returns its process id."""
    child = os.fork()
    if child == 0:
        try:
            change()
        except BaseException:  # noqa: BLE001 - the parent must not run twice
            traceback.print_exc()
            os._exit(1)
        os._exit(ENDED)
    return child


def test_who_waited_for_a_process_that_was_killed_finishes(tmp_path: Path) -> None:
    """A reader that waits while the old contents leave must not take the next step for the end."""
    folder = tmp_path / "bench"
    folder.mkdir()
    reading, writing = os.pipe()

    def replace_and_be_killed() -> None:
        flush = atomic.flush_folder

        def killed(path: Path) -> None:
            if (path / REPLACING).exists():
                os.write(writing, b"x")
                time.sleep(0.3)
            if (path / ARRIVING).exists():
                os._exit(KILLED)
            flush(path)

        atomic.flush_folder = killed
        with replacing_contents(folder, lambda: "earlier/one") as fresh:
            (fresh / "results").write_text("new")

    child = _started(replace_and_be_killed)
    os.read(reading, 1)
    notes = Notes()
    finish_replacement(folder, notes)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED
    assert contents(folder) == {"results": b"new"}
    assert len(notes.notes) == 1


def test_files_that_replace_others_of_the_same_names_are_finished_too(tmp_path: Path) -> None:
    def prepare(folder: Path) -> None:
        for name in ("visualize.html", "visualize.json", "old.png"):
            (folder / name).write_text("old")

    def change(folder: Path) -> None:
        with replacing_contents(folder) as fresh:
            for name in ("a.png", "visualize.html", "visualize.json"):
                atomic.write_text(fresh / name, "new")

    old = {"visualize.html": b"old", "visualize.json": b"old", "old.png": b"old"}
    new = {**old, "a.png": b"new", "visualize.html": b"new", "visualize.json": b"new"}
    outcomes = []
    for folder in every_step(change, prepare, tmp_path):
        finish_replacement(folder)
        assert contents(folder) in (old, new)
        assert not _hidden(folder)
        outcomes.append(contents(folder) == new)
    assert set(outcomes) == {False, True}
    assert outcomes == sorted(outcomes)


def test_an_artifact_is_the_old_or_the_new_one_after_a_kill_at_any_step(tmp_path: Path, tiny_artifacts: Path) -> None:
    artifact = read_artifact(tiny_artifacts / "float32.onnx")
    content = artifact.path.read_bytes()

    def write(folder: Path, recipe: str) -> None:
        write_artifact(folder / "a.onnx", content, replace(artifact.sidecar, recipe=recipe))

    def move(folder: Path) -> None:
        with temporary_folder(folder / "a.onnx") as staged:
            path = staged / "a.onnx"
            move_artifact(write_artifact(path, content, replace(artifact.sidecar, recipe="new")), folder / "a.onnx")

    for change in (move, lambda folder: write(folder, "new")):
        found = []
        for folder in every_step(change, lambda folder: write(folder, "old"), tmp_path / str(id(change))):
            found.append(read_artifact(folder / "a.onnx").sidecar.recipe)
        assert found == sorted(found, reverse=True)
        assert set(found) == {"old", "new"}


def test_a_folder_that_is_removed_is_whole_or_gone_after_a_kill_at_any_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(folder: Path) -> None:
        (folder / "run" / "checkpoints").mkdir(parents=True)
        for name in ("splits.json", "checkpoints/epoch.npz"):
            (folder / "run" / name).write_text("old")

    found = []
    for folder in every_step(lambda folder: discard(folder / "run"), prepare, tmp_path):
        monkeypatch.setattr(temporary_files, "_searched", set())
        remove_litter(folder)
        found.append(sorted(contents(folder)))
    assert found[0] == ["run/checkpoints/epoch.npz", "run/splits.json"]
    assert len(found) > 3
    assert not any(found[1:])


def test_the_latest_run_is_always_one_of_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for folder in every_step(
        lambda folder: atomic.point_link(folder / "latest", "new"),
        lambda folder: (folder / "latest").symlink_to("old"),
        tmp_path,
    ):
        monkeypatch.setattr(temporary_files, "_searched", set())
        remove_litter(folder)
        assert [path.name for path in folder.iterdir()] == ["latest"]
        found.append(str((folder / "latest").readlink()))
    assert found == sorted(found, reverse=True)
    assert set(found) == {"old", "new"}


def test_a_file_is_flushed_before_it_is_renamed_and_its_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a power failure leaves an empty file under the new name, or undoes the rename."""
    order: list[str] = []
    fsync, rename = os.fsync, Path.replace

    def flushed(handle: int) -> None:
        order.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def renamed(self: Path, target: Path) -> Path:
        order.append("rename")
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(Path, "replace", renamed)
    atomic.write_text(tmp_path / "run.json", "{}")
    assert order == ["file", "rename", "folder"]
