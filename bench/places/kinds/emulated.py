"""An emulated Raspberry Pi: what artifacts answer on its instruction set; never how fast."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tledge.bench.measure.rounds import RoundsResult, unmeasured
from tledge.bench.places.emulation import EmulatedAnswers, prepare_root, run_emulated
from tledge.bench.places.emulation.boards import Board, find_board
from tledge.bench.places.emulation.emulated_logits import TARGETS
from tledge.bench.places.machine_parity import measure_parity
from tledge.bench.places.place import Place, PlaceKind
from tledge.bench.results.cell_result import CellResult, Timing
from tledge.bench.results.cells import Cell
from tledge.bench.results.settings import Skipped
from tledge.bench.results.workload import Model, Workload
from tledge.core.artifact import Artifact
from tledge.core.errors import MeasurementError, OptionError, TledgeError
from tledge.core.image_batches import batches
from tledge.core.images import Pixels
from tledge.core.measurement import Measurement
from tledge.core.progress import Progress
from tledge.edge_runtime import Classifier
from tledge.edge_runtime.runtime import RUNTIMES
from tledge.edge_runtime.tensor import Logits

PORTION = 2000
"""Photos that are decoded and classified before the next ones, so that memory is bounded."""


class EmulatedBoard(Place):
    """A board whose programs run on this machine under QEMU's user mode."""

    times = False

    def __init__(self, board: Board) -> None:
        self.name = f"emulated:{board.name}"
        self._board = board

    def plan(
        self, models: Sequence[Model], wanted: Sequence[str], progress: Progress
    ) -> tuple[list[Cell], list[Skipped]]:
        if wanted:
            raise OptionError(
                f"--target '{wanted[0]}' does not go with --on {self.name}: each artifact runs on one thread of its"
                f" runtime there ({', '.join(map(str, TARGETS.values()))}); leave it out"
            )
        cells, skipped = [], []
        for model in models:
            if model.format not in TARGETS:  # the Keras model, which ships nowhere
                continue
            target = TARGETS[model.format]
            reason = RUNTIMES.load(target.runtime).missing()
            if model.artifact is None:
                reason = "it has no sidecar, so its answers cannot be judged; describe it with 'tledge adopt'"
            if reason:
                skipped.append(Skipped(model.name, str(target), reason))
            else:
                cells.append(Cell(model, target))
        if not cells:
            reason = skipped[0].reason if skipped else "there is no .tflite or .onnx file; export one"
            raise MeasurementError(f"nothing to run on {self.name}: {reason}")
        prepare_root(self._board, progress)
        return cells, skipped

    def measure(
        self, subject: Workload, cells: Sequence[Cell], *, count: int, timing: Timing, progress: Progress
    ) -> RoundsResult:
        if not subject.photos:
            raise OptionError(f"--on {self.name} judges answers, and there are no photos; add --data FOLDER")
        results: dict[Cell, CellResult] = {}
        failed: dict[Cell, str] = {}
        parity: list[Measurement] = []
        interrupted = False
        try:
            for cell in cells:
                try:
                    results[cell], here = self._run(cell, subject.photos, progress)
                    parity += measure_parity(cell, results[cell], here)
                except TledgeError as error:  # the others' answers are worth keeping
                    failed[cell] = str(error)
        except KeyboardInterrupt:
            interrupted = True
        return RoundsResult(results, unmeasured(cells, results, failed), interrupted, tuple(parity))

    def _run(self, cell: Cell, photos: Sequence[Path], progress: Progress) -> tuple[CellResult, Logits]:
        """A cell's answers on the board, and those of the same file on the same photos here."""
        artifact = cell.model.artifact
        if artifact is None:
            raise MeasurementError(f"{cell.name} has no sidecar")
        here: list[Logits] = []
        there: list[EmulatedAnswers] = []
        with Classifier(artifact.path, target=cell.target) as classifier:
            for pixels in _portions(artifact, photos):
                there.append(run_emulated(artifact.path, pixels, self._board, progress=progress))
                here += [classifier.logits(image[np.newaxis]) for image in pixels]  # one at a time, as there
        result = CellResult.untimed(
            np.concatenate([answers.logits for answers in there]),
            provider=there[0].provider,
            artifact_sha256=artifact.sha256,
            environment=there[0].environment,
        )
        return result, np.concatenate(here)


class EmulatedKind(PlaceKind):
    """``--on emulated:pi5``."""

    example = "emulated:pi5"

    def find(self, name: str, ssh_config: Path | None) -> Place:
        return EmulatedBoard(find_board(name))


def _portions(artifact: Artifact, photos: Sequence[Path]) -> Iterator[Pixels]:
    sidecar = artifact.sidecar
    return batches(photos, sidecar.input_size, sidecar.resize, PORTION)


PLACE = EmulatedKind()
