"""Sets of tensorflow-datasets, with a small real builder that is made here."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import check_one_line_error, lazy_module, tledge, write_stripes

lazy_module("tensorflow_datasets")

BUILDER = '''
import sys
from pathlib import Path
import tensorflow_datasets as tfds


class TinyStripes(tfds.core.GeneratorBasedBuilder):
    """Two classes of stripes."""

    VERSION = tfds.core.Version("1.2.0")

    def _info(self):
        names = ["across", "up/right"]
        label = tfds.features.ClassLabel(names=names)
        features = tfds.features.FeaturesDict(
            {"image": tfds.features.Image(), "label": label, "name": tfds.features.Text()}
        )
        return tfds.core.DatasetInfo(builder=self, features=features, supervised_keys=("image", "label"))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(0), "test": self._generate_examples(1)}

    def _generate_examples(self, part):
        for label, folder in ((0, "across"), (1, "upright")):
            for number, path in enumerate(sorted((Path(sys.argv[1]) / folder).iterdir())):
                if (number % 4 == 3) == bool(part):
                    yield f"{folder}{number}", {"image": path, "label": label, "name": path.name}


class NoImages(tfds.core.GeneratorBasedBuilder):
    """Nothing to see."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({"text": tfds.features.Text()}))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        yield 0, {"text": "a"}


for builder in (TinyStripes, NoImages):
    builder(data_dir=sys.argv[2]).download_and_prepare()
'''


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of prepared sets, as tensorflow-datasets keeps them."""
    folder = tmp_path_factory.mktemp("tfds")
    photos = write_stripes(folder / "photos", per_class=24)
    done = subprocess.run(
        [sys.executable, "-c", BUILDER, str(photos), str(folder / "sets")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_a_set_is_trained_on_like_a_folder(prepared: Path, tmp_path: Path) -> None:
    command = [
        "train",
        "--data",
        "tfds:tiny_stripes",
        "--weights",
        "none",
        "--backbone",
        "mobilenet",
        "--alpha",
        "0.25",
    ]
    env = {"TFDS_DATA_DIR": str(prepared / "sets")}
    done = tledge(*command, "--image-size", "32", "--epochs", "1", "--json", cwd=tmp_path, env=env)
    assert done.code == 0, done
    manifest = json.loads(done.out)
    assert manifest["class_names"] == ["across", "up_right"]
    assert manifest["data"]["source"] == "tfds:tiny_stripes"
    assert manifest["data"]["splits"] == {"train": 30, "validation": 6, "test": 12}
    splits = json.loads((tmp_path / manifest["run"] / "splits.json").read_text())
    root = Path(splits["root"])
    originals = {path.read_bytes() for path in (prepared / "photos").rglob("*.jpg")}
    files = [root / path for split in ("train", "validation", "test") for path, _, _ in splits[split]]
    assert {path.read_bytes() for path in files} == originals, "the files are the originals, byte for byte"
    assert all("/test/" in f"/{path}" for path, _, _ in splits["test"])
    again = tledge(*command, "--image-size", "32", "--epochs", "1", cwd=tmp_path, env=env)
    assert again.code == 0
    assert "Write tfds" not in again.err, "the files of the first run are used"
    damaged = files[0]
    damaged.write_bytes(damaged.read_bytes()[:-100])
    third = tledge(*command, "--image-size", "32", "--epochs", "1", cwd=tmp_path, env=env)
    assert third.code == 0
    assert "discarded 'runs/.cache/tfds/tiny_stripes-1.2.0'" in third.out
    assert {path.read_bytes() for path in files} == originals


def test_a_damaged_data_set_is_one_error(prepared: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared / "sets", tmp_path / "sets")
    (record,) = (tmp_path / "sets" / "tiny_stripes").rglob("*train.tfrecord*")
    whole = record.read_bytes()
    middle = len(whole) // 2
    for content in (whole[:middle], whole[:middle] + bytes(100) + whole[middle + 100 :]):
        record.write_bytes(content)
        check_one_line_error(
            tledge(
                *("train", "--data", "tfds:tiny_stripes", "--weights", "none"),
                cwd=tmp_path,
                env={"TFDS_DATA_DIR": str(tmp_path / "sets")},
            ),
            "1.2.0' is damaged: ",
            "; delete that folder, and it is prepared again",
        )
        assert not list((tmp_path / "runs" / ".cache" / "tfds").iterdir())


def test_data_sets_without_photos_are_rejected(prepared: Path, tmp_path: Path) -> None:
    env = {"TFDS_DATA_DIR": str(prepared / "sets"), "HTTPS_PROXY": "http://127.0.0.1:9", "NO_GCE_CHECK": "true"}
    check_one_line_error(
        tledge("train", "--data", "tfds:no_images", "--weights", "none", cwd=tmp_path, env=env),
        "'tfds:no_images' is not an image classification data set: its features are text",
    )
    check_one_line_error(
        tledge("train", "--data", "tfds:no_such_set", "--weights", "none", cwd=tmp_path, env=env),
        "tensorflow-datasets has no data set 'no_such_set'",
    )


def test_the_missing_extra_is_named(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text("import sys\nsys.modules['tensorflow_datasets'] = None\n")
    env = {"PYTHONPATH": os.pathsep.join(filter(None, [str(hidden), os.environ.get("PYTHONPATH")]))}
    check_one_line_error(
        tledge("train", "--data", "tfds:x", "--weights", "none", cwd=tmp_path, env=env), "pip install 'tledge[tfds]'"
    )
    shutil.rmtree(hidden)
