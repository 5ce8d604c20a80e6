"""Whether an artifact gives the same logits elsewhere as on this machine: bit for bit, or with what difference."""

from __future__ import annotations

import numpy as np

from tledge.bench.results.cell_result import CellResult
from tledge.bench.results.cells import Cell
from tledge.bench.results.metrics import MeasuredCell
from tledge.core.measurement import Measurement
from tledge.edge_runtime.tensor import Logits


def measure_parity(cell: Cell, result: CellResult, logits_here: Logits) -> list[Measurement]:
    """Returns rows that compare a cell's logits with those of this machine.

    Args:
        cell, result: what ran elsewhere.
        logits_here: float32 (images, classes), of the same file on the same photos on this machine.

    Returns:
        The fraction of images with the same class, the fraction with the same bits in every logit, and the largest
        absolute difference of a logit.
    """
    logits_there = result.logits
    same_bits = (logits_there.view(np.uint32) == logits_here.view(np.uint32)).all(axis=1)
    same_class = logits_there.argmax(axis=1) == logits_here.argmax(axis=1)
    measured = MeasuredCell(cell, result)
    return [
        measured.rate("parity_class", same_class),
        measured.rate("parity_bits", same_bits),
        measured.number("parity_difference", float(np.abs(logits_there - logits_here).max()), n=len(logits_there)),
    ]
