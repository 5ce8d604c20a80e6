"""The top of a report: its title, and each machine once."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from report_sample import read_sample, write_sample

from tledge.bench.report import write_html
from tledge.bench.report.headline import headline, machine_blocks
from tledge.bench.results.stored_results import StoredCell, StoredResults
from tledge.bench.results.workload import workload_of_files
from tledge.core.number_text import cpu_name, network_name
from tledge.core.progress import Progress
from tledge.edge_runtime import tried_artifact
from tledge.train.backbone import BACKBONES

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> StoredResults:
    return read_sample(write_sample(tmp_path_factory.mktemp("bench")), title="MobileNetV2 on photos")


def test_a_title_says_what_was_measured(data: StoredResults) -> None:
    assert headline(data) == "MobileNetV2 on photos: 6 files on AMD Ryzen 7 5800X"
    settings = data.known_settings
    files = replace(data, title="a.tflite and b.onnx", settings=replace(settings, run=""))
    assert headline(files) == "a.tflite and b.onnx on AMD Ryzen 7 5800X"
    emulated = replace(data, settings=replace(settings, on="emulated:pi4", rounds=0))
    assert headline(emulated).endswith("on AMD Ryzen 7 5800X (emulated)")
    one = replace(data, settings=replace(settings, artifacts={"int8.tflite": ""}), cells=())
    assert headline(one) == "MobileNetV2 on photos: 1 file"


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("Intel(R) Xeon(R) CPU @ 2.20GHz", "Intel Xeon"),
        ("Intel(R) Core(TM) i7-8650U CPU @ 1.90GHz", "Intel Core i7-8650U"),
        ("AMD EPYC 7B13 64-Core Processor", "AMD EPYC 7B13"),
        ("Raspberry Pi 5 Model B Rev 1.0", "Raspberry Pi 5 Model B Rev 1.0"),
        ("CPU", "CPU"),
    ],
)
def test_cpu_names_lose_their_marks_and_clock(model: str, name: str) -> None:
    assert cpu_name(model) == name


@pytest.mark.parametrize("backbone", BACKBONES.names())
def test_networks_have_the_name_of_their_paper(backbone: str) -> None:
    assert network_name(backbone) == BACKBONES.load(backbone).application


@pytest.mark.parametrize("stem", ["cabinet_v2", "planet", "my_resnet50", "vgg16_best", "mobilenet_v9", ""])
def test_the_names_of_imported_models_stay(stem: str) -> None:
    assert network_name(stem) == stem


def test_a_machine_is_described_once(data: StoredResults, tmp_path: Path) -> None:
    def on(cell: StoredCell, **facts: Any) -> StoredCell:
        assert cell.raw is not None
        environment = {**cell.raw.environment, **facts}
        return replace(cell, raw=replace(cell.raw, environment=environment, environment_id=str(facts)))

    cells = [on(cell, packages={cell.artifact: "1"}) for cell in data.cells]
    (block,) = machine_blocks(replace(data, cells=tuple(cells)))
    assert set(block.packages) == {cell.artifact for cell in cells}
    write_html(replace(data, cells=tuple(cells)), tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text().count('<dl class="machine">') == 1
    contradicting = on(cells[0], packages={cells[1].artifact: "2"})
    blocks = machine_blocks(replace(data, cells=(*cells[1:], contradicting)))
    assert [block.packages[cells[1].artifact] for block in blocks] == ["1", "2"]
    other = on(cells[0], host="b")
    assert len(machine_blocks(replace(data, cells=(other, *cells[1:])))) == 2


@pytest.mark.parametrize(
    ("names", "title"),
    [
        ("a", "a.tflite"),
        ("ab", "a.tflite and b.tflite"),
        ("abc", "3 files (a.tflite, b.tflite and c.tflite)"),
        ("abcde", "5 files (a.tflite, b.tflite, c.tflite and 2 more)"),
    ],
)
def test_lone_files_are_named_and_counted(
    names: str, title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Path] = []
    monkeypatch.setattr(tried_artifact, "try_model", lambda path, _: tried.append(path))  # which starts a process
    paths = [tmp_path / f"{name}.tflite" for name in names]
    for path in paths:
        path.write_bytes(b"\0\0\0\0TFL3 without a sidecar")
    assert workload_of_files(paths, None, tmp_path, Progress()).title == title
    assert tried == paths
