"""Results of a benchmark that nobody ran: nine cells with known samples, for the tests of reports."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tledge.bench.results.cell_result import CellResult
from tledge.bench.results.results_folder import REFERENCE, ResultsFolder, write
from tledge.bench.results.round_conditions import Conditions
from tledge.bench.results.settings import BenchSettings, Skipped
from tledge.bench.results.stored_results import StoredResults, read_stored
from tledge.core.environment import Environment
from tledge.core.measurement import Measurement
from tledge.core.significance import latency_ratio, mcnemar
from tledge.core.statistics import percentile, wilson_interval

ROUNDS, QUERIES = 5, 60
BATCHES = (1, 8)
Classes = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Made:
    """A cell: its median latency in ms, its size in bytes, how many photos it mistakes, and its flags."""

    artifact: str
    target: str
    latency: float
    size: int
    mistaken: int
    flags: tuple[str, ...] = ()


CELLS = (
    Made("model.keras", "keras:cpu", 61.0, 9_412_000, 4),
    Made("float32.tflite", "litert:cpu:2", 3.9, 8_902_144, 4),
    Made("float16.tflite", "litert:cpu:2", 3.92, 4_493_312, 4),
    Made("dynamic.tflite", "litert:cpu:2", 3.4, 2_604_032, 6),
    Made("int8.tflite", "litert:cpu:2", 2.9, 2_746_368, 5),
    Made("int8.tflite", "litert:cpu:1", 4.6, 2_746_368, 5, ("noisy",)),
    Made("float32.onnx", "onnxruntime:cpu:2", 4.8, 8_869_120, 4),
    Made("int8.onnx", "onnxruntime:cpu:2", 3.1, 2_698_240, 24),
    Made("float32.onnx", "onnxruntime:cuda", 1.1, 8_869_120, 9),
)
SKIPPED = (
    Skipped("float32.tflite", "litert:gpu", "no GPU answers: install a driver with OpenCL or Vulkan"),
    Skipped("int16x8.tflite", "litert:cpu:2", "its process ended with exit code -9", failed=True),
)


def write_sample(
    path: Path, class_names: Sequence[str] = ("cat", "dog"), photos: int = 300, cells: Sequence[Made] = CELLS
) -> ResultsFolder:
    """Writes the results of a benchmark as ``bench`` does, without reports; no photos: latency alone."""
    rng = np.random.default_rng(7)
    labels = np.arange(photos) % max(len(class_names), 1)
    results = {cell: _result(cell, labels, len(class_names), rng) for cell in cells}
    folder = ResultsFolder(path)
    names = [(f"{cell.artifact}@{cell.target.replace(':', '-')}.npz", result) for cell, result in results.items()]
    keras = next((result for cell, result in results.items() if cell.artifact == "model.keras"), None)
    write(
        folder,
        BenchSettings(
            version="0.1.0",
            began="2026-11-23T10:15:00+01:00",
            run="20261123-101500-mobilenet_v2-photos",
            files=(),
            data="",
            artifacts={cell.artifact: _sha256(cell) for cell in cells},
            targets=tuple(dict.fromkeys(cell.target for cell in cells)),
            rigor="quick",
            rounds=ROUNDS,
            seconds=2.0,
            queries=100,
            batch_sizes=BATCHES,
            images=photos,
            class_names=tuple(class_names),
            photos="",
            skipped=SKIPPED,
        ),
        [item for cell in cells for item in _measurements(cell, results, labels)],
        [*names, *([(REFERENCE, keras)] if keras is not None else [])],
        [(Path(f"{index}.jpg"), int(label)) for index, label in enumerate(labels)],
    )
    return folder


def read_sample(folder: ResultsFolder, title: str) -> StoredResults:
    """Reads a benchmark for a report."""
    return read_stored(folder.path, title=title, complete=True)


def answers(cell: Made, labels: Classes, classes: int) -> Classes:
    """What a cell answers: the first photos wrong, each with the next class."""
    given = labels.copy()
    given[: cell.mistaken] = (given[: cell.mistaken] + 1) % classes
    return given


def _sha256(cell: Made) -> str:
    return hashlib.sha256(cell.artifact.encode(errors="surrogateescape")).hexdigest()


def _result(cell: Made, labels: Classes, classes: int, rng: np.random.Generator) -> CellResult:
    logits = np.zeros((0, 0), np.float32)
    if len(labels):
        logits = 4 * np.eye(classes, dtype=np.float32)[answers(cell, labels, classes)]
    tail = rng.gamma(1.4, 0.05, ROUNDS * QUERIES) + rng.normal(0, 0.008, ROUNDS * QUERIES)
    drift = np.repeat(1 + rng.normal(0, 0.012, ROUNDS), QUERIES)
    environment = Environment(
        host="bench-1",
        machine="x86_64",
        cpu="AMD Ryzen 7 5800X 8-Core Processor",
        cpu_features=("avx2", "fma"),
        cores=16,
        usable_cores=16,
        governor="performance",
        memory=33_500_000_000,
        os="Debian GNU/Linux 12 (bookworm), Linux 6.1.0",
        python="3.11.2",
        packages={"tledge": "0.1.0", "numpy": "2.2.6", "ai-edge-litert": "2.1.0", "onnxruntime": "1.23.2"},
    )
    memory = cell.size * 1.6 + 12e6
    return CellResult(
        logits=logits,
        latencies=cell.latency * (0.96 + tail) * drift,
        rounds=np.repeat(np.arange(ROUNDS), QUERIES),
        load_times=np.linspace(3.0, 3.6, ROUNDS),
        cold_starts=np.linspace(180.0, 200.0, ROUNDS) + 10 * cell.latency,
        peak_memories=np.full(ROUNDS, memory),
        energies=np.full(ROUNDS, np.nan),
        energy_source="",
        batch_sizes=np.array(BATCHES),
        throughputs=np.outer(np.ones(ROUNDS), [960 / cell.latency, 1180 / cell.latency]),
        conditions=tuple(
            Conditions(
                load=0.01 + 0.002 * number + (0.11 if "noisy" in cell.flags else 0.0),
                steal=0.0,
                mhz=4200.0 - 25 * number,
                governor="performance",
                temperature=51.0 + number,
                throttled=False,
                reference_time=2.31 + 0.01 * number,
            )
            for number in range(ROUNDS)
        ),
        provider={"litert": "XNNPACK", "keras": "tensorflow cpu:0"}.get(
            cell.target.split(":")[0],
            "CUDAExecutionProvider" if cell.target.endswith("cuda") else "CPUExecutionProvider",
        ),
        artifact_sha256=_sha256(cell),
        environment=environment.to_dict(),
        environment_id=environment.id,
    )


def _measurements(cell: Made, results: dict[Made, CellResult], labels: Classes) -> list[Measurement]:
    result = results[cell]

    def row(scenario: str, metric: str, value: float, n: int = 1, **more: Any) -> Measurement:
        return Measurement(
            artifact=cell.artifact,
            artifact_sha256=result.artifact_sha256,
            target=cell.target,
            scenario=scenario,
            metric=metric,
            value=value,
            n=n,
            interval=more.get("interval"),
            params={"provider": result.provider, **more.get("params", {})},
            environment=result.environment_id,
            flags=cell.flags if scenario in {"single-stream", "offline"} else (),
        )

    rows = [
        row("static", "file_size", cell.size),
        row("static", "load_time", float(np.median(result.load_times)), ROUNDS),
        row("static", "peak_memory", float(np.median(result.peak_memories)), ROUNDS),
        row("cold-start", "cold_start", float(np.median(result.cold_starts)), ROUNDS),
    ]
    for percent in (50, 90, 99):
        value, interval = percentile(result.latencies, percent)
        rows.append(row("single-stream", f"latency_p{percent}", value, len(result.latencies), interval=interval))
    for size, samples in zip(BATCHES, result.throughputs.T, strict=True):
        rows.append(row("offline", "throughput", float(np.median(samples)), ROUNDS, params={"batch": size}))
    if len(labels):
        wrong = cell.mistaken
        interval = wilson_interval(len(labels) - wrong, len(labels))
        rows.append(row("accuracy", "top1", 1 - wrong / len(labels), len(labels), interval=interval))
        keras = next((other for other in results if other.artifact == "model.keras"), None)
        if keras is not None:
            rows.append(row("accuracy", "agreement", 1 - abs(wrong - keras.mistaken) / len(labels), len(labels)))
    base = next((other for other in results if _is_baseline(other, cell)), None)
    if base is not None:
        params = {"against": base.artifact}
        ratio, interval = latency_ratio(result.by_round, results[base].by_round, paired=True)
        rows.append(row("comparison", "latency_ratio", ratio, ROUNDS, interval=interval, params=params))
        if len(labels):
            only_this, only_base = max(base.mistaken - cell.mistaken, 0), max(cell.mistaken - base.mistaken, 0)
            counts = {"only_this_right": only_this, "only_baseline_right": only_base}
            p_value = mcnemar(only_this, only_base)
            rows.append(row("comparison", "mcnemar", p_value, len(labels), params={**params, **counts}))
    return rows


def _is_baseline(other: Made, cell: Made) -> bool:
    return other.target == cell.target and other.artifact.startswith("float32") and cell.artifact != other.artifact
