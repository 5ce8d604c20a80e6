"""Data sets in a ZIP: unpacked once, found again, and refused if they could do harm."""

import shutil
import stat
import struct
import unicodedata
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_LZMA, ZipFile, ZipInfo

import pytest
from support import Notes, blobs, write_stripes

from tledge.core import photo_archive, photo_layouts
from tledge.core.errors import DataError, RunError
from tledge.core.fingerprint import sha256_of_file
from tledge.core.photo_archive import unpack_photos
from tledge.core.photo_layouts import FoundPhotos
from tledge.core.progress import Progress
from tledge.core.splits import Splits
from tledge.train.data.dataset import read_dataset
from tledge.train.data.split_draw import draw_splits

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tledge" / "photos"


def packed(path: Path, *names: str | ZipInfo, content: bytes = b"x") -> Path:
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, content)
    return path


def find(archive: Path) -> FoundPhotos:
    return photo_layouts.find_photos(archive, Progress())


CLASSES = ("cat/1.jpg", "cat/2.JPEG", "dog/3.png", "dog/deep/4.webp")


@pytest.mark.parametrize("wrapper", ["", "photos/", "my photos/data/"])
def test_a_zip_of_class_folders(tmp_path: Path, cache: Path, wrapper: str) -> None:
    names = [f"{wrapper}{name}" for name in CLASSES]
    archive = packed(tmp_path / "photos.zip", *names, f"{wrapper}README.md", f"__MACOSX/{wrapper}cat/._1.jpg")
    notes = Notes()
    found = photo_layouts.find_photos(archive, notes)
    assert found.class_names == ("cat", "dog")
    sha256 = sha256_of_file(archive)
    assert found.root == cache / f"photos-{sha256[:16]}"
    assert (found.archive, found.archive_sha256) == (str(archive), sha256)
    assert [path.relative_to(found.root).as_posix() for path, _, _ in found.files] == names
    assert found.left_out[".md"] == 1
    assert notes.notes == [f"'{archive}' into '{found.root}': 0 MB, safe to delete"]


def test_a_zip_is_unpacked_once_and_again_if_its_folder_is_gone(tmp_path: Path, cache: Path) -> None:
    archive, notes = packed(tmp_path / "photos.zip", *CLASSES), Notes()
    first, _ = unpack_photos(archive, notes)
    before = first.stat().st_ino
    assert unpack_photos(archive, notes)[0] == first
    assert first.stat().st_ino == before
    assert len(notes.notes) == 1
    shutil.rmtree(first)
    assert unpack_photos(archive, notes)[0] == first
    assert len(notes.notes) == 2
    packed(archive, *CLASSES, "dog/5.png")
    assert unpack_photos(archive, notes)[0] != first


def test_a_zip_of_splits_and_one_with_a_table(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", *(f"x/{split}/{name}" for split in ("Train", "Test") for name in CLASSES))
    assert {split for _, _, split in find(archive).files} == {"train", "test"}
    with ZipFile(tmp_path / "b.zip", "w") as written:
        written.writestr("set/labels.csv", "image,label\n1,cat\n2,dog\n")
        written.writestr("set/images/1.jpg", "x")
        written.writestr("set/images/2.jpg", "x")
    assert find(tmp_path / "b.zip").class_names == ("cat", "dog")


def test_a_table_in_a_zip_cannot_name_files_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").touch()
    with ZipFile(tmp_path / "b.zip", "w") as written:
        written.writestr("labels.csv", f"image,label\n{tmp_path}/secret.jpg,cat\n2,dog\n")
        written.writestr("2.jpg", "x")
    with pytest.raises(DataError, match="a table in '.*b.zip' names files outside of the ZIP"):
        find(tmp_path / "b.zip")


def test_names_as_macos_and_windows_write_them(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "Rosé")
    archive = tmp_path / "photos.zip"
    names = [f"{decomposed}/1.jpg".encode().decode("cp437"), "dog\\2.jpg"]
    assert find(_without_utf8_flag(archive, names)).class_names == ("Rosé", "dog")


def _without_utf8_flag(archive: Path, names: list[str]) -> Path:
    """Writes a ZIP whose names are bytes of code page 437, without the flag of UTF-8."""
    local, central = b"", b""
    for name in names:
        raw = name.encode("cp437")
        rest = struct.pack("<HHHHHIIIHH", 20, 0, 0, 0, 0, 0, 0, 0, len(raw), 0)
        central += b"PK\1\2" + struct.pack("<H", 20) + rest + struct.pack("<HHHII", 0, 0, 0, 0, len(local)) + raw
        local += b"PK\3\4" + rest + raw
    end = struct.pack("<HHHHIIH", 0, 0, len(names), len(names), len(central), len(local), 0)
    archive.write_bytes(local + central + b"PK\5\6" + end)
    return archive


@pytest.mark.parametrize(
    "name",
    [
        "../evil.jpg",
        "cat/../../evil.jpg",
        "/tmp/evil.jpg",
        "..\\evil.jpg",
        "C:\\evil.jpg",
        "c:evil.jpg",
        "a/./../b.jpg",
        "a//b.jpg",
    ],
)
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, cache: Path, name: str) -> None:
    with pytest.raises(DataError, match="is not unpacked: the name '.*' points outside its folder"):
        find(packed(tmp_path / "photos.zip", *CLASSES, name))
    assert not list(tmp_path.rglob("evil.jpg"))
    assert list(cache.iterdir()) == []


def test_links_encrypted_files_and_repeated_names_are_refused(tmp_path: Path) -> None:
    link = ZipInfo("cat/link.jpg")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(DataError, match="'cat/link.jpg' in it is a link or a device"):
        find(packed(tmp_path / "link.zip", *CLASSES, link))
    archive = packed(tmp_path / "locked.zip", "cat/1.jpg")
    content = bytearray(archive.read_bytes())
    for start, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(start) + place] |= 1
    archive.write_bytes(content)
    with pytest.raises(DataError, match="locked.zip' is encrypted; unpack it yourself and pass the folder"):
        find(archive)
    with ZipFile(tmp_path / "odd.zip", "w", ZIP_LZMA) as written:
        written.writestr("cat/1.jpg", "x")
    with pytest.raises(DataError, match="odd.zip' is not compressed by Deflate.*unpack it and pass the folder"):
        find(tmp_path / "odd.zip")
    with pytest.raises(DataError, match="has several files with the same name"):
        find(packed(tmp_path / "twice.zip", "cat\\1.jpg", "cat/1.jpg"))


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["Cat/1.jpg", "cat/2.jpg"], "the folders 'Cat' and 'cat'; rename one and create the ZIP again"),
        (["x/Rosé/1.jpg", "x/Rose\N{COMBINING ACUTE ACCENT}/2.jpg"], "the folders 'x/Rosé' and 'x/Rosé'; rename one"),
        (["cat", "cat/1.jpg"], "a file and a folder with the same name: 'cat'; rename one"),
        (["cat/1.jpg", "cat"], "a file and a folder with the same name: 'cat'; rename one"),
    ],
)
def test_names_that_clash_are_named(tmp_path: Path, cache: Path, names: list[str], told: str) -> None:
    with pytest.raises(DataError, match="is not unpacked: it has ") as raised:
        find(packed(tmp_path / "photos.zip", *CLASSES[2:], *names))
    assert unicodedata.normalize("NFC", told) in unicodedata.normalize("NFC", str(raised.value))
    assert list(cache.iterdir()) == []


def test_good_names_that_look_odd_are_unpacked(tmp_path: Path) -> None:
    names = [f"./{name}" for name in CLASSES] + ["cat/1.JPG", "dog/./5.png", "cat/cat/6.jpg", "cat/dog/7.jpg"]
    found = find(packed(tmp_path / f"{'ä' * 100}{'x' * 30}.zip", *names))
    assert found.class_names == ("cat", "dog")
    assert len(found.files) == 8
    assert found.root.name.startswith("ä" * 40 + "-")


def test_a_name_that_is_too_long_is_named(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(DataError, match=r"cannot unpack 'cat/x{300}' of '.*photos.zip' to '.*': File name too long"):
        find(packed(tmp_path / "photos.zip", *CLASSES, f"cat/{'x' * 300}"))
    assert list(cache.iterdir()) == []


def test_damaged_zips_are_named(tmp_path: Path, cache: Path) -> None:
    archive = packed(tmp_path / "photos.zip", *CLASSES, content=bytes(range(256)) * 20)
    whole = archive.read_bytes()
    for content in (whole[: len(whole) // 2], b"not a ZIP", b"", whole[:60] + b"\xff\xff" + whole[62:]):
        archive.write_bytes(content)
        with pytest.raises(DataError, match="photos.zip' is not a complete ZIP file: .*; copy or download it again"):
            find(archive)
        assert not cache.exists() or list(cache.iterdir()) == []


def test_bombs_are_refused_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = packed(tmp_path / "photos.zip", *CLASSES, content=bytes(10_000))
    packed_size, total = archive.stat().st_size, 4 * 10_000
    monkeypatch.setattr(photo_archive, "FREE_SIZE", total)
    monkeypatch.setattr(photo_archive, "MOST_EXPANDED", 0)
    assert len(find(archive).files) == 4, "the limit of the ratio holds above a size only"
    shutil.rmtree(find(archive).root)
    monkeypatch.setattr(photo_archive, "FREE_SIZE", total - 1)
    monkeypatch.setattr(photo_archive, "MOST_EXPANDED", total / packed_size)
    shutil.rmtree(find(archive).root)
    monkeypatch.setattr(photo_archive, "MOST_EXPANDED", total / packed_size - 0.01)
    with pytest.raises(DataError, match="its 0 MB would become 0 MB, .* which is not a set of photos"):
        find(archive)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    monkeypatch.setattr(photo_archive, "LARGEST_FILE", 9_999)
    with pytest.raises(DataError, match="which is not a set of photos"):
        find(archive)
    monkeypatch.setattr(photo_archive, "LARGEST_FILE", 10_000)
    monkeypatch.setattr(photo_archive, "MOST_FILES", 3)
    with pytest.raises(DataError, match="has 4 files; at most 3 are unpacked"):
        find(archive)
    monkeypatch.setattr(photo_archive, "MOST_FILES", 4)
    assert len(find(archive).files) == 4


def test_a_full_disk_is_foreseen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = packed(tmp_path / "photos.zip", *CLASSES)
    free = shutil.disk_usage(tmp_path).free
    monkeypatch.setattr(photo_archive, "SPARE", free)
    with pytest.raises(DataError, match=r"needs 0 MB in '.*photos', where .* MB are free; free some space, or set XDG"):
        find(archive)


def test_a_run_finds_its_photos_again(tmp_path: Path, cache: Path) -> None:
    write_stripes(tmp_path / "set", per_class=6)
    blobs(1).save(tmp_path / "set" / "across" / "x.png")
    archive = Path(shutil.make_archive(str(tmp_path / "photos"), "zip", tmp_path, "set"))
    dataset = read_dataset(archive, Progress())
    assert dataset.archive == (str(archive), sha256_of_file(archive))
    splits = draw_splits(dataset, seed=0).splits
    splits.save(tmp_path / "splits.json")
    shutil.rmtree(cache)
    notes = Notes()
    again = Splits.load(tmp_path / "splits.json", notes)
    assert again == splits
    assert notes.notes == [f"'{archive}' into '{again.root}': 0 MB, safe to delete"]
    again.check_unchanged(again.train + again.validation + again.test)
    shutil.rmtree(cache)
    packed(archive, *CLASSES)
    with pytest.raises(
        RunError, match=r"no folder '.*', unpacked from '.*photos.zip', which is gone or has changed; res"
    ):
        Splits.load(tmp_path / "splits.json")
    archive.unlink()
    with pytest.raises(RunError, match="which is gone or has changed"):
        Splits.load(tmp_path / "splits.json")
