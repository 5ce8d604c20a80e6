"""Damaged folders of the user's cache: each is noticed by its content, discarded with one line, and made anew."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from support import Notes, write_stripes

from tledge.bench.places.emulation import cache as emulation_cache
from tledge.bench.places.emulation.cache import entry, has_entry
from tledge.core.errors import RunError
from tledge.core.photo_archive import unpack_photos
from tledge.core.progress import Progress
from tledge.core.sealed_folder import SEAL, is_folder_intact, seal_folder
from tledge.core.splits import Splits
from tledge.core.user_cache import building, holds
from tledge.train.data.dataset import read_dataset
from tledge.train.data.split_draw import draw_splits

pytestmark = pytest.mark.unit

CONTENT = bytes(range(256)) * 40


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(emulation_cache, "_intact", set())
    return tmp_path / "cache" / "tledge"


def swap_bytes(path: Path) -> None:
    """Exchanges two bytes, keeping size and time of the last change."""
    before, content = path.stat(), bytearray(path.read_bytes())
    content[10], content[-10] = content[-10], content[10]
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace_by(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
        make(path)

    return damage


OF_A_FILE: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "one byte short": lambda path: os.truncate(path, path.stat().st_size - 1),
    "swapped bytes": swap_bytes,
    "emptied": lambda path: os.truncate(path, 0),
    "missing": Path.unlink,
    "renamed": lambda path: path.rename(path.with_name("other")),
    "a file too many": lambda path: shutil.copyfile(path, path.with_name(f"copy-{path.name}")),
    "a folder instead": replace_by(Path.mkdir),
    "a pipe instead": replace_by(os.mkfifo),
    "a link instead": replace_by(lambda path: path.symlink_to("/etc/hostname")),
}
"""What damages a file in a folder."""

OF_A_FOLDER: dict[str, Callable[[Path], object]] = {
    "no seal, as earlier versions wrote it": lambda path: (path / SEAL).unlink(),
    "a damaged seal": lambda path: swap_bytes(path / SEAL),
    "a pipe as the seal": lambda path: replace_by(os.mkfifo)(path / SEAL),
    "an empty folder": replace_by(Path.mkdir),
    "a file instead of the folder": replace_by(Path.touch),
    "a pipe instead of the folder": replace_by(os.mkfifo),
    "a broken link instead of the folder": replace_by(lambda path: path.symlink_to("nothing")),
    "its parent is a file": lambda path: replace_by(Path.touch)(path.parent),
    "its parent is a pipe": lambda path: replace_by(os.mkfifo)(path.parent),
}
"""What damages a whole folder."""


def damages(file: str) -> list[object]:
    """Parameters of all damages, as functions of the cached folder; ``file`` is a file in it."""
    of_file = [
        pytest.param(lambda path, damage=damage: damage(path / file), id=name) for name, damage in OF_A_FILE.items()
    ]
    return [*of_file, *(pytest.param(damage, id=name) for name, damage in OF_A_FOLDER.items())]


@pytest.mark.parametrize("damage", damages("cat/1.jpg"))
def test_a_damaged_folder_of_photos_is_unpacked_again(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    with ZipFile(tmp_path / "photos.zip", "w") as archive:
        for name in ("cat/1.jpg", "cat/2.jpg", "dog/3.jpg"):
            archive.writestr(name, CONTENT + name.encode())
    notes = Notes()
    folder, _ = unpack_photos(tmp_path / "photos.zip", notes)
    assert unpack_photos(tmp_path / "photos.zip", notes)[0] == folder
    assert len(notes.notes) == 1, "nothing is unpacked twice"
    damage(folder)
    notes.notes.clear()
    assert unpack_photos(tmp_path / "photos.zip", notes)[0] == folder
    discarded = [note for note in notes.notes if note.startswith("discarded")]
    assert len(discarded) == 1
    assert discarded[0].endswith(", which is damaged or from an earlier version")
    assert len(notes.notes) == 2, "and that it was unpacked"
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert files == [SEAL, "cat/1.jpg", "cat/2.jpg", "dog/3.jpg"]
    assert (folder / "cat/1.jpg").read_bytes() == CONTENT + b"cat/1.jpg"
    assert sorted(folder.parent.iterdir()) == [folder], "nothing is left of the damaged one"


@pytest.mark.parametrize("damage", damages("usr/python"))
def test_a_damaged_entry_of_emulation_is_noticed(cache: Path, damage: Callable[[Path], object]) -> None:
    path, notes = entry("debian", ["any"]), Notes()
    assert not has_entry(path, notes)
    with building(path) as folder:
        (folder / "usr").mkdir()
        (folder / "empty").mkdir()
        (folder / "usr/python").write_bytes(CONTENT)
        (folder / "lib").symlink_to("usr")
    assert holds(path, notes)
    damage(path)
    assert not has_entry(path, notes)
    assert len(notes.notes) == 1
    assert notes.notes[0].startswith(f"discarded '{path.parent}")
    assert not list(cache.rglob("debian*"))


def test_an_entry_is_read_once_by_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    path = entry("debian", ["any"])
    with building(path) as folder:
        (folder / "file").write_bytes(CONTENT)
    assert has_entry(path, Progress())
    swap_bytes(path / "file")
    assert has_entry(path, Progress()), "as its docstring says"
    monkeypatch.setattr(emulation_cache, "_intact", set())
    assert not has_entry(path, Progress())


def test_every_change_of_a_sealed_folder_is_noticed(tmp_path: Path, scale: int) -> None:
    folder = tmp_path / "folder"
    (folder / "deep" / "er").mkdir(parents=True)
    files = [folder / "a", folder / "deep" / "b", folder / "deep" / "er" / "c"]
    for number, path in enumerate(files):
        path.write_bytes(CONTENT[number:])
    seal_folder(folder, "set")
    assert is_folder_intact(folder, "set")
    assert not is_folder_intact(folder, "other set")
    random = np.random.default_rng(0)
    for _ in range(30 * scale):
        path = files[random.integers(3)]
        whole = path.read_bytes()
        changed = bytearray(whole)
        changed[random.integers(len(changed))] ^= int(random.integers(1, 256))
        path.write_bytes(changed)
        assert not is_folder_intact(folder, "set")
        path.write_bytes(whole[: random.integers(len(whole))])
        assert not is_folder_intact(folder, "set")
        path.write_bytes(whole)
    assert is_folder_intact(folder, "set")
    files[0].write_bytes(CONTENT[1:])
    files[1].write_bytes(CONTENT)
    assert not is_folder_intact(folder, "set"), "two files in each other's place"


def test_a_run_unpacks_its_damaged_photos_again_while_the_zip_is_there(tmp_path: Path) -> None:
    write_stripes(tmp_path / "set", per_class=6)
    archive = Path(shutil.make_archive(str(tmp_path / "photos"), "zip", tmp_path, "set"))
    splits = draw_splits(read_dataset(archive, Progress()), seed=0).splits
    splits.save(tmp_path / "splits.json")
    damaged = splits.paths(splits.test)[0]
    swap_bytes(damaged)
    notes = Notes()
    again = Splits.load(tmp_path / "splits.json", notes)
    assert [note.split()[0] for note in notes.notes] == ["discarded", f"'{archive}'"]
    again.check_unchanged(again.train + again.validation + again.test)
    swap_bytes(damaged)
    archive.unlink()  # now nothing could make them anew, so nothing is thrown away
    kept = Splits.load(tmp_path / "splits.json")
    with pytest.raises(RunError, match=r"has changed since this run was trained; restore it"):
        kept.check_unchanged(kept.test)
