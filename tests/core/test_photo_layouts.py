"""How photos are found in folders of every layout; the files are empty, because only their names are read."""

import os
import unicodedata
from collections.abc import Collection
from pathlib import Path

import pytest

from tledge.core import photo_layouts
from tledge.core.errors import DataError
from tledge.core.number_text import abridged
from tledge.core.photo_layouts import FoundPhotos
from tledge.core.progress import Progress

pytestmark = pytest.mark.unit


def find_photos(data: Path, known: Collection[str] = ()) -> FoundPhotos:
    return photo_layouts.find_photos(data, Progress(), known)


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def found(root: Path) -> list[tuple[str, int, str]]:
    return [(path.relative_to(root).as_posix(), label, split) for path, label, split in find_photos(root).files]


def test_class_folders(tmp_path: Path) -> None:
    root = touch(tmp_path, "b/2.png", "b/1.jpg", "a/deeper/3.webp", "a/notes.txt", "README.md", ".hidden/4.jpg")
    assert find_photos(root).class_names == ("a", "b")
    assert found(root) == [("a/deeper/3.webp", 0, ""), ("b/1.jpg", 1, ""), ("b/2.png", 1, "")]


@pytest.mark.parametrize(
    "name", ["val", "valid", "validation", "Validate", "DEV", "validation_set", "val-images", "seg_val"]
)
def test_split_folders(tmp_path: Path, name: str) -> None:
    root = touch(tmp_path, "train/a/1.jpg", "train/b/2.jpg", f"{name}/a/3.jpg", f"{name}/b/4.jpg")
    touch(root, "test/a/5.jpg", "test/b/6.jpg")
    assert find_photos(root).class_names == ("a", "b")
    photos = [
        ("test/a/5.jpg", 0, "test"),
        ("train/a/1.jpg", 0, "train"),
        (f"{name}/a/3.jpg", 0, "validation"),
        ("test/b/6.jpg", 1, "test"),
        ("train/b/2.jpg", 1, "train"),
        (f"{name}/b/4.jpg", 1, "validation"),
    ]
    assert found(root) == sorted(photos, key=lambda photo: (photo[1], photo[0]))


def test_train_and_test_alone_are_split_folders(tmp_path: Path) -> None:
    root = touch(tmp_path, "train/a/1.jpg", "train/b/2.jpg", "test/a/3.jpg", "test/b/4.jpg")
    assert {split for _, _, split in found(root)} == {"train", "test"}


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("Train", "Test"),
        ("TRAIN", "testing"),
        ("training", "testing"),
        ("training_set", "test_set"),
        ("Training Data", "Test Data"),
        ("seg_train", "seg_test"),
        ("train-images", "test-images"),
    ],
)
def test_other_spellings_of_splits_are_splits(tmp_path: Path, train: str, test: str) -> None:
    root = touch(tmp_path, *(f"{split}/{name}/1.jpg" for split in (train, test) for name in "ab"))
    touch(root, "__MACOSX/train/a/._1.jpg", ".ipynb_checkpoints/1.jpg", "Thumbs.db", ".DS_Store", "README.md")
    assert find_photos(root).class_names == ("a", "b")
    assert {name.split("/")[0]: split for name, _, split in found(root)} == {train: "train", test: "test"}


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ("train/a/1.jpg train/b/1.jpg test/3.jpg test/4.jpg", r"test \(2 photos\), train \(2 folders\)"),
        ("train/a/1.jpg train/b/1.jpg test1/a/2.jpg test1/b/2.jpg", r"test1 \(2 folders\)"),
        ("train/a/1.jpg train/b/1.jpg eval/a/2.jpg eval/b/2.jpg", r"eval \(2 folders\)"),
        ("train/a/1.jpg val/a/2.jpg test/a/3.jpg samples/4.jpg", r"samples \(1 photos\).*and test, train, val have"),
        ("train/a/1.jpg val/a/2.jpg other/a/3.jpg", r"other \(1 folders\)"),
        ("val/a/1.jpg val/b/1.jpg test/a/2.jpg test/b/1.jpg", r"test \(2 folders\), val \(2 folders\)"),
        ("train/1.jpg test/2.jpg", r"test \(1 photos\), train \(1 photos\)"),
        ("train/1.jpg test1/2.jpg", r"test1 \(1 photos\), train \(1 photos\)"),
        ("cat/1.jpg dog/2.jpg test/3.jpg", r"cat \(1 photos\).*; for classes, rename test, or pass a CSV table"),
        ("valid/1.jpg invalid/2.jpg", r"invalid \(1 photos\), valid \(1 photos\)"),
        ("train/a/1.jpg train/b/1.jpg test/a/1.jpg test/b/1.jpg test/5.jpg", r"test \(2 folders and 1 photos\)"),
        ("fold1/a/1.jpg fold1/b/1.jpg fold2/a/2.jpg fold2/b/2.jpg", r"fold1, fold2 all have the same folders"),
    ],
)
def test_unclear_folders_are_never_classes(tmp_path: Path, files: str, named: str) -> None:
    with pytest.raises(DataError, match=rf"it is unclear which folders in '.*' are splits.*{named}"):
        find_photos(touch(tmp_path, *files.split()))


def test_expected_classes_settle_what_a_folder_is(tmp_path: Path) -> None:
    root = touch(tmp_path, "train/1.jpg", "test/2.jpg")
    assert find_photos(root, ["test", "train", "val"]).class_names == ("test", "train")
    root = touch(tmp_path / "held out", "test/cat/1.jpg", "test/dog/2.jpg")
    assert find_photos(root, ["cat", "dog"]).class_names == ("cat", "dog")


def test_trains_beside_other_vehicles_are_a_class(tmp_path: Path) -> None:
    assert find_photos(touch(tmp_path, "car/1.jpg", "plane/2.jpg", "train/3.jpg")).class_names == (
        "car",
        "plane",
        "train",
    )


def test_numbered_classes_and_folders_inside_classes_are_classes(tmp_path: Path) -> None:
    root = touch(tmp_path / "1", "class_0/1.jpg", "class_1/2.jpg", "class_2/x/3.jpg")
    assert find_photos(root).class_names == ("class_0", "class_1", "class_2")
    root = touch(tmp_path / "2", *(f"{name}/{place}/1.jpg" for name in ("cat", "dog") for place in ("in", name)))
    assert find_photos(root).class_names == ("cat", "dog")
    touch(root, "cat/out/2.jpg", "dog/out/2.jpg")
    with pytest.raises(DataError, match=r"cat, dog all have the same folders; .*pass one of them if the folders in it"):
        find_photos(root)
    assert find_photos(root, ["cat", "dog"]).class_names == ("cat", "dog")
    touch(root, "cat/3.jpg", "dog/3.jpg")
    assert find_photos(root).class_names == ("cat", "dog")


@pytest.mark.parametrize(
    ("files", "named"),
    [
        (
            "original/cat/1.jpg original/dog/1.jpg augmented/cat/2.jpg augmented/dog/2.jpg",
            "augmented, original all have",
        ),
        ("RGB/a/1.jpg RGB/b/1.jpg RGB/c/1.jpg mask/a/1.jpg mask/b/1.jpg", "RGB, mask all have the same folders"),
    ],
)
def test_variants_of_the_photos_are_no_classes(tmp_path: Path, files: str, named: str) -> None:
    with pytest.raises(DataError, match=rf"it is unclear which folders in .*{named}") as raised:
        find_photos(touch(tmp_path, *files.split()))
    assert "' alone" not in str(raised.value)


def test_splits_inside_classes_are_splits(tmp_path: Path) -> None:
    root = touch(tmp_path, *(f"{name}/{split}/{name}.jpg" for name in ("cat", "dog") for split in ("Train", "test")))
    expected = [("cat/Train/cat.jpg", 0, "train"), ("cat/test/cat.jpg", 0, "test")]
    assert found(root) == [*expected, ("dog/Train/dog.jpg", 1, "train"), ("dog/test/dog.jpg", 1, "test")]
    assert {split for _, _, split in find_photos(root, ["cat", "dog"]).files} == {"train", "test"}


@pytest.mark.parametrize(
    "files",
    [
        "cat/train/1.jpg cat/test/1.jpg dog/train/1.jpg dog/test/1.jpg bird/1.jpg",
        "cat/train/1.jpg cat/test/1.jpg dog/train/1.jpg dog/2.jpg",
        "cat/train/1.jpg cat/test/1.jpg dog/train/1.jpg dog/spare/1.jpg",
        "cat/train/1.jpg cat/eval/1.jpg dog/train/1.jpg",
        "cat/train/1.jpg cat/Train/1.jpg dog/train/1.jpg",
        "cat/test/1.jpg dog/test/1.jpg",
    ],
)
def test_unclear_splits_inside_classes_are_an_error(tmp_path: Path, files: str) -> None:
    with pytest.raises(DataError, match="it is unclear which photos in '.*' belong to which split: found .*; put "):
        find_photos(touch(tmp_path, *files.split()))


@pytest.mark.parametrize(
    ("files", "alone"),
    [
        ("train/a/1.jpg train/b/1.jpg models/a/1.jpg models/b/1.jpg", "or pass '.*/train' alone"),
        ("train/a/1.jpg train/b/1.jpg test/1.jpg models/a/1.jpg", "or pass '.*/train' alone"),
        ("test/1.jpg models/a/1.jpg models/b/1.jpg", ""),
        ("train/a/1.jpg samples/1.jpg", ""),
    ],
)
def test_a_split_is_advised_alone_only_if_it_has_classes(tmp_path: Path, files: str, alone: str) -> None:
    with pytest.raises(DataError, match=f"and nothing else beside them.*{alone}") as raised:
        find_photos(touch(tmp_path, *files.split()))
    assert (" alone" in str(raised.value)) == bool(alone)


@pytest.mark.parametrize("wrapper", ["data", "data/photos/all of them", "train"])
def test_a_folder_that_only_holds_a_data_set_is_entered(tmp_path: Path, wrapper: str) -> None:
    touch(tmp_path, f"{wrapper}/a/1.jpg", f"{wrapper}/b/2.jpg", "README.md", "__MACOSX/data/._a")
    assert found(tmp_path) == [(f"{wrapper}/a/1.jpg", 0, ""), (f"{wrapper}/b/2.jpg", 1, "")]
    assert find_photos(tmp_path).root == tmp_path
    assert find_photos(tmp_path).left_out == {".md": 1, "__MACOSX/": 1}


def test_names_compare_composed(tmp_path: Path) -> None:
    composed = "Gänseblümchen"
    decomposed = unicodedata.normalize("NFD", composed)
    root = touch(tmp_path, f"{decomposed}/1.jpg", "Rosé/2.jpg", f"{composed}/3.jpg")
    assert find_photos(root).class_names == (composed, "Rosé")
    assert [label for _, label, _ in found(root)] == [0, 0, 1], "two spellings of a name are one class"
    root = touch(
        tmp_path / "splits", f"train/{decomposed}/1.jpg", "train/b/1.jpg", f"test/{composed}/1.jpg", "test/b/1.jpg"
    )
    assert find_photos(root).class_names == ("Gänseblümchen", "b")


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    root = touch(tmp_path, "a/1.jpg", "b/2.JFIF", "b/notes.txt", "a/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg", "list.csv")
    touch(root, "a/.hidden.jpg", "a/.DS_Store", "b/Thumbs.db", "b/raw.NEF", "b/deeper/x.txt", "b/.git/x", "b/Makefile")
    (root / "a" / "link").symlink_to(root / "b", target_is_directory=True)
    assert find_photos(root).left_out == {
        ".txt": 2,
        "@eaDir/": 1,
        ".csv": 1,
        "hidden": 1,
        ".nef": 1,
        ".git/": 1,
        "without suffix": 1,
        "linked folder": 1,
    }


def test_two_folders_for_one_split_are_an_error(tmp_path: Path) -> None:
    root = touch(tmp_path, *(f"{split}/{name}/1.jpg" for split in ("train", "val", "valid") for name in "ab"))
    with pytest.raises(DataError, match=r"'val' and 'valid' in '.*' are the same split; merge them"):
        find_photos(root)


def test_splits_need_the_same_classes(tmp_path: Path) -> None:
    root = touch(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "train/c/1.jpg", "val/b/1.jpg", "val/d/1.jpg")
    with pytest.raises(
        DataError, match=r"'val' and 'train' in '.*' do not have the same classes: a, c, d in only one of"
    ):
        find_photos(root)


def test_class_folders_that_are_wrong(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    with pytest.raises(DataError, match=r"no such folder: '.*photos'; `data` takes one folder per class with \.jpg"):
        find_photos(root)
    touch(root, "a.txt")
    with pytest.raises(DataError, match=r"'.*a.txt' is a file, not a folder; `data` takes one folder per class"):
        find_photos(root / "a.txt")
    touch(root, "b.txt", "c.MD", "deeper/Makefile", "d.txt", "e.x", "f.x", "g.md", "h.y", "i.txt", "j.md")
    with pytest.raises(
        DataError, match=r"no images in the class folders of '.*': found 4 \.txt files, 3 \.md files, 2 \.x files; exp"
    ):
        find_photos(root)
    touch(root, "1.jpg", "2.jpg")
    with pytest.raises(DataError, match="found 2 images outside of any class folder; expected one folder"):
        find_photos(root)
    touch(root, "deeper/3.jpg")
    with pytest.raises(DataError, match="only one class in '.*': 'deeper'"):
        find_photos(root)
    touch(root, "empty/x.txt", "other/4.jpg")
    with pytest.raises(DataError, match="class folders without images in '.*': 'empty'; add"):
        find_photos(root)
    touch(root, "empty/5.jpg")
    with pytest.raises(DataError, match="2 images in '.*' outside the class folders deeper, empty, other; move"):
        find_photos(root)


def test_an_empty_folder_and_nameless_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found nothing; expected"):
        find_photos(tmp_path)
    with pytest.raises(DataError, match="found 1 files without suffix; expected"):
        find_photos(touch(tmp_path, "Makefile"))


def write_lists(root: Path, **lists: str) -> Path:
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    for name, lines in lists.items():
        (root / "annotations" / f"{name}.txt").write_text(lines)
    return root


def test_the_oxford_pets_layout(tmp_path: Path) -> None:
    root = touch(tmp_path, *(f"images/{name}.jpg" for name in ("beagle_1", "Bengal_1", "Bengal_2", "big_dog_12")))
    write_lists(root, trainval="# head\nBengal_2 1 1 1\n\nbeagle_1 2 2 1\nbig_dog_12 3 2 2\n", test="Bengal_1 1 1 1\n")
    assert find_photos(root).class_names == ("beagle", "Bengal", "big_dog")
    assert found(root) == [
        ("images/beagle_1.jpg", 0, ""),
        ("images/Bengal_1.jpg", 1, "test"),
        ("images/Bengal_2.jpg", 1, ""),
        ("images/big_dog_12.jpg", 2, ""),
    ]
    (root / "annotations" / "test.txt").unlink()
    assert len(found(root)) == 3


def test_pets_lists_that_are_wrong(tmp_path: Path) -> None:
    root = touch(tmp_path, "images/a_1.jpg", "images/b_1.jpg")
    for line in ("nonsense 1 1 1", "_3 1 1 1", "b_x 1 1 1"):
        write_lists(root, trainval=f"a_1 1 1 1\n{line}\n")
        with pytest.raises(
            DataError, match=rf"trainval.txt', line 2: expected a photo .*; received '{line.split()[0]}'"
        ):
            find_photos(root)
    write_lists(root, trainval=f"{'x' * 50}\n")
    with pytest.raises(DataError, match=rf"line 1: expected a photo such as .*; received '{'x' * 40}'"):
        find_photos(root)
    write_lists(root, trainval="a_1 1\nb_1 1\nb_2 1\na_3 1\n")
    with pytest.raises(DataError, match=r"2 photos listed in '.*annotations' are missing from '.*images': b_2.jpg, a_"):
        find_photos(root)
    write_lists(root, trainval="a_1 1\n")
    with pytest.raises(
        DataError, match=r"the lists in '.*annotations' contain 1 classes; a classifier needs two or more"
    ):
        find_photos(root)
    write_lists(root, trainval="a_1 1\nb_1 1\n")
    assert find_photos(root).class_names == ("a", "b")


def test_images_and_annotations_without_lists_are_classes(tmp_path: Path) -> None:
    assert find_photos(touch(tmp_path / "1", "images/1.jpg", "annotations/2.jpg")).class_names == (
        "annotations",
        "images",
    )
    root = write_lists(touch(tmp_path / "2", "a/1.jpg", "annotations/2.jpg"), trainval="a_1 1 1 1\n")
    assert find_photos(root).class_names == ("a", "annotations")


@pytest.mark.skipif(os.name == "nt", reason="file names are text there")
def test_names_that_are_not_utf8_are_an_error(tmp_path: Path) -> None:
    root = touch(tmp_path, "a/1.jpg", "b/2.jpg")
    Path(os.fsdecode(os.fsencode(root / "b") + b"/\xe9.jpg")).touch()
    with pytest.raises(DataError, match=r"\\xe9.jpg' is not UTF-8; rename the file or folder"):
        find_photos(root)


def test_lists_of_names_are_abridged_after_five() -> None:
    assert abridged("abcde") == "a, b, c, d, e"
    assert abridged("abcdef") == "a, b, c, d, e, …"
    assert abridged("ab", 1) == "a, …"
