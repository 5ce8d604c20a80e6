import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from external_model import write_external
from support import TINY_SIDECAR

from tledge.bench.results.results_folder import ResultsFolder
from tledge.core.artifact import write_sidecar_beside
from tledge.core.model_files import sha256_of_model

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("name", ["model.onnx", "first/model.onnx"])
@pytest.mark.parametrize("locations", [(), ("model.onnx.data",), ("weights/a.bin", "b.bin")])
def test_what_was_measured_outlives_its_replacement(tmp_path: Path, name: str, locations: tuple[str, ...]) -> None:
    folder = ResultsFolder(tmp_path / "bench")
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    model = write_external(tmp_path / "first/model.onnx", *locations)
    write_sidecar_beside(model, replace(TINY_SIDECAR, class_names=("a", "b"), input_size=(8, 8)))
    another = write_external(tmp_path / "second/model.onnx", *locations, scale=2.0)  # its weights have the same names
    hashes = sha256_of_model(model), sha256_of_model(another)
    folder.keep(name, model)
    folder.keep("second/model.onnx", another)
    shutil.rmtree(tmp_path / "first")
    shutil.rmtree(tmp_path / "second")
    kept = folder.measured_file(name), folder.measured_file("second/model.onnx")
    assert tuple(map(sha256_of_model, kept)) == hashes
    assert kept[0].with_name(kept[0].name + ".json").is_file()
    assert not kept[1].with_name(kept[1].name + ".json").exists()
