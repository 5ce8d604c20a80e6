"""What ships, run as a user runs it on an emulated Raspberry Pi: benchmarks, and ``tledge predict`` as installed."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support import Demo, tledge

from tledge.bench.places.emulation import EmulatedMachine, run_python
from tledge.bench.places.emulation.root import PLATFORMS, PYTHON
from tledge.bench.places.remote.wheel import write_wheel
from tledge.core.run_directory import RunDirectory
from tledge.edge_runtime import Classifier

INT8 = ("int8.tflite", "int8.onnx")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(pi5: EmulatedMachine, tmp_path_factory: pytest.TempPathFactory) -> EmulatedMachine:
    """The board with nothing but ``pip install tledge[onnx]``, of aarch64 wheels alone."""
    folder = tmp_path_factory.mktemp("installed")
    wheel = write_wheel(folder)
    subprocess.run(
        [
            *(sys.executable, "-P", "-m", "pip", "install", "--quiet", "--target", folder / "site"),
            *(f"--platform={platform}" for platform in PLATFORMS),
            *("--only-binary=:all:", f"--python-version={PYTHON}", f"{wheel}[onnx]"),
        ],
        check=True,
    )
    return replace(pi5, libraries=(folder / "site",))


@pytest.fixture
def int8_run(demo: Demo, tmp_path: Path) -> RunDirectory:
    """A copy of the demo's run with its int8 artifacts alone."""
    shutil.copytree(demo.run.path.resolve(), tmp_path / "runs" / "copy")
    directory = RunDirectory(tmp_path / "runs" / "copy")
    directory.mark_latest()
    for path in directory.artifacts.iterdir():
        if path.name.removesuffix(".json") not in INT8:
            path.unlink()
    return directory


@pytest.mark.usefixtures("pi5")
def test_a_benchmark_on_the_board_tells_of_answers_and_never_of_times(
    int8_run: RunDirectory, board_cache: Path
) -> None:
    work = int8_run.path.parents[1]
    before = (int8_run.bench / "results.jsonl").read_bytes()
    done = tledge("bench", "--on", "emulated:pi5", cwd=work, env={"COLUMNS": "160", "XDG_CACHE_HOME": str(board_cache)})
    assert done.code == 0, done.err
    folder = int8_run.path / "bench-emulated-pi5"
    rows = [json.loads(line) for line in (folder / "results.jsonl").read_text(encoding="utf-8").splitlines()]
    measured = {(row["artifact"], row["metric"]): row for row in rows}
    assert {row["metric"] for row in rows} == {
        *("file_size", "top1", "agreement", "parity_class", "parity_bits", "parity_difference")
    }
    assert all("emulated" in row["flags"] for row in rows)
    photos = len(int8_run.splits().test)
    for name in INT8:
        assert measured[name, "top1"]["n"] == photos
        assert measured[name, "top1"]["value"] > 0.8
        assert measured[name, "agreement"]["value"] > 0.9
        assert measured[name, "parity_class"]["value"] > 0.98
    assert measured["int8.tflite", "parity_difference"]["value"] < 1e-4, (
        "its integers are the same, its float head nearly"
    )
    environments = [json.loads(path.read_text()) for path in (folder / "environments").iterdir()]
    assert {item["cpu"] for item in environments if item["machine"] == "aarch64"} == {"Raspberry Pi 5 Model B Rev 1.0"}
    assert "emulated: run under QEMU" in done.out
    assert "p50" not in done.out
    assert "latency" not in (folder / "report.md").read_text().lower()
    assert (int8_run.bench / "results.jsonl").read_bytes() == before, "this machine's own results stand as they were"
    again = tledge(
        "bench", "--repeat", folder / "results.jsonl", "--json", cwd=work, env={"XDG_CACHE_HOME": str(board_cache)}
    )
    assert again.code == 0, again.err
    assert [row["top1"] for row in json.loads(again.out)["rows"]] == [measured[name, "top1"]["value"] for name in INT8]


def test_predict_runs_on_the_board_as_pip_installs_it(
    installed: EmulatedMachine, int8_run: RunDirectory, tmp_path: Path
) -> None:
    splits = int8_run.splits()
    folder = tmp_path / "photos"
    folder.mkdir()
    for number, path in enumerate(splits.paths(splits.test[:6])):
        shutil.copyfile(path, folder / f"{number}{path.suffix}")
    (folder / "9.png").write_bytes(b"\x89PNG, cut off")
    for name in INT8:
        artifact = int8_run.artifacts / name
        program = "from tledge.cli.main import main; main()"
        target = "litert:cpu:1" if name.endswith("tflite") else "onnxruntime:cpu:1"
        done = run_python(installed, ["-c", program, "predict", artifact, folder, "--json", "--target", target])
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"image"')]
        assert done.returncode == 1, (done.stdout, done.stderr)
        assert [Path(line["image"]).name for line in lines] == [*(f"{n}.png" for n in range(6)), "9.png"]
        assert "not a readable image" in lines[-1]["error"]
        with Classifier(artifact, target=target) as classifier:
            here = [classifier.classify(path)[0] for path in sorted(folder.glob("[0-5]*"))]
        for line, best in zip(lines, here, strict=False):
            assert line["predictions"][0]["label"] == best.label
            assert line["predictions"][0]["score"] == pytest.approx(best.score, abs=0.1)


def test_the_base_install_on_the_board_holds_no_training_library(installed: EmulatedMachine) -> None:
    code = "import sys, tledge.edge_runtime; print(sorted({'tensorflow', 'keras', 'onnx', 'jax'} & set(sys.modules)))"
    assert run_python(installed, ["-c", code]).stdout == "[]\n"
    (site,) = installed.libraries
    assert not [path.name for path in site.iterdir() if path.name.split("-")[0] in ("tensorflow", "keras", "onnx")]
    size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    assert size < 300e6, "with ONNX Runtime"
