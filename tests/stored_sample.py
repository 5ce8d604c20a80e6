"""Stored benchmarks made of chosen numbers: no files, no chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from tledge.bench.results.cell_result import CellResult
from tledge.bench.results.round_conditions import Conditions
from tledge.bench.results.settings import BenchSettings
from tledge.bench.results.stored_results import StoredCell, StoredResults
from tledge.core.environment import Environment
from tledge.core.measurement import Measurement

SHA = "a" * 64
PI = Environment(
    host="pi",
    machine="aarch64",
    cpu="Cortex-A76",
    cpu_features=("asimd", "asimddp"),
    cores=4,
    usable_cores=4,
    governor="ondemand",
    memory=8 << 30,
    os="Debian 12",
    python="3.11.2",
    packages={"tledge": "0.1.0", "numpy": "2.0.0"},
)
QUIET = Conditions(load=0.0, steal=0.0, mhz=None, governor="", temperature=None, throttled=None, reference_time=1.0)
SETTINGS = BenchSettings(
    version="0.1.0",
    began="2026-11-24T10:00:00+00:00",
    run="demo",
    files=(),
    data="",
    artifacts={},
    targets=(),
    rigor="quick",
    rounds=2,
    seconds=2.0,
    queries=100,
    batch_sizes=(1, 8),
    images=4,
    class_names=("cat", "dog"),
    photos="test",
    skipped=(),
)


def measurement(metric: str, value: float, **options: Any) -> Measurement:
    options = {"artifact": "int8.tflite", "artifact_sha256": SHA, "target": "litert:cpu:2", "n": 10, **options}
    return Measurement(scenario="static", metric=metric, value=value, **options)


def stored_cell(
    measurements: Mapping[str, float] | Sequence[Measurement],
    samples: CellResult | None = None,
    *,
    artifact: str = "int8.tflite",
    target: str = "litert:cpu:2",
    sha256: str = SHA,
    environment: Environment | None = PI,
) -> StoredCell:
    """A cell with these metrics, and these raw samples."""
    name = {"artifact": artifact, "target": target}
    if isinstance(measurements, Mapping):
        measurements = [measurement(metric, value) for metric, value in measurements.items()]
    measurements = tuple(replace(item, **name, artifact_sha256=sha256) for item in measurements)
    return StoredCell(**name, measurements=measurements, environment=environment, raw=samples)


def raw_samples(
    medians: Sequence[float],
    *,
    reference_times: Sequence[float] | None = None,
    throughputs: Sequence[Sequence[float]] | None = None,
    cold_starts: Sequence[float] | None = None,
    load_times: Sequence[float] | None = None,
    logits: Any = (),
    sha256: str = SHA,
) -> CellResult:
    """Rounds of three queries each, the middle one of which takes the median, in ms."""
    rounds = len(medians)
    times = reference_times or [1.0] * rounds
    return CellResult(
        logits=np.array(logits, np.float32).reshape(-1, 2),
        latencies=np.array([value * factor for value in medians for factor in (0.9, 1.0, 1.2)]),
        rounds=np.repeat(np.arange(rounds), 3),
        load_times=np.array(load_times or [1.0] * rounds),
        cold_starts=np.array(cold_starts or [100.0] * rounds),
        peak_memories=np.full(rounds, 1e6),
        energies=np.full(rounds, np.nan),
        energy_source="",
        batch_sizes=np.array([1, 8]),
        throughputs=np.array(throughputs or [[100.0, 200.0]] * rounds),
        conditions=tuple(replace(QUIET, reference_time=time) for time in times),
        provider="XNNPACK",
        artifact_sha256=sha256,
        environment=PI.to_dict(),
        environment_id=PI.id,
    )


def stored_results(
    *cells: StoredCell,
    name: str = "new",
    settings: BenchSettings | None = SETTINGS,
    labels: Sequence[int] = (),
) -> StoredResults:
    """A benchmark of these cells."""
    measurements = tuple(item for cell in cells for item in cell.measurements)
    known = {"measurements": measurements} if "measurements" in {field.name for field in fields(StoredResults)} else {}
    return StoredResults(path=Path(f"{name}.jsonl"), cells=cells, settings=settings, labels=tuple(labels), **known)


def timed_cell(medians: Sequence[float], **options: Any) -> StoredCell:
    """A cell whose rounds have these medians; the latency in its results is that of the first."""
    cell = {name: options.pop(name) for name in ("artifact", "target", "environment") if name in options}
    sha256 = options.get("sha256", SHA)
    batch = options.pop("batch", 8)
    values = [
        measurement("latency_p50", medians[0]),
        measurement("throughput", 200.0, params={"batch": batch}),
        measurement("throughput", 100.0, params={"batch": 1}),
        measurement("cold_start", 100.0),
        measurement("load_time", 1.0),
    ]
    return stored_cell(values, raw_samples(medians, **options), sha256=sha256, **cell)
