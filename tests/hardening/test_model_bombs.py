"""Small files that would take all memory, or never end: each is refused quickly, in one line."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import onnx
import pytest
from command_trials import CommandForks
from onnx import TensorProto, helper, numpy_helper

from tledge.core.errors import ModelError
from tledge.train.keras_config import read_config

LARGEST = 700 << 20
"""Bytes of memory that refusing a file may take, with the libraries that are loaded."""


def write_onnx_bomb(path: Path) -> None:
    """Writes an ONNX file of a few hundred bytes that adds 6 GB of zeros to a photo."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 32, 32])
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, None)
    shape = numpy_helper.from_array(np.array([1500, 1000, 1000], np.int64), "shape")
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["sum"]),
        helper.make_node("Add", ["image", "sum"], ["output"]),
    ]
    graph = helper.make_graph(nodes, "bomb", [image], [output], [shape])
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 17)]), path)


@pytest.mark.parametrize("command", ["adopt", "bench", "predict"])
def test_an_onnx_bomb_is_refused(tmp_path: Path, command: str) -> None:
    write_onnx_bomb(tmp_path / "bomb.onnx")
    with CommandForks() as commands:
        trial = commands.run(command, "bomb.onnx", *["photo.jpg"] * (command == "predict"), cwd=tmp_path)
    assert not trial.faults(), trial
    assert trial.code in (1, 2), trial
    assert trial.peak_bytes < LARGEST, trial


def weights(*, values: int = 4) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_dataset("kernel", (values,), "float32", chunks=(4,))
    return buffer.getvalue()


def write_keras(path: Path, *, config: bytes = b'{"class_name": "Functional"}', **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", config)
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_a_usual_archive_is_read(tmp_path: Path) -> None:
    path = write_keras(tmp_path / "model.keras", **{"model.weights.h5": weights(), "metadata.json": b"{}"})
    assert read_config(path).model == {"class_name": "Functional"}


@pytest.mark.parametrize(
    ("config", "members", "reason"),
    [
        (b"[" * 100_000 + b"]" * 100_000, {}, "nested deeper than 200 levels"),
        (json.dumps({"a": json.loads("[" * 250 + "]" * 250)}).encode(), {}, "nested deeper than 200 levels"),
        (b" " * (65 << 20) + b"{}", {}, "at most 67,108,864 are read"),
        (b"{}", {"../evil": b""}, "points outside the archive"),
        (b"{}", {"/etc/evil": b""}, "points outside the archive"),
        (b"{}", {"model.weights.h5": weights(values=25 * 10**9)}, "announce weights of 100,000,000,000 bytes"),
        (b"[1]", {}, "is not an object"),
    ],
    ids=["deep", "deeper", "long", "name", "absolute", "weights", "list"],
)
def test_a_keras_bomb_is_refused(tmp_path: Path, config: bytes, members: dict[str, bytes], reason: str) -> None:
    path = write_keras(tmp_path / "model.keras", config=config, **members)
    with pytest.raises(ModelError, match=reason):
        read_config(path)


def test_weights_in_other_files_are_refused(tmp_path: Path) -> None:
    for number, make in enumerate(
        (
            lambda file: file.__setitem__("kernel", h5py.ExternalLink("/etc/passwd", "/")),
            lambda file: file.create_dataset("kernel", (4,), "u1", external=[("/etc/passwd", 0, 4)]),
        )
    ):
        path = tmp_path / f"{number}.h5"
        with h5py.File(path, "w") as file:
            file.attrs["model_config"] = "{}"
            make(file)
        with pytest.raises(ModelError, match="another file"):
            read_config(path)


def test_a_huge_list_of_members_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        for number in range(20_000):
            archive.writestr(f"{number:030}", b"")
    with pytest.raises(ModelError, match=r"its list of members has [\d,]+ bytes"):
        read_config(tmp_path / "model.keras")
