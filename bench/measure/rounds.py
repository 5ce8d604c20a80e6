"""Measuring all cells in rounds, so that whatever drifts hits all alike.

Each round of each cell is a fresh process; within a round all cells take their turn. The order turns about from
round to round.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tledge.bench.measure.round_launcher import measure_in_own_process
from tledge.bench.results.cell_result import CellResult, Round, Specification, Timing
from tledge.bench.results.cells import Cell
from tledge.bench.results.settings import Skipped
from tledge.bench.results.workload import Workload
from tledge.core.errors import MeasurementError
from tledge.core.image_batches import batches
from tledge.core.measurement import Measurement
from tledge.core.progress import Progress, Step

TIMED_IMAGES = 32
"""Different images that the timed queries go through in turn."""


Timed = tuple[Round, float]
"""A round, and the ms from its process's start to its first answer."""

Launch = Callable[[Specification, str], Timed]
"""Runs one round in a fresh process, somewhere; see ``measure_in_own_process``."""


@dataclass(frozen=True)
class RoundsResult:
    """What became of the cells.

    Attributes:
        results: of the cells that were measured, in order.
        skipped: the cells that failed, or that were not reached.
        interrupted: a person stopped it.
        measurements: rows that were measured beside those that follow from the results.
    """

    results: dict[Cell, CellResult]
    skipped: tuple[Skipped, ...]
    interrupted: bool
    measurements: tuple[Measurement, ...] = ()


def unmeasured(
    cells: Sequence[Cell], results: Mapping[Cell, CellResult], failed: Mapping[Cell, str]
) -> tuple[Skipped, ...]:
    """The cells without a result: those that failed, by their errors, and those that were not reached."""
    return tuple(
        Skipped(
            cell.model.name, str(cell.target), failed.get(cell, "interrupted before its turn"), failed=cell in failed
        )
        for cell in cells
        if cell not in results
    )


class Rounds:
    """Measures cells.

    Args:
        subject: what is benchmarked.
        cells: which artifact on which target.
        count: rounds a cell.
        timing: how each round is timed.
        progress: is told what happens.
        launch: runs a round; in a process of this machine without it.
    """

    def __init__(
        self,
        subject: Workload,
        cells: Sequence[Cell],
        count: int,
        timing: Timing,
        progress: Progress,
        *,
        launch: Launch = measure_in_own_process,
    ) -> None:
        self._subject = subject
        self._cells = tuple(cells)
        self._count = count
        self._timing = timing
        self._progress = progress
        self._launch = launch
        self._measured: dict[Cell, list[Timed]] = {cell: [] for cell in cells}
        self._failed: dict[Cell, str] = {}
        self._pixels: dict[tuple[object, ...], str] = {}

    def run(self) -> RoundsResult:
        """Measures all rounds; those of a machine that was not quiet once more."""
        interrupted = False
        with tempfile.TemporaryDirectory() as folder:
            try:
                self._decode_timed_photos(Path(folder))
                with self._progress.step("Benchmark", len(self._cells) * self._count, "rounds") as step:
                    for number in range(self._count):
                        for cell in self._cells if number % 2 == 0 else reversed(self._cells):
                            self._measure(cell, number, step)
                self._repeat_unquiet()
            except KeyboardInterrupt:
                interrupted = True
        self._hold_against_the_best()
        measured = {cell: found for cell, found in self._measured.items() if found and cell not in self._failed}
        sizes = self._timing.batch_sizes
        results = {
            cell: CellResult.join([item for item, _ in found], [start for _, start in found], sizes)
            for cell, found in measured.items()
        }
        return RoundsResult(results, unmeasured(self._cells, results, self._failed), interrupted)

    def _measure(self, cell: Cell, number: int, step: Step) -> None:
        if cell not in self._failed:
            try:
                specification = self._specify(cell, classify=number == 0)
                self._measured[cell].append(self._launch(specification, cell.name))
            except MeasurementError as error:
                self._failed[cell] = str(error)
        step.advance(1, f"{cell.name} failed" if cell in self._failed else cell.name)

    def _specify(self, cell: Cell, *, classify: bool) -> Specification:
        photos = tuple(str(path) for path in self._subject.photos)
        return Specification(
            artifact=str(cell.model.path),
            target=str(cell.target),
            bare=cell.model.artifact is None,
            pixels=self._pixels.get(cell.form, ""),
            images=photos if classify else (),
            timing=self._timing,
        )

    def _repeat_unquiet(self) -> None:
        """Measures once more what was timed on a noisy or throttled machine, and keeps the quieter of the two."""
        self._hold_against_the_best()
        again = [
            (cell, number)
            for cell, found in self._measured.items()
            if cell not in self._failed
            for number, (measured, _) in enumerate(found)
            if not measured.conditions.quiet
        ]
        if not again:
            return
        best = self._best_yardstick()
        with self._progress.step("Repeat noisy", len(again), "rounds") as step:
            for cell, number in again:
                known, _ = self._measured[cell][number]
                try:
                    measured, start = self._launch(self._specify(cell, classify=False), cell.name)
                except MeasurementError as error:  # the round that is there stays, with its flag
                    step.advance(1, f"{cell.name}: {error}")
                    continue
                if _disturbance(measured, best) < _disturbance(known, best):
                    self._measured[cell][number] = replace(measured, logits=known.logits), start
                step.advance(1, cell.name)

    def _decode_timed_photos(self, folder: Path) -> None:
        """Decodes the photos of the timed queries once, for all that take them in the same form."""
        photos = self._subject.photos[:TIMED_IMAGES]
        for cell in self._cells:
            artifact, form = cell.model.artifact, cell.form
            if artifact is None or not photos or form in self._pixels:
                continue
            path = folder / f"{len(self._pixels)}.npy"
            loaded = batches(photos, artifact.sidecar.input_size, artifact.sidecar.resize, len(photos))
            np.save(path, next(loaded))
            self._pixels[form] = str(path)

    def _best_yardstick(self) -> float:
        rounds = [measured for found in self._measured.values() for measured, _ in found]
        return min((measured.conditions.yardstick for measured in rounds), default=0.0)

    def _hold_against_the_best(self) -> None:
        """Judges each round by the yardstick of the best one."""
        best = self._best_yardstick()
        for found in self._measured.values():
            found[:] = [(replace(item, conditions=item.conditions.held_against(best)), start) for item, start in found]


def _disturbance(measured: Round, best: float) -> tuple[bool, bool, float]:
    """What is smaller was disturbed less.

    Args:
        measured: a round.
        best: the yardstick of the benchmark's best round.
    """
    conditions = measured.conditions.held_against(best)
    return not conditions.quiet, bool(conditions.throttled), (conditions.load or 0.0) + (conditions.steal or 0.0)
