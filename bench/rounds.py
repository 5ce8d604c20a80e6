"""Measuring all cells in rounds, so that whatever drifts hits all alike.

Each round of each cell is a fresh process; within a round all cells take their turn. The order turns about from
round to round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tledge.bench.cell import CellResult, Round, Specification, Timing
from tledge.bench.launching import measure_in_own_process
from tledge.bench.plan import Cell
from tledge.bench.record import Skipped
from tledge.bench.subject import Subject
from tledge.core.errors import MeasurementError
from tledge.core.progress import Progress, Step

TIMED_IMAGES = 32
"""Different images that the timed queries go through in turn."""


@dataclass
class _Measured:
    """A cell's rounds so far, and the ms from each process's start to its first answer."""

    rounds: list[Round] = field(default_factory=list)
    cold_starts: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Outcome:
    """What became of the cells.

    Attributes:
        results: of the cells that were measured, in order.
        skipped: the cells that failed, or that were not reached.
        interrupted: a person stopped it.
    """

    results: dict[Cell, CellResult]
    skipped: tuple[Skipped, ...]
    interrupted: bool


class Rounds:
    """Measures cells.

    Args:
        subject: what is benchmarked.
        cells: which artifact on which target.
        count: rounds a cell.
        timing: how each round is timed.
        progress: is told what happens.
    """

    def __init__(self, subject: Subject, cells: Sequence[Cell], count: int, timing: Timing, progress: Progress) -> None:
        self._subject = subject
        self._cells = tuple(cells)
        self._count = count
        self._timing = timing
        self._progress = progress
        self._measured = {cell: _Measured() for cell in cells}
        self._failed: dict[Cell, str] = {}

    def run(self) -> Outcome:
        """Measures all rounds; those of a machine that was not quiet once more."""
        interrupted = False
        try:
            with self._progress.step("Benchmark", len(self._cells) * self._count, "rounds") as step:
                for number in range(self._count):
                    for cell in self._cells if number % 2 == 0 else reversed(self._cells):
                        self._measure(cell, number, step)
            self._repeat_unquiet()
        except KeyboardInterrupt:
            interrupted = True
        measured = {cell: found for cell, found in self._measured.items() if found.rounds and cell not in self._failed}
        sizes = self._timing.batch_sizes
        results = {cell: CellResult.join(found.rounds, found.cold_starts, sizes) for cell, found in measured.items()}
        skipped = [
            Skipped(
                cell.model.name,
                str(cell.target),
                self._failed.get(cell, "interrupted before its turn"),
                failed=cell in self._failed,
            )
            for cell in self._cells
            if cell not in measured
        ]
        return Outcome(results, tuple(skipped), interrupted)

    def _measure(self, cell: Cell, number: int, step: Step) -> None:
        if cell not in self._failed:
            try:
                measured, cold_start = measure_in_own_process(self._specify(cell, classify=number == 0), cell.name)
                self._measured[cell].rounds.append(measured)
                self._measured[cell].cold_starts.append(cold_start)
            except MeasurementError as error:
                self._failed[cell] = str(error)
        step.advance(1, f"{cell.name} failed" if cell in self._failed else cell.name)

    def _specify(self, cell: Cell, *, classify: bool) -> Specification:
        bare = cell.model.artifact is None
        photos = tuple(str(path) for path in self._subject.photos)
        return Specification(
            artifact=str(cell.model.path),
            target=str(cell.target),
            bare=bare,
            timed_images=() if bare else photos[:TIMED_IMAGES],
            images=photos if classify else (),
            timing=self._timing,
        )

    def _repeat_unquiet(self) -> None:
        """Measures once more what was timed on a noisy or throttled machine, and keeps the quieter of the two."""
        self._hold_against_the_best()
        again = [
            (cell, number)
            for cell in self._cells
            if cell not in self._failed
            for number, measured in enumerate(self._measured[cell].rounds)
            if not measured.conditions.quiet
        ]
        if not again:
            return
        with self._progress.step("Repeat noisy", len(again), "rounds") as step:
            for cell, number in again:
                try:
                    measured, cold_start = measure_in_own_process(self._specify(cell, classify=False), cell.name)
                except MeasurementError as error:
                    self._failed[cell] = str(error)
                    continue
                known = self._measured[cell]
                if _disturbance(measured) < _disturbance(known.rounds[number]):
                    known.rounds[number] = replace(measured, logits=known.rounds[number].logits)
                    known.cold_starts[number] = cold_start
                step.advance(1, cell.name)
        self._hold_against_the_best()

    def _hold_against_the_best(self) -> None:
        """Judges each round by the yardstick of the best one."""
        rounds = [measured for found in self._measured.values() for measured in found.rounds]
        best = min((measured.conditions.yardstick for measured in rounds), default=0.0)
        for found in self._measured.values():
            found.rounds[:] = [replace(item, conditions=item.conditions.held_against(best)) for item in found.rounds]


def _disturbance(measured: Round) -> tuple[bool, float, float]:
    """What is smaller was disturbed less."""
    conditions = measured.conditions
    return bool(conditions.throttled), (conditions.load or 0.0) + (conditions.steal or 0.0), conditions.yardstick
