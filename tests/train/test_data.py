import os
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import blobs, write_stripes

from tledge.core.errors import DataError
from tledge.core.fingerprint import sha256_of_file
from tledge.core.images import decode
from tledge.core.manifest import DataRecord
from tledge.core.perceptual_hash import thumbnail
from tledge.core.progress import Progress
from tledge.core.seen_photos import SeenPhotos
from tledge.core.splits import Sample, Splits
from tledge.train import train_api
from tledge.train.data.dataset import Dataset, read_dataset, remember_training
from tledge.train.data.digits import write_digits
from tledge.train.data.split_draw import draw_splits
from tledge.train.import_options import ImportOptions
from tledge.train.train_api import describe_data, split_photos
from tledge.train.train_options import RunOptions
from tledge.train.train_settings import settle


def read(root: Path, skip_broken: bool = False) -> Dataset:
    return read_dataset(root, Progress(), skip_broken=skip_broken)


@pytest.mark.unit
def test_classes_are_folders_and_samples_are_sorted(tmp_path: Path) -> None:
    root = write_stripes(tmp_path / "photos", per_class=4)
    (root / "upright" / "deeper" / "still").mkdir(parents=True)
    shutil.copy(root / "upright" / "000.jpg", root / "upright" / "deeper" / "still" / "ü 'x'.JPEG")
    (root / "upright" / "notes.txt").write_text("not an image")
    (root / ".hidden").mkdir()
    dataset = read(root)
    assert dataset.class_names == ("across", "upright")
    assert dataset.count_by_class == {"across": 4, "upright": 5}
    assert [sample.path for sample in dataset.samples][-1] == "upright/deeper/still/ü 'x'.JPEG"
    assert {sample.label for sample in dataset.samples if sample.path.startswith("across")} == {0}


@pytest.mark.unit
def test_the_fingerprint_depends_on_content_names_and_classes_only(tmp_path: Path) -> None:
    first = read(write_stripes(tmp_path / "a", per_class=3)).fingerprint
    again = write_stripes(tmp_path / "b", per_class=3)
    assert read(again).fingerprint == first
    (again / "across" / "000.jpg").rename(again / "across" / "other.jpg")
    assert read(again).fingerprint != first


@pytest.mark.unit
def test_links_that_loop_do_no_harm(tmp_path: Path) -> None:
    root = write_stripes(tmp_path / "photos", per_class=3)
    (root / "upright" / "loop").symlink_to(root / "upright", target_is_directory=True)
    assert len(read(root).samples) == 6


@pytest.mark.unit
def test_broken_photos_stop_unless_skipped(tmp_path: Path) -> None:
    root = write_stripes(tmp_path / "photos", per_class=5)
    whole = (root / "across" / "001.jpg").read_bytes()
    (root / "across" / "001.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        DataError, match=r"001.jpg' is a truncated JPEG .*repair or remove it, or pass `skip_broken=True`"
    ):
        read(root)
    (root / "upright" / "002.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"2 broken images: .*001.jpg.*; and upright/002.jpg; .*`skip_broken=True`"):
        read(root)
    dataset = read(root, skip_broken=True)
    assert dataset.skipped == ("across/001.jpg", "upright/002.jpg")
    assert dataset.count_by_class == {"across": 4, "upright": 4}


@pytest.mark.unit
def test_a_class_whose_photos_are_all_broken_stops_even_when_skipping(tmp_path: Path) -> None:
    root = write_stripes(tmp_path / "photos", per_class=3)
    for path in (root / "across").iterdir():
        path.write_bytes(b"?")
    with pytest.raises(DataError, match="class 'across' in .* has no readable images"):
        read(root, skip_broken=True)


@pytest.mark.unit
def test_folders_that_are_no_data_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    with pytest.raises(DataError, match="no such folder: '.*photos'; `data` takes one folder per class"):
        read(root)
    root.mkdir()
    with pytest.raises(DataError, match="no images in the class folders of '.*': found nothing"):
        read(root)
    for name in ("a.txt", "b.txt", "c.md"):
        (root / name).touch()
    with pytest.raises(DataError, match=r"found 2 .txt files, 1 .md files; expected one folder per class"):
        read(root)
    Image.new("RGB", (8, 8)).save(root / "loose.png")
    with pytest.raises(DataError, match="found 1 image outside of any class folder"):
        read(root)
    (root / "cat").mkdir()
    Image.new("RGB", (8, 8)).save(root / "cat" / "1.png")
    with pytest.raises(DataError, match="only one class in '.*': 'cat'; a classifier needs two or more"):
        read(root)
    (root / "dog").mkdir()
    with pytest.raises(DataError, match="class folders without images in '.*': 'dog'; add"):
        read(root)
    Image.new("RGB", (8, 8)).save(root / "dog" / "1.png")
    with pytest.raises(DataError, match="1 image in '.*' outside the class folders cat, dog"):
        read(root)
    with pytest.raises(DataError, match="is a file, not a folder"):
        read(root / "a.txt")


@pytest.mark.unit
def test_splits_are_stratified_disjoint_and_drawn_by_seed(photos: Path) -> None:
    dataset = read(photos)
    splits = draw_splits(dataset, seed=5).splits
    for split, count in (("train", 28), ("validation", 6), ("test", 6)):
        assert Counter(sample.label for sample in splits.samples(split)) == {0: count, 1: count}
    everything = splits.train + splits.validation + splits.test
    assert sorted(everything, key=lambda sample: sample.path) == list(dataset.samples)
    assert draw_splits(dataset, seed=5).splits == splits
    assert draw_splits(dataset, seed=6).splits.test != splits.test


@pytest.mark.unit
def test_three_photos_of_a_class_are_enough_and_two_are_not(tmp_path: Path) -> None:
    root = write_stripes(tmp_path / "photos", per_class=3)
    splits = draw_splits(read(root), seed=0).splits
    assert [len(splits.samples(split)) for split in ("train", "validation", "test")] == [2, 2, 2]
    (root / "upright" / "000.jpg").unlink()
    with pytest.raises(DataError, match="too few distinct images of class 'upright' in '.*': 2 .*; 3 or more"):
        draw_splits(read(root), seed=0)


@pytest.mark.unit
def test_copies_of_a_photo_stay_in_one_split(tmp_path: Path) -> None:
    root = write_stripes(tmp_path / "photos", per_class=8)
    for index in range(30):
        shutil.copy(root / "across" / "000.jpg", root / "across" / f"copy{index}.jpg")
    for seed in range(5):
        splits = draw_splits(read(root), seed).splits
        held = [split for split in ("train", "validation", "test") if _holds_copies(splits.samples(split))]
        assert len(held) == 1


def _holds_copies(samples: tuple[Sample, ...]) -> bool:
    return any(Path(sample.path).name.startswith(("copy", "000")) and sample.label == 0 for sample in samples)


@pytest.mark.unit
def test_names_that_are_no_text_are_named(tmp_path: Path) -> None:
    root = write_stripes(tmp_path / "photos", per_class=3)
    shutil.copy(root / "across" / "000.jpg", os.fsencode(root / "across") + b"/caf\xe9.jpg")
    with pytest.raises(DataError, match=r"caf\\xe9.jpg' is not UTF-8; rename the file"):
        read(root)


def test_the_built_in_digits_are_the_1797_images(tmp_path: Path) -> None:
    write_digits(tmp_path / "data")
    dataset = read_dataset(tmp_path / "data", Progress(), look_for_near_duplicates=False)
    assert dataset.class_names == tuple("0123456789")
    assert len(dataset.samples) == 1797
    from sklearn.datasets import load_digits

    pixels = np.asarray(Image.open(tmp_path / "data" / "0" / "0000.png"))
    np.testing.assert_array_equal(pixels, np.rint(load_digits().images[0] / 16 * 255))


@pytest.mark.unit
def test_a_photo_in_two_classes_is_left_out_of_both_and_told(tmp_path: Path) -> None:
    root = write_stripes(tmp_path / "photos", per_class=4)
    shutil.copy(root / "across" / "000.jpg", root / "upright" / "x.jpg")
    dataset = read(root)
    assert dataset.contradicted == ("across/000.jpg", "upright/x.jpg")
    assert dataset.count_by_class == {"across": 3, "upright": 4}


@pytest.mark.unit
def test_folders_of_splits_are_kept_and_what_they_lack_is_drawn(tmp_path: Path) -> None:
    for split, start in (("train", 0), ("test", 100)):
        write_stripes(tmp_path / split, per_class=10, first=start)
    splits = draw_splits(read(tmp_path), seed=0).splits
    assert {sample.path.split("/")[0] for sample in splits.test} == {"test"}
    assert {sample.path.split("/")[0] for sample in splits.train + splits.validation} == {"train"}
    assert [len(splits.samples(split)) for split in ("train", "validation", "test")] == [16, 4, 20]
    write_stripes(tmp_path / "val", per_class=3, first=200)
    splits = draw_splits(read(tmp_path), seed=0).splits
    assert [len(splits.samples(split)) for split in ("train", "validation", "test")] == [20, 6, 20]
    shutil.rmtree(tmp_path / "val" / "across")
    with pytest.raises(DataError, match="only one class in '.*val': 'upright'"):
        read(tmp_path)
    (tmp_path / "val" / "sideways").mkdir()
    shutil.copy(tmp_path / "val" / "upright" / "000.jpg", tmp_path / "val" / "sideways")
    with pytest.raises(
        DataError, match="'val' and 'train' in '.*' do not have the same classes: across, sideways in only one"
    ):
        read(tmp_path)


@pytest.mark.unit
def test_photos_in_folders_called_like_splits_are_never_classes(tmp_path: Path) -> None:
    root = write_stripes(tmp_path / "photos", per_class=3)
    (root / "across").rename(root / "train")
    (root / "upright").rename(root / "test")
    with pytest.raises(
        DataError, match=r"unclear which .*: found test \(3 photos\), train \(3 photos\), and test, train"
    ):
        read(root)
    (root / "labels.csv").write_text(
        "id,label\n" + "".join(f"train/00{n}.jpg,train\ntest/00{n}.jpg,test\n" for n in range(3))
    )
    assert read(root).class_names == ("test", "train")


@pytest.mark.unit
def test_photos_of_the_users_test_folder_do_not_leak_into_training(tmp_path: Path) -> None:
    for split, start in (("train", 0), ("test", 100)):
        write_stripes(tmp_path / split, per_class=10, first=start)
    blobs(1).save(tmp_path / "test" / "across" / "photo.jpg")
    blobs(1).resize((100, 75)).save(tmp_path / "train" / "across" / "small copy.jpg", quality=60)
    drawn = draw_splits(read(tmp_path), seed=0)
    assert drawn.leaking == ("train/across/small copy.jpg",)
    everything = drawn.splits.train + drawn.splits.validation + drawn.splits.test
    assert len(everything) == 41
    assert "test/across/photo.jpg" in {sample.path for sample in drawn.splits.test}


def write_pets(root: Path, per_class: int) -> Path:
    """The Oxford-IIIT Pet layout with two breeds, one of whose names has an underscore."""
    photos = write_stripes(root / "photos", per_class=per_class)
    (root / "images").mkdir()
    (root / "annotations").mkdir()
    names = {"across": "american_bulldog", "upright": "Bengal"}
    for folder, breed in names.items():
        for index, path in enumerate(sorted((photos / folder).iterdir())):
            path.rename(root / "images" / f"{breed}_{index}.jpg")
    shutil.rmtree(photos)
    for split, places in (("trainval", range(per_class - 2)), ("test", range(per_class - 2, per_class))):
        lines = [f"{breed}_{place} 1 1 1\n" for breed in names.values() for place in places]
        (root / "annotations" / f"{split}.txt").write_text("#Image CLASS-ID SPECIES BREED-ID\n" + "".join(lines))
    return root


@pytest.mark.unit
def test_the_oxford_pets_keep_their_own_lists(tmp_path: Path) -> None:
    root = write_pets(tmp_path / "pets", per_class=8)
    dataset = read(root)
    assert dataset.class_names == ("american_bulldog", "Bengal")
    splits = draw_splits(dataset, seed=0).splits
    assert {sample.path for sample in splits.test} == {
        f"images/{breed}_{place}.jpg" for breed in dataset.class_names for place in (6, 7)
    }
    assert [len(splits.samples(split)) for split in ("train", "validation", "test")] == [10, 2, 4]
    (root / "images" / "Bengal_0.jpg").unlink()
    with pytest.raises(DataError, match=r"1 photo listed in .* is missing from .*: Bengal_0.jpg"):
        read(root)
    (root / "annotations" / "trainval.txt").write_text("nonsense\n")
    with pytest.raises(
        DataError,
        match="'.*trainval.txt', line 1: expected a photo such as 'Abyssinian_100 1 1 1'; received 'nonsense'",
    ):
        read(root)


@pytest.mark.unit
def test_fractions_of_the_splits_can_be_chosen(photos: Path) -> None:
    splits = draw_splits(read(photos), seed=0, validation_fraction=0.1, test_fraction=0.3).splits
    assert [len(splits.samples(split)) for split in ("train", "validation", "test")] == [48, 8, 24]


@pytest.mark.unit
def test_a_large_group_of_near_duplicates_goes_to_training(tmp_path: Path) -> None:
    root = write_stripes(tmp_path / "photos", per_class=8)
    for index in range(30):
        shutil.copy(root / "across" / "000.jpg", root / "across" / f"copy{index}.jpg")
    splits = draw_splits(read(root), seed=0).splits
    assert _holds_copies(splits.train)
    assert len([sample for sample in splits.test if sample.label == 0]) >= 1


@pytest.mark.unit
def test_a_validation_folder_that_is_the_test_folder_is_refused(tmp_path: Path) -> None:
    for split, start in (("train", 0), ("test", 100), ("val", 100)):
        write_stripes(tmp_path / split, per_class=6, first=start)
    with pytest.raises(
        DataError,
        match="the validation split of '.*' has no photos of across, upright left after excluding 12 that have",
    ):
        draw_splits(read(tmp_path), seed=0)


@pytest.mark.unit
def test_copies_of_a_blank_photo_stay_together(tmp_path: Path) -> None:
    root = write_stripes(tmp_path / "photos", per_class=6)
    for index in range(6):
        Image.new("RGB", (30, 30), "white").save(root / "across" / f"copy{index}.png")
    dataset = read(root)
    assert dataset.near_duplicates >= 5
    for seed in range(4):
        splits = draw_splits(dataset, seed).splits
        sides = {split for split in ("train", "validation", "test") for s in splits.samples(split) if "copy" in s.path}
        assert len(sides) == 1


@pytest.mark.unit
def test_what_is_left_out_and_the_zip_are_recorded_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    root = write_stripes(tmp_path / "photos", per_class=5)
    for name in ("across/notes.txt", "upright/x.txt", "list.md"):
        (root / name).write_text("no photo")
    archive = Path(shutil.make_archive(str(tmp_path / "photos"), "zip", tmp_path, "photos"))
    for data in (root, archive):
        splits, record = split_photos(read(data), ImportOptions(model="", data=data), Progress())
        assert record.left_out == {".txt": 2, ".md": 1}
        assert describe_data(record)[-1] == "left out: 2 .txt, 1 .md"
        assert DataRecord.from_json(record.to_json(), "run.json") == record
        assert record.name == "photos"
        assert record.archive_sha256 == ("" if data == root else sha256_of_file(archive))
        assert splits.archive == ("" if data == root else str(archive))
        assert all(path.is_file() for path in splits.paths(splits.train))


@pytest.mark.unit
@pytest.mark.parametrize(("brightest", "warned"), [(4095, 0), (4096, 1)])
def test_greyscale_of_several_ranges_is_told_once(tmp_path: Path, brightest: int, warned: int) -> None:
    class Warnings(Progress):
        def warn(self, text: str) -> None:
            texts.append(text)

    texts: list[str] = []
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for most in (3000, brightest):
            pixels = np.random.default_rng(most).integers(0, most, (9, 9), np.uint16)
            pixels[0, 0] = most
            Image.fromarray(pixels).save(tmp_path / name / f"{most}.png")
            (tmp_path / name / f"{most}.png").open("ab").write(name.encode())
    read_dataset(tmp_path, Warnings(), look_for_near_duplicates=False)
    assert [text.split(" are ")[0] for text in texts] == ["greyscale photos with more than 8 bits"] * warned


@pytest.mark.unit
def test_fingerprints_are_of_the_training_and_validation_photos(tmp_path: Path) -> None:
    for number, name in enumerate(("cat", "dog")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(10):
            pixels = np.random.default_rng(100 * number + index).integers(0, 256, (9, 9, 3), np.uint8)
            Image.fromarray(pixels).resize((64, 64)).save(tmp_path / "photos" / name / f"{index}.png")
    dataset = read_dataset(tmp_path / "photos", Progress())
    splits = draw_splits(dataset, seed=0).splits
    assert splits.seen_photos is None
    splits = replace(splits, seen_photos=remember_training(dataset, splits))
    splits.save(tmp_path / "splits.json")
    seen = Splits.load(tmp_path / "splits.json").seen_photos
    assert seen == splits.seen_photos
    assert seen is not None
    assert (seen.photos, seen.appearance) == (len(splits.train) + len(splits.validation), True)
    for split, expected in (("train", True), ("validation", True), ("test", False)):
        for sample in splits.samples(split):
            small = thumbnail(decode(splits.root / sample.path))[np.newaxis]
            assert seen.recognize([sample.sha256]).tolist() == [False], "its appearance is stored, not its file"
            assert seen.recognize([sample.sha256], small).tolist() == [expected]


@pytest.mark.unit
@pytest.mark.parametrize("alike", [False, True])
def test_it_is_noted_if_photos_look_so_alike_that_copies_are_not_recognized(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alike: bool
) -> None:
    notes: dict[str, str] = {}

    class Notes(Progress):
        def note(self, label: str, text: str) -> None:
            notes[label] = text

    def remember(dataset: Dataset, splits: Splits) -> SeenPhotos:
        return replace(remember_training(dataset, splits), appearance=not alike)

    monkeypatch.setattr(train_api, "remember_training", remember)
    photos = write_stripes(tmp_path / "photos", per_class=4)
    splits, _ = split_photos(read(photos), settle(RunOptions(data=photos, weights="none")), Notes())
    assert splits.seen_photos is not None
    assert ("Fingerprints" in notes) is alike
    assert ("look alike" in notes.get("Fingerprints", "")) is alike
