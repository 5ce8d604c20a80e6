import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crafted_tflite import write_custom
from foreign_models import write_onnx

from tledge.core import sidecar_storage
from tledge.core.errors import ArtifactError, OptionError
from tledge.core.file_kinds import HEAD, recognize

pytestmark = pytest.mark.unit


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(path: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(path, "model.tflite")
    return buffer.getvalue()


def saved(write: Callable[[Any], None]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


SAFETENSORS = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
HDF5 = b"\x89HDF\r\n\x1a\n" + bytes(88)
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1\nsize 12345\n"
GRAPH = b"\n\x3c\n\x05image\x12\x0bPlaceholder*\x0b\n\x05dtype\x12\x020\x01"

CONTENTS = [
    (LFS, "a Git LFS pointer, not the file that it stands for: run 'git lfs pull' there"),
    (b"\n\n<!DOCTYPE html>\n<html lang='en'>", "a web page: download the file itself"),
    (b"<HTML><body>", "a web page"),
    (b'<?xml version="1.0"?>\n<net name="m" version="11">', "an OpenVINO model"),
    (b'{"format": "layers-model", "generatedBy": "keras"}', "a TensorFlow.js model"),
    (b'{"error": "Invalid credentials"}', "a text file: look at what it says"),
    (b"Entry not found", "a text file"),
    (HDF5, "an HDF5 file, as Keras writes .h5: .export.model='MODEL.h5', data='PHOTOS'.. imports it"),
    (pickle.dumps({"state_dict": [1.0]}), "a Python pickle, as PyTorch wrote"),
    (zipped(**{"model/data.pkl": b"x", "model/version": b"3"}), "a PyTorch file"),
    (zipped(**{"config.json": b"{}", "model.weights.h5": b"x"}), "a Keras file: rename it to .keras"),
    (zipped(**{"m/saved_model.pb": b"x"}), "an archive of a TensorFlow SavedModel"),
    (zipped(**{"m/model.tflite": b"x"}), "a ZIP archive: unpack it"),
    (saved(lambda file: np.savez(file, a=np.zeros(3))), "NumPy arrays"),
    (struct.pack("<Q", len(SAFETENSORS)) + SAFETENSORS + bytes(4), "safetensors: weights without a network"),
    (gzip.compress(bytes(1000)), "an archive: unpack it"),
    (GRAPH, "a TensorFlow graph"),
    (b"ftrt" + bytes(100), "a TensorRT engine"),
    (b"\x1c\x00\x00\x00ET12", "an ExecuTorch program"),
    (b"\x18\x00\x00\x00ORTM", "a model in ONNX Runtime's own format"),
    (bytes(1000), "filled with zeros, as a download that was cut off leaves it"),
]


@pytest.mark.parametrize(("content", "kind"), CONTENTS, ids=range(len(CONTENTS)))
@pytest.mark.parametrize("suffix", ["tflite", "onnx"])
def test_what_is_no_model_is_named(tmp_path: Path, content: bytes, kind: str, suffix: str) -> None:
    path = tmp_path / f"model.{suffix}"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=rf"^'{path}' is {kind}"):
        sidecar_storage.extract(path, suffix, sidecar_storage.SIDECAR)


def test_tar_archives_say_so_at_byte_257(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(tarred(write_custom(tmp_path / "whole.tflite", "A")))
    assert recognize(path).startswith("an archive: unpack it")
    assert recognize(path, path.read_bytes()[:HEAD]).startswith("an archive")


def test_formats_under_each_others_names(tmp_path: Path) -> None:
    onnx, tflite = write_onnx(tmp_path / "a.onnx"), write_custom(tmp_path / "b.tflite", "A")
    onnx.rename(tmp_path / "a.tflite")
    tflite.rename(tmp_path / "b.onnx")
    with pytest.raises(ArtifactError, match="a.tflite' is an ONNX model, by its first bytes: rename it to .onnx"):
        sidecar_storage.extract(tmp_path / "a.tflite", "tflite", "x")
    with pytest.raises(ArtifactError, match="b.onnx' is a TFLite model: rename it to .tflite"):
        sidecar_storage.extract(tmp_path / "b.onnx", "onnx", "x")
    (tmp_path / "c.keras").write_bytes(HDF5)
    with pytest.raises(ArtifactError, match="c.keras' is an HDF5 file, as Keras writes .h5"):
        sidecar_storage.extract(tmp_path / "c.keras", "keras", "x")


def test_models_are_not_taken_for_something_else(tmp_path: Path) -> None:
    for path in (write_onnx(tmp_path / "a.onnx"), write_custom(tmp_path / "b.tflite", "A")):
        assert sidecar_storage.extract(path, path.suffix[1:], sidecar_storage.SIDECAR) is None
    unknown = tmp_path / "c.tflite"
    unknown.write_bytes(b"\x93\x94\x95\x96\x97\x98\x99\x9a" * 20)
    assert recognize(unknown) == ""
    with pytest.raises(ArtifactError, match=r"c.tflite' is not a TFLite model \(it starts with b'.x93"):
        sidecar_storage.extract(unknown, "tflite", "x")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("m.pt", "a PyTorch file: export it in PyTorch"),
        ("m.mlmodel", "a Core ML model"),
        ("m.h5", "a Keras file: .export.model='MODEL.h5', data='PHOTOS'.. imports it"),
        ("m.pb", "a TensorFlow graph"),
        ("m.engine", "a TensorRT engine"),
    ],
)
def test_other_suffixes_are_known(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / name).write_bytes(b"\x91\x92\x93\x94\x95\x96\x97\x98")
    for path in (tmp_path / name, tmp_path / "gone" / name):
        with pytest.raises(OptionError, match=rf"'{path}' is not a model file; expected .*\.keras; it is {kind}"):
            sidecar_storage.format_of(path)


def test_a_folder_with_a_saved_model(tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved/saved_model.pb").write_bytes(b"x")
    with pytest.raises(OptionError, match="it is a TensorFlow SavedModel: convert it with"):
        sidecar_storage.format_of(tmp_path / "saved")
