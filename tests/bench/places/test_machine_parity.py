"""Logits of two machines, compared: exact numbers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tledge.bench.places.machine_parity import measure_parity
from tledge.bench.results.cell_result import CellResult
from tledge.bench.results.cells import Cell
from tledge.bench.results.workload import Model
from tledge.core.environment import read_environment
from tledge.core.statistics import wilson_interval
from tledge.edge_runtime.target import Target

pytestmark = pytest.mark.unit

HERE = np.array([[1, 2, 3], [3, 2, 1], [0, 5, 0], [0, 0, 0]], np.float32)


def measured(there: np.ndarray) -> dict[str, tuple[float, int]]:
    environment = replace(read_environment(), machine="aarch64")
    result = CellResult.untimed(there, provider="XNNPACK", artifact_sha256="ab", environment=environment)
    cell = Cell(Model(Path("m.tflite"), "m.tflite", None), Target("litert", "cpu", 1))
    rows = measure_parity(cell, result, HERE)
    assert {row.scenario for row in rows} == {"parity"}
    assert {row.environment for row in rows} == {environment.id}
    for row in rows:
        if row.unit == "fraction":
            assert row.interval == wilson_interval(round(row.value * row.n), row.n)
    return {row.metric: (row.value, row.n) for row in rows}


def test_equal_logits_are_in_parity() -> None:
    assert measured(HERE.copy()) == {"parity_class": (1.0, 4), "parity_bits": (1.0, 4), "parity_difference": (0.0, 4)}


def test_one_bit_of_one_logit_counts_for_the_bits_alone() -> None:
    there = HERE.copy()
    there[2, 0] = np.nextafter(np.float32(0), np.float32(1))
    there[3, 1] = -0.0  # equal, yet other bits
    found = measured(there)
    assert found["parity_class"] == (1.0, 4)
    assert found["parity_bits"] == (0.5, 4)
    assert found["parity_difference"][0] == pytest.approx(1.4e-45)


def test_another_class_and_the_largest_difference_count() -> None:
    there = HERE.copy()
    there[0] = [4, 2, 3]
    there[1, 2] = -1.5
    found = measured(there)
    assert found == {"parity_class": (0.75, 4), "parity_bits": (0.5, 4), "parity_difference": (3.0, 4)}
