"""How long the rounds still take, predicted from those that were measured."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean

from tledge.bench.results.cell_result import Round, Timing
from tledge.bench.results.cells import Cell

START_UP = 2.0
"""Seconds that the process of a round is expected to take before it measures, until one was measured."""


class RoundSeconds:
    """Predicts the seconds of a cell's rounds: their mean, or else that of other cells on the same runtime.

    A cell's first round also classifies the photos, so it is predicted from other first rounds only.
    """

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._known: dict[bool, dict[Cell, list[float]]] = {True: defaultdict(list), False: defaultdict(list)}

    def add(self, cell: Cell, seconds: float, *, first: bool) -> None:
        """Records how long a round took."""
        self._known[first][cell].append(seconds)

    def add_first(self, cell: Cell, seconds: float, measured: Round, start: float) -> None:
        """Records a cell's first round, and what later ones will take: its cold start (ms) and its timed queries."""
        self.add(cell, seconds, first=True)
        batches = self._timing.batch_seconds * len(self._timing.batch_sizes)
        queries = 1 + self._timing.warm_up / max(len(measured.latencies), 1)
        later = start / 1e3 + queries * float(measured.latencies.sum()) / 1e3 + batches
        self.add(cell, min(later, seconds), first=False)

    def expected(self, cell: Cell, *, first: bool = False) -> float:
        """Returns the seconds that a round will probably take; the planned ones if nothing similar was measured."""
        known, runtime = self._known[first], cell.target.runtime
        alike = [taken for other, times in known.items() if other.target.runtime == runtime for taken in times]
        found = known.get(cell, alike)
        return fmean(found) if found else self._timing.least_seconds + START_UP
