"""Measures all cells in rounds, so that drift of the machine affects all cells alike.

Each round of a cell is a fresh process. Within a round every cell has its turn; the order reverses from round to round.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tledge.bench.measure.round_launcher import measure_in_own_process
from tledge.bench.measure.round_seconds import RoundSeconds
from tledge.bench.results.cell_result import CellResult, Round, Specification, Timing
from tledge.bench.results.cells import Cell
from tledge.bench.results.settings import NOT_REACHED, Skipped
from tledge.bench.results.workload import Workload
from tledge.core.errors import MeasurementError
from tledge.core.image_batches import batches
from tledge.core.interrupt_delay import InterruptDelay
from tledge.core.measurement import Measurement
from tledge.core.number_text import counted, time_text
from tledge.core.progress import Progress, Step
from tledge.core.temporary_files import temporary_folder

TIMED_IMAGES = 32
"""Different images that the timed queries cycle through."""

TimedRound = tuple[Round, float]
"""A round and its cold start: ms from the start of its process to the first inference result."""

Launch = Callable[[Specification, str], TimedRound]
"""Runs one round in a fresh process, here or elsewhere; see ``measure_in_own_process``."""


@dataclass(frozen=True)
class RoundsResult:
    """The results of all rounds.

    Attributes:
        results: of the cells that were measured, in order.
        skipped: the cells that failed or were not reached.
        interrupted: the user stopped the benchmark.
        not_repeated: noisy or throttled rounds whose repetition was not reached.
        measurements: rows beyond those that follow from the results.
    """

    results: dict[Cell, CellResult]
    skipped: tuple[Skipped, ...]
    interrupted: bool
    measurements: tuple[Measurement, ...] = ()
    not_repeated: int = 0


def unmeasured(
    cells: Sequence[Cell], results: Mapping[Cell, CellResult], failed: Mapping[Cell, str]
) -> tuple[Skipped, ...]:
    """Lists what has no result: cells that failed or were not reached, and batch sizes that failed, with the reason."""
    missing = [
        Skipped(cell.model.name, str(cell.target), failed.get(cell, NOT_REACHED), failed=cell in failed)
        for cell in cells
        if cell not in results
    ]
    for cell, result in results.items():
        for size in result.batch_sizes[np.isnan(result.throughputs).any(axis=0)].tolist():
            reason = result.batch_failures.get(str(size), "the model does not run them")
            missing.append(Skipped(cell.model.name, str(cell.target), f"batches of {size}: {reason}"))
    return tuple(missing)


class Rounds:
    """Measures cells.

    Args:
        workload, cells: what is benchmarked.
        count: rounds per cell.
        timing: how each round is timed.
        progress: shows the rounds.
        launch: runs a round; by default in a process on this machine.
    """

    def __init__(
        self,
        workload: Workload,
        cells: Sequence[Cell],
        *,
        count: int,
        timing: Timing,
        progress: Progress,
        launch: Launch = measure_in_own_process,
    ) -> None:
        self._workload = workload
        self._cells = tuple(cells)
        self._count = count
        self._timing = timing
        self._progress = progress
        self._launch = launch
        self._measured: dict[Cell, list[TimedRound]] = {cell: [] for cell in cells}
        self._failed: dict[Cell, str] = {}
        self._pixels: dict[tuple[object, ...], str] = {}
        self._seconds = RoundSeconds(timing)
        self._repeated: set[tuple[Cell, int]] = set()

    def run(self) -> RoundsResult:
        """Measures all rounds, then repeats once those that were noisy or throttled."""
        interrupted = False
        with temporary_folder() as folder:
            try:
                self._decode_timed_photos(folder)
                with self._progress.step("Benchmark", len(self._cells) * self._count, "rounds") as step:
                    order = [
                        (cell, number)
                        for number in range(self._count)
                        for cell in (self._cells if number % 2 == 0 else reversed(self._cells))
                    ]
                    for place, (cell, number) in enumerate(order):
                        self._begin(step, order[place:])
                        self._measure(cell, number, step)
                self._repeat_noisy_rounds()
            except KeyboardInterrupt:
                interrupted = True
        with InterruptDelay() as delay:
            result = self._join(interrupted)
            return replace(result, interrupted=True) if delay.take() else result

    def _join(self, interrupted: bool) -> RoundsResult:
        """Returns the results of the rounds that were measured."""
        self._mark_slowed_rounds()
        not_repeated = len(set(self._noisy_rounds()) - self._repeated) if interrupted else 0
        measured = {cell: rounds for cell, rounds in self._measured.items() if rounds and cell not in self._failed}
        sizes = self._timing.batch_sizes
        results = {
            cell: CellResult.join([item for item, _ in rounds], [start for _, start in rounds], sizes)
            for cell, rounds in measured.items()
        }
        skipped = unmeasured(self._cells, results, self._failed)
        return RoundsResult(results, skipped, interrupted, not_repeated=not_repeated)

    def _begin(self, step: Step, order: Sequence[tuple[Cell, int]], *, again: bool = False) -> None:
        """Reports the first of the rounds that are left, with the seconds that it and the others will take."""
        seconds = [
            0.0 if cell in self._failed else self._seconds.expected(cell, first=number == 0 and not again)
            for cell, number in order
        ]
        step.begin(order[0][0].name, seconds[0], sum(seconds[1:]))

    def _measure(self, cell: Cell, number: int, step: Step) -> None:
        if cell not in self._failed:
            began = time.monotonic()
            try:
                specification = self._specify(cell, classify=number == 0)
                measured, start = self._launch(specification, cell.name)
            except MeasurementError as error:
                self._failed[cell] = str(error)
            else:
                self._measured[cell].append((measured, start))
                if number:
                    self._seconds.add(cell, time.monotonic() - began, first=False)
                else:
                    self._seconds.add_first(cell, time.monotonic() - began, measured, start)
        step.advance(1, f"{cell.name} failed" if cell in self._failed else "")

    def _specify(self, cell: Cell, *, classify: bool) -> Specification:
        photos = tuple(str(path) for path in self._workload.photos)
        return Specification(
            artifact=str(cell.model.path),
            target=str(cell.target),
            bare=cell.model.artifact is None,
            pixels=self._pixels.get(cell.form, ""),
            images=photos if classify else (),
            input_size=cell.model.input_size,
            timing=self._timing,
        )

    def _repeat_noisy_rounds(self) -> None:
        """Repeats each round that was noisy or throttled, and keeps the quieter one of the two."""
        self._mark_slowed_rounds()
        noisy = self._noisy_rounds()
        if not noisy:
            return
        best = self._best_reference_time()
        seconds = sum(self._seconds.expected(cell) for cell, _ in noisy)
        self._progress.note(
            "Repeat",
            f"{counted(len(noisy), 'noisy or throttled rounds')} once, in about {time_text(seconds)}; press Ctrl-C to"
            " keep the results as they are",
        )
        with self._progress.step("Repeat noisy", len(noisy), "rounds") as step:
            for place, (cell, number) in enumerate(noisy):
                self._begin(step, noisy[place:], again=True)
                known, _ = self._measured[cell][number]
                began = time.monotonic()
                try:
                    measured, start = self._launch(self._specify(cell, classify=False), cell.name)
                    self._seconds.add(cell, time.monotonic() - began, first=False)
                    self._repeated.add((cell, number))
                except MeasurementError as error:  # the first attempt stays, with its flag
                    step.advance(1, f"{cell.name}: {error}")
                    continue
                if disturbance(measured, best) < disturbance(known, best):
                    self._measured[cell][number] = replace(measured, logits=known.logits), start
                step.advance()

    def _noisy_rounds(self) -> list[tuple[Cell, int]]:
        return [
            (cell, number)
            for cell, rounds in self._measured.items()
            if cell not in self._failed
            for number, (measured, _) in enumerate(rounds)
            if not measured.conditions.quiet
        ]

    def _decode_timed_photos(self, folder: Path) -> None:
        """Decodes the photos of the timed queries, once for all cells that take them in the same form."""
        photos = self._workload.photos[:TIMED_IMAGES]
        for cell in self._cells:
            artifact, form = cell.model.artifact, cell.form
            if artifact is None or not photos or form in self._pixels:
                continue
            path = folder / f"{len(self._pixels)}.npy"
            loaded = batches(photos, artifact.sidecar.input_size, artifact.sidecar.resize, len(photos))
            np.save(path, next(loaded))
            self._pixels[form] = str(path)

    def _best_reference_time(self) -> float:
        rounds = [measured for found in self._measured.values() for measured, _ in found]
        return min((measured.conditions.reference_time for measured in rounds), default=0.0)

    def _mark_slowed_rounds(self) -> None:
        """Marks the rounds in which the machine was clearly slower than in the best round."""
        best = self._best_reference_time()
        for found in self._measured.values():
            found[:] = [(replace(item, conditions=item.conditions.compared_with(best)), start) for item, start in found]


def disturbance(measured: Round, best: float) -> tuple[bool, bool, float]:
    """Returns a sort key: the smaller, the less a round was disturbed; ``best`` is the shortest reference time, ms."""
    conditions = measured.conditions.compared_with(best)
    return not conditions.quiet, bool(conditions.throttled), (conditions.load or 0.0) + (conditions.steal or 0.0)
