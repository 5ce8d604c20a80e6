"""Benchmarks that were never run: seeded latencies of a machine that drifts, as ``tledge bench`` writes them."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tledge.bench.results.cell_result import CellResult, Timing
from tledge.bench.results.cells import Cell
from tledge.bench.results.metrics import CellMetrics, find_baseline
from tledge.bench.results.results_folder import ResultsFolder, write
from tledge.bench.results.round_conditions import Conditions
from tledge.bench.results.settings import BenchSettings
from tledge.bench.results.workload import Model
from tledge.core.environment import Environment
from tledge.edge_runtime.target import Target

TIMING = Timing(warm_up=10, minimum_queries=20, minimum_seconds=0.4, batch_sizes=(1, 8), batch_seconds=0.2)
PHOTOS = 300
PI = Environment(
    host="pi",
    machine="aarch64",
    cpu="Cortex-A76",
    cpu_features=("asimd", "asimddp"),
    cores=4,
    usable_cores=4,
    governor="ondemand",
    memory=8 << 30,
    os="Debian 12, Linux 6.6",
    python="3.11.2",
    packages={"tledge": "0.1.0", "ai-edge-litert": "2.1.0"},
)


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A cell and what is true of it.

    Attributes:
        artifact, target: its name.
        build: what its bytes are made of: the same build is the same file.
        latency: ms, the median on a quiet machine.
        wrong: photos that it gets wrong: the first ones.
        noisy: other programs ran meanwhile.
        rounds: how many.
    """

    artifact: str = "int8.tflite"
    target: str = "litert:cpu:2"
    build: str = "a"
    latency: float = 4.0
    wrong: int = 6
    noisy: bool = False
    rounds: int = 5


@dataclass(frozen=True, kw_only=True)
class Machine:
    """How a machine was during one benchmark.

    Attributes:
        speed: what everything takes as a multiple of what it takes at its best; the reference workload tells.
        unseen: the same, of models alone: a neighbour on the memory's bus, which the reference workload does not tell.
        environment: its record.
    """

    speed: float = 1.0
    unseen: float = 1.0
    environment: Environment = PI


def write_bench(
    folder: Path, seed: int, cells: Sequence[Planted], machine: Machine | None = None, *, photos: str = "test"
) -> Path:
    """Writes a benchmark of these cells and returns its ``results.jsonl``."""
    rng, machine = np.random.default_rng(seed), machine or Machine()
    labels = np.arange(PHOTOS) % 2
    files = {planted: _file(folder.parent / f"{folder.name}-files", planted) for planted in cells}
    found: dict[Cell, CellResult] = {}
    metrics: dict[Cell, CellMetrics] = {}
    for planted in cells:
        cell = Cell(Model(files[planted], planted.artifact, None), Target.parse(planted.target))
        found[cell] = _measure(rng, planted, machine, labels, files[planted])
        metrics[cell] = CellMetrics(cell, found[cell], TIMING, labels)
    measurements = []
    for cell, of in metrics.items():
        measurements += of.all(labels)
        baseline = find_baseline(cell, list(metrics))
        measurements += of.against(metrics[baseline]) if baseline else []
    settings = BenchSettings(
        version="0.1.0",
        began="2026-11-24T10:00:00+00:00",
        run="demo",
        files=(),
        data="",
        artifacts={cell.model.name: result.artifact_sha256 for cell, result in found.items()},
        targets=tuple(dict.fromkeys(planted.target for planted in cells)),
        rigor="quick",
        rounds=cells[0].rounds,
        seconds=2.0,
        queries=100,
        batch_sizes=(1, 8),
        images=PHOTOS,
        class_names=("cat", "dog"),
        photos=photos,
        skipped=(),
    )
    paths = [(Path(f"{number}.jpg"), int(label)) for number, label in enumerate(labels)]
    results = ((cell.file_name, result) for cell, result in found.items())
    folder.mkdir(parents=True)
    write(ResultsFolder(folder), settings, measurements, results, paths)
    return folder / "results.jsonl"


def _file(folder: Path, planted: Planted) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / planted.artifact
    path.write_bytes(f"{planted.artifact} {planted.build}".encode() * 4000)
    return path


def _measure(
    rng: np.random.Generator, planted: Planted, machine: Machine, labels: np.ndarray, file: Path
) -> CellResult:
    """Rounds of 100 queries: every round is a process with its own luck (1.5%), every query a skewed draw."""
    rounds = planted.rounds
    speeds = machine.speed * np.exp(rng.normal(0, 0.01, rounds))
    luck = machine.unseen * np.exp(rng.normal(0, 0.015, rounds))
    medians = planted.latency * speeds * luck
    latencies = np.concatenate([median * (0.97 + rng.gamma(2, 0.018, 100)) for median in medians])
    answers = labels.copy()
    answers[: planted.wrong] ^= 1
    busy = 0.4 if planted.noisy else 0.0
    conditions = Conditions(
        load=busy, steal=0.0, mhz=2400.0, governor="", temperature=None, throttled=None, reference_time=1.0
    )
    content = file.read_bytes()
    return CellResult(
        logits=np.eye(2, dtype=np.float32)[answers],
        latencies=latencies,
        rounds=np.repeat(np.arange(rounds), 100),
        load_times=3 * speeds * luck,
        cold_starts=400 * speeds * luck,
        peak_memories=np.full(rounds, 20e6 + zlib.crc32(content) % 1000),
        energies=np.full(rounds, np.nan),
        energy_source="",
        batch_sizes=np.array([1, 8]),
        throughputs=np.stack([1000 / medians, 1200 / medians], axis=1),
        conditions=tuple(
            replace(conditions, reference_time=8.0 * speed * wobble)
            for speed, wobble in zip(speeds, np.exp(rng.normal(0, 0.005, rounds)), strict=True)
        ),
        provider="XNNPACK",
        artifact_sha256=hashlib.sha256(content).hexdigest(),
        environment=machine.environment.to_dict(),
        environment_id=machine.environment.id,
    )
