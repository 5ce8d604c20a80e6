"""Small files that would take all memory, or never end: each is refused quickly, in one line."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import onnx
import pytest
from command_trials import CommandForks
from onnx import TensorProto, helper, numpy_helper
from support import lazy_module

from tledge.core import crash_trial
from tledge.core.errors import ArtifactError, ModelError
from tledge.edge_runtime.onnx_limits import check_graph
from tledge.train import import_model, imported_model
from tledge.train.keras_config import read_config
from tledge.train.keras_file_trial import try_keras_file

keras = lazy_module("keras")

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


@pytest.mark.parametrize(
    ("operator", "constants", "reason"),
    [
        ("Pad", [np.array([0, 0, 13_000, 0, 0, 0, 0, 13_000], np.int64)], "small"),
        (
            "Pad",
            [np.array([0, 0, 20_000, 0, 0, 0, 0, 20_000], np.int64)],
            "its operator Pad would create 1,203,843,072",
        ),
        (
            "Resize",
            [np.array([], np.float32), np.array([], np.float32), np.array([1, 3, 30_000, 30_000], np.int64)],
            "its operator Resize would create 2,700,000,000",
        ),
    ],
    ids=["small", "pad", "resize"],
)
def test_a_constant_size_of_onnx_is_bounded(
    tmp_path: Path, operator: str, constants: list[np.ndarray], reason: str
) -> None:
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 32, 32])
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, None)
    values = [numpy_helper.from_array(values, f"c{place}") for place, values in enumerate(constants)]
    node = helper.make_node(operator, ["image", *(value.name for value in values)], ["output"])
    graph = helper.make_graph([node], "bomb", [image], [output], values)
    onnx.save(helper.make_model(graph), tmp_path / "m.onnx")
    if reason == "small":
        check_graph(tmp_path / "m.onnx")
        return
    with pytest.raises(ArtifactError, match=reason):
        check_graph(tmp_path / "m.onnx")


def test_a_constant_that_announces_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    write_onnx_bomb(path)
    model = onnx.load(path)
    model.graph.initializer.append(TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2**15, 2**15]))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ArtifactError, match="one of its constants announces 1,073,741,824 values"):
        check_graph(path)


def test_a_crash_of_keras_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the file is read here before a child process has survived it."""
    program = [sys.executable, "-c", "import os; os.abort()"]
    monkeypatch.setattr(crash_trial, "python_module", lambda name: program)
    monkeypatch.setattr(imported_model, "check_keras_file", lambda *_, **__: pytest.fail("read in this process"))
    path = write_keras(tmp_path / "model.keras", **{"model.weights.h5": weights()})
    with pytest.raises(ModelError, match=r"Keras crashed \(SIGABRT\) while loading or running '.*model.keras'"):
        import_model(model=path, data=tmp_path, runs=tmp_path / "runs")


@pytest.mark.slow
def test_a_keras_model_larger_than_the_memory_is_refused(tmp_path: Path) -> None:
    image = keras.Input((8, 8, 3))
    model = keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(image)))
    model.save(tmp_path / "good.keras")
    try_keras_file(tmp_path / "good.keras", trust=False)
    with zipfile.ZipFile(tmp_path / "good.keras") as source, zipfile.ZipFile(tmp_path / "bomb.keras", "w") as target:
        for member in source.infolist():
            content = source.read(member).replace(b'"units": 2,', b'"units": 20000000000,')
            target.writestr(member.filename, content)
    with pytest.raises(ModelError, match="needs more memory than this machine has"):
        try_keras_file(tmp_path / "bomb.keras", trust=False)


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
