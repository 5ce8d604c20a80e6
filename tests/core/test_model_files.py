import hashlib
import re
import shutil
from dataclasses import replace
from pathlib import Path

import onnx
import onnxruntime
import pytest
from external_model import digest, write_external
from support import TINY_SIDECAR

from tledge.core.artifact import files_of, read_artifact, write_sidecar_beside
from tledge.core.errors import ArtifactError
from tledge.core.model_files import sha256_of_model, size_of_model, weight_files

pytestmark = pytest.mark.unit
NAME = "model.onnx"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for the model, in one with something else."""
    (tmp_path / "outside.data").write_bytes(bytes(10_000))
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def test_a_model_in_one_file_is_that_file(folder: Path) -> None:
    model = write_external(folder / NAME)
    assert weight_files(model) == ()
    assert size_of_model(model) == model.stat().st_size
    assert sha256_of_model(model) == hashlib.sha256(model.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "locations", [("model.onnx.data",), ("weights/a.bin", "b.bin"), ("one.bin", "weights/two.bin")]
)
def test_size_and_hash_cover_every_file(folder: Path, locations: tuple[str, ...]) -> None:
    model = write_external(folder / NAME, *locations)
    assert weight_files(model) == tuple(sorted(locations))
    files = [model, *(folder / name for name in locations)]
    assert size_of_model(model) == sum(len(path.read_bytes()) for path in files)
    assert sha256_of_model(model) == digest(("", model), *((name, folder / name) for name in locations))
    assert set(files_of(model)) == {NAME, *locations}
    assert list(files_of(model))[-1] == NAME

    renamed = model.rename(folder / "renamed.onnx")
    before = sha256_of_model(renamed)
    assert before == digest(("", renamed), *((name, folder / name) for name in locations))
    content = bytearray(files[-1].read_bytes())
    content[-1] ^= 1
    files[-1].write_bytes(content)
    assert sha256_of_model(renamed) != before


@pytest.mark.parametrize(
    "location",
    ["../outside.data", "weights/../../outside.data", "{root}/outside.data", "..\\outside.data", "C:\\w.bin"],
)
def test_weights_outside_the_folder_are_rejected(folder: Path, location: str) -> None:
    model = write_external(folder / NAME, location.format(root=folder.parent), written=False)
    with pytest.raises(ArtifactError, match=f"'{model}' refers to weights outside its folder, in '.*outside|C:"):
        weight_files(model)


@pytest.mark.parametrize(
    ("links", "accepted"),
    [
        ({"w/a.bin": "../../outside.bin"}, False),
        ({"w/a.bin": "{root}/outside.bin"}, False),
        ({"w": "{root}"}, False),  # a linked folder
        ({"w/a.bin": "a.bin"}, False),  # a circle
        ({"w/a.bin": "../inside.bin"}, True),
        ({"w": "folder"}, True),
        ({"model.onnx": "../blobs/1", "w/a.bin": "../../blobs/2"}, True),  # as caches of model hubs do
        ({"model.onnx": "../blobs/1", "w/a.bin": "../../outside.bin"}, False),
        ({"w/a.bin": "../../blobs/2"}, False),  # only the weights are a link
    ],
)
def test_links_must_stay_in_the_folder(folder: Path, links: dict[str, str], accepted: bool) -> None:
    """The same files as ONNX Runtime reads."""
    model = write_external(folder / NAME, "w/a.bin")
    content, plain = (folder / "w/a.bin").read_bytes(), model.read_bytes()
    others = (folder.parent / "outside.bin", folder / "inside.bin", folder / "folder/a.bin", folder.parent / "a.bin")
    (folder.parent / "blobs").mkdir()
    (folder / "folder").mkdir()
    for path in (*others, folder.parent / "blobs/2"):
        path.write_bytes(content)
    (folder.parent / "blobs/1").write_bytes(plain)
    for name, target in links.items():
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.symlink_to(target.format(root=folder.parent))
    if accepted:
        assert weight_files(model) == ("w/a.bin",)
        assert size_of_model(model) == len(content) + len(plain)
        onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        return
    for read in (weight_files, sha256_of_model, size_of_model, files_of):
        with pytest.raises(
            ArtifactError, match=f"'w/a.bin', which holds weights of '{model}', is a link to another fold"
        ):
            read(model)


def test_missing_weights_are_named_with_their_place(folder: Path) -> None:
    model = write_external(folder / NAME, "weights/a.bin")
    shutil.rmtree(folder / "weights")
    expected = re.escape(
        f"'{model}' has its weights in another file, which is missing: expected '{folder}/weights/a.bin'"
    )
    for read in (weight_files, sha256_of_model, size_of_model, files_of):
        with pytest.raises(ArtifactError, match=expected):
            read(model)


@pytest.mark.parametrize(("cut", "fails"), [(0, False), (1, True), (10_000, True)])
def test_truncated_weights_are_found_by_their_length(folder: Path, cut: int, fails: bool) -> None:
    model, weights = write_external(folder / NAME, "a.bin"), folder / "a.bin"
    content = weights.read_bytes()
    weights.write_bytes(content[: max(0, len(content) - cut)])
    if not fails:
        assert weight_files(model) == ("a.bin",)
        return
    with pytest.raises(ArtifactError, match=rf"a.bin', which holds weights of '{NAME}', is truncated: .* of 1,552;"):
        weight_files(model)


def test_a_swap_of_the_weights_after_adoption_is_an_error(folder: Path) -> None:
    model = write_external(folder / NAME, "model.onnx.data")
    sidecar = replace(TINY_SIDECAR, class_names=("a", "b"), input_size=(8, 8), source_run="")
    assert write_sidecar_beside(model, sidecar).sha256 == read_artifact(model).sha256 == sha256_of_model(model)
    assert list(files_of(model)) == ["model.onnx.json", "model.onnx.data", NAME]

    other = write_external(folder.parent / NAME, "model.onnx.data", scale=2.0)
    assert other.read_bytes() == model.read_bytes()  # only the weights differ
    shutil.copy(folder.parent / "model.onnx.data", folder)
    with pytest.raises(
        ArtifactError, match=r"does not match .*: the file or model.onnx.data was changed, truncated or"
    ):
        read_artifact(model)


def test_a_text_named_location_is_no_weight(folder: Path) -> None:
    model = write_external(folder / NAME)
    model.write_bytes(model.read_bytes() + b"\x32\x08location")  # ModelProto.doc_string
    assert weight_files(model) == ()


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9])
def test_a_truncated_model_is_an_error(folder: Path, kept: float) -> None:
    model = write_external(folder / NAME, "a.bin")
    content = model.read_bytes()
    at = content.index(b"location") + 8
    model.write_bytes(content[: at + int(kept * (len(content) - at))])
    with pytest.raises(ArtifactError, match="is not a complete ONNX model"):
        weight_files(model)


def external_tensor(name: str, **entries: object) -> onnx.TensorProto:
    tensor = onnx.TensorProto(data_type=1, dims=[1], data_location=onnx.TensorProto.EXTERNAL)
    for key, value in {"location": name, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def sparse(values: onnx.TensorProto | None, indices: onnx.TensorProto | None = None) -> onnx.SparseTensorProto:
    return onnx.SparseTensorProto(values=values, indices=indices)


def test_weights_are_found_wherever_onnx_keeps_tensors(folder: Path) -> None:
    """The fields of onnx.proto that hold tensors, each with one in a file of its own."""
    model = onnx.ModelProto(ir_version=8)
    model.graph.initializer.append(external_tensor("initializer"))
    model.graph.sparse_initializer.extend([sparse(external_tensor("values")), sparse(None, external_tensor("indices"))])
    model.functions.add().node.add().attribute.add(name="value", t=external_tensor("function"))
    node = model.graph.node.add()
    node.attribute.add(name="value", t=external_tensor("constant"))
    node.attribute.add(name="values").tensors.append(external_tensor("tensors"))
    node.attribute.add(name="sparse", sparse_tensor=sparse(external_tensor("sparse_tensor")))
    node.attribute.add(name="several").sparse_tensors.append(sparse(external_tensor("sparse_tensors")))
    node.attribute.add(name="then_branch").g.initializer.append(external_tensor("branch"))
    node.attribute.add(name="branches").graphs.add().initializer.append(external_tensor("branches"))
    names = ("initializer", "values", "indices", "function", "constant", "tensors", "sparse_tensor", "sparse_tensors")
    names += ("branch", "branches")
    (folder / NAME).write_bytes(model.SerializeToString())
    for name in names:
        (folder / name).write_bytes(b"x")
    assert weight_files(folder / NAME) == tuple(sorted(names))
    for name in names:
        (folder / name).unlink()
        with pytest.raises(ArtifactError, match=f"missing: expected '{folder}/{name}'"):
            weight_files(folder / NAME)
        (folder / name).write_bytes(b"x")


@pytest.mark.parametrize(
    ("entries", "needed"), [({}, 0), ({"offset": 5}, 5), ({"length": 7}, 7), ({"offset": 5, "length": 7}, 12)]
)
def test_a_file_of_weights_has_at_least_the_bytes_that_are_read(
    folder: Path, entries: dict[str, int], needed: int
) -> None:
    model = onnx.ModelProto(ir_version=8)
    model.graph.initializer.extend([external_tensor("w", **entries), external_tensor("w")])
    (folder / NAME).write_bytes(model.SerializeToString())
    for size in (needed, needed + 1):
        (folder / "w").write_bytes(bytes(size))
        assert weight_files(folder / NAME) == ("w",)
    if needed:
        (folder / "w").write_bytes(bytes(needed - 1))
        with pytest.raises(ArtifactError, match=f"has {needed - 1} bytes of {needed};"):
            weight_files(folder / NAME)


def test_only_onnx_models_have_files_of_weights(folder: Path) -> None:
    (folder / "empty.onnx").touch()
    assert weight_files(folder / "empty.onnx") == ()
    model = write_external(folder / NAME, "a.bin")
    assert weight_files(model.rename(folder / "model.tflite")) == ()
    assert weight_files((folder / "model.tflite").rename(folder / "MODEL.ONNX")) == ("a.bin",)
