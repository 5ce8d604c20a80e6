"""Splits as they are kept, and photos that changed since they were drawn."""

import json
from pathlib import Path

import pytest

from tledge.core.errors import RunError
from tledge.core.fingerprint import sha256_of_file
from tledge.core.split_names import SPLITS
from tledge.core.splits import Sample, Splits

pytestmark = pytest.mark.unit


@pytest.fixture
def splits(tmp_path: Path) -> Splits:
    root = tmp_path / "photos"
    root.mkdir()
    samples = {}
    for label, split in enumerate(SPLITS):
        path = root / f"{split}.png"
        path.write_bytes(split.encode())
        samples[split] = (Sample(path.name, label, sha256_of_file(path)),)
    return Splits(root=root, class_names=("a", "b", "c"), **samples)


def test_each_split_has_its_own_samples(splits: Splits) -> None:
    assert [splits.samples(split)[0].path for split in SPLITS] == ["train.png", "validation.png", "test.png"]
    assert [splits.samples(split)[0].label for split in SPLITS] == [0, 1, 2]
    assert splits.paths(splits.train + splits.test) == [splits.root / "train.png", splits.root / "test.png"]
    with pytest.raises(KeyError):
        splits.samples("other")


def test_what_is_stored_is_what_is_read(splits: Splits, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    path = tmp_path / "run" / "splits.json"
    splits.save(path)
    stored = json.loads(path.read_text())
    fields = ["schema_version", "root", "class_names", "train", "validation", "test", "archive", "seen_photos"]
    assert list(stored) == fields
    assert stored["root"] == str(splits.root.resolve())
    assert stored["test"] == [["test.png", 2, splits.test[0].sha256]]
    assert Splits.load(path) == splits
    inside = tmp_path / "splits.json"
    splits.save(inside)
    assert json.loads(inside.read_text())["root"] == "photos"
    assert Splits.load(inside) == splits


def test_photos_that_changed_are_named(splits: Splits) -> None:
    every = splits.train + splits.validation + splits.test
    splits.check_unchanged(every)
    for content in (b"another", b"b", b"c", b"d"):  # SHA-256 above and below the recorded one
        (splits.root / "validation.png").write_bytes(content)
        splits.check_unchanged(splits.train + splits.test)
        with pytest.raises(RunError, match=r"validation.png' has changed since this run was trained"):
            splits.check_unchanged(every)
    (splits.root / "train.png").unlink()
    with pytest.raises(RunError, match=r"an image of this run is missing: '.*train.png'"):
        splits.check_unchanged(every)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"schema_version": 2},
            "schema version 2; this tledge reads version 1; use the tledge version that wrote it, or train again",
        ),
        ({"test": [["a.png", "0", "ab"]]}, r"'test\[0\]\[1\]': expected int, received str; train again"),
        ({"train": [["a.png", 0]]}, r"'train\[0\]': expected array of length 3, received 2; train again"),
        ({"root": "gone"}, "the images of this run are missing: no folder '.*gone'"),
    ],
)
def test_garbled_splits_are_errors(splits: Splits, tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "splits.json"
    splits.save(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(RunError, match=message):
        Splits.load(path)
