"""Benchmarks of several runs and machines that nobody ran, as ``tledge compare`` finds them in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from comparison_sample import PI, Machine, Planted, write_bench

from tledge.bench.results.cell_result import CellResult
from tledge.bench.results.results_folder import REFERENCE, ResultsFolder, samples_name
from tledge.bench.results.settings import BenchSettings
from tledge.core.manifest import DataRecord, RunManifest, WeightsRecord

WORKSTATION = replace(
    PI,
    host="bench-1",
    machine="x86_64",
    cpu="AMD Ryzen 7 5800X 8-Core Processor",
    cpu_features=("avx2", "fma"),
    cores=16,
    usable_cores=16,
    governor="performance",
    memory=33_500_000_000,
)
BOARD = replace(PI, host="raspberrypi", cpu="Raspberry Pi 5 Model B Rev 1.0")
HASH = "f" * 64


def cells(build: str, latency: float, wrong: int) -> list[Planted]:
    """A float32, a dynamic and an int8 file of one model; each is faster and a little less accurate than the last."""
    recipes = (("float32", 1.0, 0), ("dynamic", 0.86, 1), ("int8", 0.72, 2))
    return [
        Planted(artifact=f"{recipe}.tflite", build=f"{build} {recipe}", latency=latency * factor, wrong=wrong + more)
        for recipe, factor, more in recipes
    ]


def write_run(
    runs: Path,
    name: str,
    seed: int,
    planted: Sequence[Planted],
    *,
    backbone: str = "mobilenet_v2",
    alpha: float = 1.0,
    machine: Machine | None = None,
    folder: str = "bench",
    photos: str = "test",
    **settings: object,
) -> Path:
    """Writes a finished run with one benchmark and returns the folder of its results."""
    run = runs / name
    (run / folder).parent.mkdir(parents=True, exist_ok=True)
    manifest = RunManifest(
        name=name,
        created="2026-11-23T10:00:00+00:00",
        backbone=backbone,
        weights=WeightsRecord(source="imagenet"),
        class_names=("cat", "dog"),
        input_size=(96, 96),
        resize="crop",
        seed=5,
        config={"alpha": alpha},
        data=DataRecord(source="photos", fingerprint=HASH, images={"cat": 150, "dog": 150}, splits={"test": 300}),
        device="TensorFlow on CPU",
        versions={},
        metrics={},
        model_sha256=sha256(name.encode()).hexdigest(),
    )
    results = write_bench(run / folder, seed, planted, machine or Machine(environment=WORKSTATION), photos=photos)
    changed = {"run": name, **settings}
    replace(BenchSettings.load(results.parent), **changed).save(results.parent)  # type: ignore[arg-type]
    source = _write_reference(ResultsFolder(results.parent), planted[0], manifest.model_sha256)
    replace(manifest, model_sha256=source).save(run / "run.json")
    return results.parent


def _write_reference(folder: ResultsFolder, planted: Planted, source: str) -> str:
    """Keeps the predictions of the run's Keras model, those of one of its files, unless it was measured itself.

    Returns:
        The SHA-256 of the Keras model.
    """
    if (folder.samples / REFERENCE).exists():
        return CellResult.load(folder.samples / REFERENCE).artifact_sha256
    found = CellResult.load(folder.samples / samples_name(planted.artifact, planted.target))
    replace(found, artifact_sha256=source).save(folder.samples / REFERENCE)
    return source


def write_runs(runs: Path) -> None:
    """Writes four backbones on a workstation, two of them also on a board, and a run with other photos."""
    on_board = Machine(environment=BOARD)
    write_run(runs, "20261123-101500-mobilenet_v2-photos", 1, cells("v2", 4.0, 6))
    write_run(
        *(runs, "20261124-091200-mobilenet_v2-photos", 2, cells("v2 0.35", 1.6, 9)),
        alpha=0.35,
    )
    write_run(runs, "20261124-150000-resnet50-photos", 3, cells("resnet", 40.0, 3), backbone="resnet50")
    write_run(runs, "20261125-101010-mobilenet-photos", 4, cells("v1", 3.0, 60), backbone="mobilenet")
    busy = Planted(artifact="int8.tflite", target="litert:cpu:4", build="v2 int8", latency=9.0, wrong=8, noisy=True)
    write_run(
        *(runs, "20261123-101500-mobilenet_v2-photos", 5, [*cells("v2", 24.0, 6), busy]),
        machine=on_board,
        folder="bench-ssh-pi@raspberrypi",
        on="ssh:pi@raspberrypi",
    )
    write_run(
        *(runs, "20261124-091200-mobilenet_v2-photos", 6, cells("v2 0.35", 9.5, 9)),
        alpha=0.35,
        machine=on_board,
        folder="bench-ssh-pi@raspberrypi",
        on="ssh:pi@raspberrypi",
    )
    write_run(runs, "20261126-101010-mobilenet_v2-digits", 7, cells("digits", 2.0, 5), photos="other")
