"""Attack sets in folders, and the record for the report."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tledge.attacks.goal import Goal
from tledge.attacks.gradient_masking import MaskingSign
from tledge.bench.robustness.attack_examples import AttackExample, RobustnessRecord
from tledge.bench.robustness.attack_set import AttackSet
from tledge.bench.robustness.attacked_photos import PhotoSet
from tledge.core.errors import DataError, MeasurementError

pytestmark = pytest.mark.unit


def test_a_set_comes_back_from_its_folder(attack_set: AttackSet, tmp_path: Path) -> None:
    attack_set.save(tmp_path)
    again = AttackSet.load(tmp_path)
    (before,), (after,) = attack_set.attacked, again.attacked
    assert np.array_equal(again.photos.pixels, attack_set.photos.pixels)
    assert again.photos.class_names == attack_set.photos.class_names
    assert np.array_equal(after.shown(again.photos.pixels), before.shown(attack_set.photos.pixels))
    assert np.array_equal(after.made_at, before.made_at)
    assert (after.threat, after.source, after.seconds) == (before.threat, before.source, before.seconds)
    assert len(list(tmp_path.rglob("*.png"))) == 7, "where an attack failed the original stands for it"
    assert again.fingerprint == AttackSet.load(tmp_path).fingerprint != ""


def _edit(folder: Path) -> None:
    path = next(folder.glob("square-*-2/*.png"))
    Image.fromarray(np.asarray(Image.open(path)) ^ 64).save(path)


def _resize(folder: Path) -> None:
    path = next(folder.glob("originals/*.png"))
    Image.open(path).resize((9, 9)).save(path)


def _remove(folder: Path) -> None:
    next(folder.glob("originals/*.png")).unlink()


def _outdate(folder: Path) -> None:
    path = folder / "attack-set.json"
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 2'))


def _break_out(folder: Path) -> None:
    path = folder / "attack-set.json"
    path.write_text(path.read_text().replace('"attack": "square"', '"attack": "../../square"'))


def _empty(folder: Path) -> None:
    path = folder / "attack-set.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "attacked": []}))


def _mistake(folder: Path) -> None:
    path = folder / "attack-set.json"
    path.write_text(path.read_text().replace('"seconds": 1.5', '"seconds": "long"'))


def _postdate(folder: Path) -> None:
    path = folder / "attack-set.json"
    fields = json.loads(path.read_text())
    fields["attacked"][0]["made_at"][0] = 4.0
    path.write_text(json.dumps(fields))


def _escape(folder: Path) -> None:
    path = folder / "attack-set.json"
    path.write_text(path.read_text().replace("originals/0000-cat.png", "../0000-cat.png"))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_edit, "it was edited"),
        (_resize, "9 x 9 px"),
        (_remove, "cannot read image"),
        (_outdate, "schema version 2"),
        (_escape, r"'photos\[0\]\.file': expected a path inside its folder"),
        (_break_out, "not a valid attack name"),
        (_empty, "no attacked photos"),
        (_mistake, r"'attacked\[0\]\.seconds': expected float, received str"),
        (_postdate, "made with an eps of 4, but is listed under linf 2/255"),
    ],
)
def test_a_spoilt_set_is_rejected(attack_set: AttackSet, tmp_path: Path, spoil: Any, said: str) -> None:
    attack_set.save(tmp_path)
    spoil(tmp_path)
    with pytest.raises(DataError, match=said):
        AttackSet.load(tmp_path)


def test_the_manifest_says_what_each_file_is(attack_set: AttackSet, tmp_path: Path) -> None:
    attack_set.save(tmp_path)
    (item,) = attack_set.attacked
    assert json.loads((tmp_path / "attack-set.json").read_text()) == {
        "schema_version": 1,
        "class_names": ["cat", "dog/wolf"],
        "input_size": [8, 8],
        "photos": [
            {"file": f"originals/000{index}-{name}.png", "label": label, "target": None, "source": source}
            for index, (label, name, source) in enumerate(
                [(0, "cat", "a"), (1, "dog%2Fwolf", "b"), (1, "dog%2Fwolf", "c"), (0, "cat", "d")]
            )
        ],
        "attacked": [
            {
                "attack": "square",
                "white_box": False,
                "source": "a/int8.tflite",
                "source_sha256": "0" * 64,
                "norm": "linf",
                "eps": 2,
                "steps": 10,
                "seed": 0,
                "seconds": 1.5,
                "queries": [3, 7, 11, 9],
                "files": [
                    "square-a%2Fint8.tflite-linf-1/0000.png",
                    "square-a%2Fint8.tflite-linf-2/0001.png",
                    None,
                    "square-a%2Fint8.tflite-linf-2/0003.png",
                ],
                "made_at": [1, 2, None, 2],
            }
        ],
    }
    assert item.exists.tolist() == [True, True, False, True]
    shown = item.shown(attack_set.photos.pixels).astype(int) - attack_set.photos.pixels
    assert shown.max(axis=(1, 2, 3)).tolist() == [1, 2, 0, 2]


def test_target_classes_come_back(attack_set: AttackSet, tmp_path: Path) -> None:
    photos = attack_set.photos
    labels = np.zeros(4, np.intp)
    aimed = PhotoSet(photos.pixels, Goal(labels, labels + 1), photos.class_names, photos.sources)
    AttackSet(aimed, attack_set.attacked).save(tmp_path)
    again = AttackSet.load(tmp_path).photos.goal.target_classes
    assert again is not None
    assert again.tolist() == [1] * 4
    path = tmp_path / "attack-set.json"
    path.write_text(path.read_text().replace('"target": 1', '"target": null', 1))
    with pytest.raises(DataError, match="several target classes"):
        AttackSet.load(tmp_path)


def test_only_some_files_are_written(attack_set: AttackSet, tmp_path: Path) -> None:
    attack_set.save_files(tmp_path, ["originals/0003-cat.png"])
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png")] == ["originals/0003-cat.png"]
    with pytest.raises(DataError, match=r"no attack set in .* 'attack-set.json' was not found"):
        AttackSet.load(tmp_path)


def test_names_of_any_length_fit_a_path(attack_set: AttackSet) -> None:
    names = ("a" * 80, "a" * 81, "a" * 82)
    photos = PhotoSet(attack_set.photos.pixels[:3], Goal(np.arange(3)), names, ("",) * 3)
    files = [Path(photos.file(index)).name.removeprefix(f"000{index}-").removesuffix(".png") for index in range(3)]
    assert files[0] == names[0]
    assert [len(name) for name in files] == [80, 80, 80]
    assert len(set(files)) == 3


EXAMPLE = AttackExample(
    artifact="int8.tflite",
    target="litert:cpu:1",
    attack="pgd",
    setting="transfer",
    norm="linf",
    eps=2.0,
    original="originals/0000-cat.png",
    attacked="pgd/0000.png",
    label="cat",
    before=("cat", 0.9),
    after=("dog", 0.6),
)


def test_the_record_for_the_report_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "robustness.json"
    assert RobustnessRecord.load(path) == RobustnessRecord()
    record = RobustnessRecord((EXAMPLE,), {"int8.tflite": (MaskingSign("zero_gradients", "none"),)})
    record.save(path)
    assert RobustnessRecord.load(path) == record
    kept = json.loads(path.read_text())
    assert list(kept) == ["schema_version", "examples", "flags"]
    assert kept["examples"][0]["before"] == ["cat", 0.9]
    text = path.read_text()
    path.write_text(text.replace('"examples"', '"exhibits"').replace('"setting"', '"road"'))  # of earlier versions
    assert RobustnessRecord.load(path) == record
    path.write_text(text)
    path.write_text(path.read_text().replace('"eps": 2.0', '"eps": "two"'))
    with pytest.raises(MeasurementError, match=r"cannot read '.*robustness.json': .*; benchmark again"):
        RobustnessRecord.load(path)
