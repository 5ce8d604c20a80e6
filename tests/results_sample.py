"""Measurements, cells and raw samples of chosen numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from tledge.bench.results.cell_result import CellResult
from tledge.bench.results.cells import Cell
from tledge.bench.results.round_conditions import Conditions
from tledge.bench.results.workload import Model
from tledge.core.measurement import Measurement
from tledge.edge_runtime.target import Target

QUIET = Conditions(load=0.0, steal=0.0, mhz=None, governor="", temperature=None, throttled=None, reference_time=2.0)


def measurement(metric: str, value: float, **fields: Any) -> Measurement:
    """A measurement of int8.tflite on litert:cpu:2."""
    known = {"artifact": "int8.tflite", "artifact_sha256": "0" * 64, "target": "litert:cpu:2", "scenario": "static"}
    return Measurement(metric=metric, value=value, **{**known, "n": 100, **fields})


def attacked(value: float, *, eps: float, attack: str = "worst", norm: str = "linf", **fields: Any) -> Measurement:
    """Accuracy under attack."""
    params = {"attack": attack, "eps": eps, "norm": norm}
    return measurement("robust_accuracy", value, scenario="robustness", params=params, **fields)


def cell(
    name: str, *, target: str = "litert:cpu:2", recipe: str | None = "int8", source: str = "s", cpu: str = "any"
) -> Cell:
    """A cell whose file does not exist; one without a recipe has no sidecar."""
    sidecar = SimpleNamespace(recipe=recipe, source_sha256=source, cpu=cpu, input_size=(2, 2), resize="crop")
    artifact: Any = None if recipe is None else SimpleNamespace(sidecar=sidecar)
    return Cell(Model(Path(name), name, artifact), Target.parse(target))


def cell_result(rounds: list[list[float]], **fields: Any) -> CellResult:
    """Raw samples with these latencies, ms, in each round."""
    count = len(rounds)
    result = CellResult(
        logits=np.zeros((0, 0), np.float32),
        latencies=np.array([item for found in rounds for item in found]),
        rounds=np.repeat(np.arange(count), [len(found) for found in rounds]),
        load_times=np.ones(count),
        cold_starts=np.ones(count),
        peak_memories=np.ones(count),
        energies=np.full(count, np.nan),
        energy_source="",
        batch_sizes=np.empty(0, np.int64),
        throughputs=np.empty((count, 0)),
        conditions=(QUIET,) * count,
        provider="XNNPACK",
        artifact_sha256="0" * 64,
        environment={"machine": "x86_64", "cpu_features": ["avx2"]},
        environment_id="id",
    )
    return replace(result, **fields)
