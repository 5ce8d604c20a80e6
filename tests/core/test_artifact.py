import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import onnx
import pytest
from support import TINY_SIDECAR

from tledge.core import sidecar_storage
from tledge.core.artifact import path_beside, read_artifact, write_artifact
from tledge.core.errors import ArtifactError, OptionError
from tledge.core.fingerprint import sha256_of_file
from tledge.core.sidecar import Calibration, Sidecar

FILES = ["float32.tflite", "float32.onnx", "float32.keras"]


@pytest.fixture
def copied(tiny_artifacts: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_artifacts, tmp_path / "copied")
    return tmp_path / "copied"


@pytest.mark.parametrize("name", FILES)
def test_a_lone_file_tells_all(copied: Path, name: str) -> None:
    path_beside(copied / name).unlink()
    artifact = read_artifact(copied / name)
    assert artifact.sidecar == TINY_SIDECAR
    assert artifact.sha256 == sha256_of_file(copied / name)
    assert sidecar_storage.extract(copied / name, artifact.format, "labels.txt") == b"cat\ndog\nemu\n"
    assert sidecar_storage.extract(copied / name, artifact.format, "nothing.txt") is None


@pytest.mark.parametrize("name", FILES)
def test_the_sidecar_beside_holds_the_hash(copied: Path, name: str) -> None:
    beside = json.loads(path_beside(copied / name).read_text())
    assert beside.pop("artifact_sha256") == sha256_of_file(copied / name)
    assert Sidecar.from_dict(beside, name) == TINY_SIDECAR


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("beside", [True, False])
def test_a_changed_model_is_an_error(copied: Path, name: str, beside: bool) -> None:
    content = bytearray((copied / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copied / name).write_bytes(content)
    if not beside:
        path_beside(copied / name).unlink()
    with pytest.raises(ArtifactError, match=f"{name}' is damaged or was changed: expected the checksum .*, received"):
        read_artifact(copied / name)


@pytest.mark.parametrize("name", FILES)
def test_a_model_beside_the_sidecar_of_another_is_an_error(copied: Path, name: str) -> None:
    beside = json.loads(path_beside(copied / name).read_text())
    path_beside(copied / name).write_text(json.dumps({**beside, "artifact_sha256": "0" * 64}))
    with pytest.raises(ArtifactError, match=f"'{name}.json' does not match '.*{name}': it records SHA-256"):
        read_artifact(copied / name)


@pytest.mark.parametrize("name", FILES)
def test_a_lone_file_with_something_added_is_an_error(copied: Path, name: str) -> None:
    path_beside(copied / name).unlink()
    content = (copied / name).read_bytes()
    for added in (b"\n", bytes(70_000), content, (copied / "float32.onnx").read_bytes()):
        (copied / name).write_bytes(content + added)
        with pytest.raises(ArtifactError, match=r"is damaged or was changed|is not a complete|is a"):
            read_artifact(copied / name)


def test_an_earlier_file_without_a_checksum_is_read_and_not_verified(copied: Path, tmp_path: Path) -> None:
    content = (copied / "float32.tflite").read_bytes()
    earlier = tmp_path / "earlier.tflite"
    earlier.write_bytes(content[: content.index(b"PK\x03\x04")])
    with zipfile.ZipFile(earlier, "a") as archive:
        archive.writestr("tledge.json", TINY_SIDECAR.to_json())
    assert read_artifact(copied / "float32.tflite").verified
    artifact = read_artifact(earlier)
    assert artifact.sidecar == TINY_SIDECAR
    assert not artifact.verified


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kept", [0.0, 0.001, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("beside", [True, False])
def test_a_file_cut_off_anywhere_is_an_error(copied: Path, name: str, kept: float, beside: bool) -> None:
    content = (copied / name).read_bytes()
    (copied / name).write_bytes(content[: int(kept * len(content))])
    if not beside:
        path_beside(copied / name).unlink()
    with pytest.raises(ArtifactError, match=r"is empty|is not a |has no sidecar|is damaged|does not match"):
        read_artifact(copied / name)


def test_an_edited_sidecar_beside_is_an_error(copied: Path) -> None:
    beside = path_beside(copied / "float32.tflite")
    beside.write_text(beside.read_text().replace('"cat"', '"Katze"'))
    with pytest.raises(ArtifactError, match="was edited and does not match the sidecar inside"):
        read_artifact(copied / "float32.tflite")


@pytest.mark.unit
def test_absent_files_and_foreign_suffixes_are_errors(tmp_path: Path) -> None:
    with pytest.raises(
        ArtifactError, match=r"cannot read model '.*gone.onnx': No such file.*'tledge export' creates one"
    ):
        read_artifact(tmp_path / "gone.onnx")
    with pytest.raises(OptionError, match=r"'.*model.pt' is not a model file; expected .* .tflite, .onnx or .keras"):
        read_artifact(tmp_path / "model.pt")


def test_onnx_itself_reads_the_metadata_properties(copied: Path) -> None:
    model = onnx.load(copied / "float32.onnx")
    onnx.checker.check_model(model)
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert Sidecar.from_json(properties["tledge.json"].encode(), "x") == TINY_SIDECAR
    assert properties["labels.txt"] == "cat\ndog\nemu\n"


def test_properties_that_onnx_wrote_are_read(tiny_artifacts: Path, tmp_path: Path) -> None:
    model = onnx.load(tiny_artifacts / "float32.onnx")
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {"author": "somebody", "tledge.json": TINY_SIDECAR.to_json().decode()})
    onnx.save(model, tmp_path / "rewritten.onnx")
    assert read_artifact(tmp_path / "rewritten.onnx").sidecar == TINY_SIDECAR


def test_keras_still_loads_its_file(copied: Path, tiny_keras_model: Any) -> None:
    import keras
    import numpy as np

    loaded = keras.saving.load_model(copied / "float32.keras")
    for ours, theirs in zip(tiny_keras_model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.unit
def test_every_field_of_a_sidecar_survives() -> None:
    sidecar = Sidecar(
        class_names=("Katze", "chien «é»", '犬 "x"'),
        input_size=(160, 96),
        resize="crop",
        recipe="int8",
        source_run="r",
        source_sha256="ab" * 32,
        calibration=Calibration(images=3, split="train", fingerprint="ff" * 32),
        versions={"keras": "3"},
    )
    assert Sidecar.from_json(sidecar.to_json(), "x") == sidecar


@pytest.mark.unit
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "schema version 2; this tledge reads version 1"),
        (
            {"class_names": None},
            "the sidecar in 'x.tflite': 'class_names': expected array, received null; export the model",
        ),
        ({"input_size": [1, 2, 3]}, "'input_size': expected array of length 2, received 3"),
        (
            {"resize": "warp"},
            "resize rule 'warp' is unknown \\(known: crop, stretch\\); update tledge if a newer version wrote it",
        ),
    ],
)
def test_a_garbled_sidecar_is_an_error(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        Sidecar.from_dict({**TINY_SIDECAR.to_dict(), **change}, "x.tflite")
    with pytest.raises(ArtifactError, match="not valid JSON"):
        Sidecar.from_json(b"{", "x.tflite")


def test_the_same_model_gives_the_same_file(tiny_artifacts: Path, tmp_path: Path) -> None:
    plain = (tiny_artifacts / "plain.keras").read_bytes()
    first = write_artifact(tmp_path / "a.keras", plain, TINY_SIDECAR)
    assert first.sha256 == write_artifact(tmp_path / "b.keras", plain, TINY_SIDECAR).sha256
