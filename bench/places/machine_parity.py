"""Whether an artifact answers elsewhere as it does on this machine: bit for bit, or by how much not."""

from __future__ import annotations

import numpy as np

from tledge.bench.results.cell_result import CellResult
from tledge.bench.results.cells import Cell
from tledge.bench.results.metrics import measurement_of, rate_of
from tledge.core.measurement import Measurement
from tledge.edge_runtime.tensor import Logits


def measure_parity(cell: Cell, result: CellResult, here: Logits) -> list[Measurement]:
    """The rows that hold a cell's answers against those of this machine.

    Args:
        cell: what ran elsewhere.
        result: what it answered there.
        here: float32 (images, classes), the logits of the same file on the same photos on this machine.
    """
    there = result.logits
    same_bits = (there.view(np.uint32) == here.view(np.uint32)).all(axis=1)
    same_class = there.argmax(axis=1) == here.argmax(axis=1)
    rates = [
        rate_of(cell, result, metric=metric, scenario="parity", hits=hits, params={})
        for metric, hits in (("parity_class", same_class), ("parity_bits", same_bits))
    ]
    difference = float(np.abs(there - here).max())
    return [
        *rates,
        measurement_of(
            cell, result, metric="parity_difference", scenario="parity", value=difference, n=len(there), params={}
        ),
    ]
