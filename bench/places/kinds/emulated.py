"""An emulated Raspberry Pi: accuracy of artifacts on its instruction set, never their latency."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tledge.bench.measure.rounds import RoundsResult, unmeasured
from tledge.bench.places.emulation import EmulatedRun, prepare_root, run_emulated
from tledge.bench.places.emulation.boards import Board, find_board
from tledge.bench.places.emulation.emulated_logits import TARGETS
from tledge.bench.places.machine_parity import measure_parity
from tledge.bench.places.place import Place, PlaceKind
from tledge.bench.results.cell_result import CellResult, Timing
from tledge.bench.results.cells import Cell
from tledge.bench.results.settings import Skipped
from tledge.bench.results.workload import Model, Workload
from tledge.core.errors import MeasurementError, OptionError, TledgeError
from tledge.core.image_batches import batches
from tledge.core.measurement import Measurement
from tledge.core.progress import Progress
from tledge.edge_runtime import Classifier
from tledge.edge_runtime.runtime import RUNTIMES
from tledge.edge_runtime.tensor import Logits

PORTION = 2000
"""Photos that are decoded and classified at a time, to bound memory."""


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
                f"`targets` cannot be combined with `on='{self.name}'`: each artifact runs on one thread of its runtime"
                f" there ({', '.join(map(str, TARGETS.values()))}); received '{wanted[0]}', leave it out"
            )
        cells, skipped = [], []
        for model in models:
            if model.format not in TARGETS:  # the Keras model, which is not deployed
                continue
            target = TARGETS[model.format]
            reason = RUNTIMES.load(target.runtime).missing()
            if model.artifact is None:
                reason = "it has no sidecar, so its accuracy cannot be measured; describe it with 'tledge adopt'"
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
        self, workload: Workload, cells: Sequence[Cell], *, count: int, timing: Timing, progress: Progress
    ) -> RoundsResult:
        if not workload.photos:
            raise OptionError(f"`on='{self.name}'` measures accuracy and needs photos: pass `data='FOLDER'`")
        results: dict[Cell, CellResult] = {}
        failed: dict[Cell, str] = {}
        parity: list[Measurement] = []
        interrupted = False
        try:
            for cell in cells:
                try:
                    results[cell], logits_here = self._run(cell, workload.photos, progress)
                    parity += measure_parity(cell, results[cell], logits_here)
                except TledgeError as error:  # the results of the other cells are kept
                    failed[cell] = str(error)
        except KeyboardInterrupt:
            interrupted = True
        return RoundsResult(results, unmeasured(cells, results, failed), interrupted, tuple(parity))

    def _run(self, cell: Cell, photos: Sequence[Path], progress: Progress) -> tuple[CellResult, Logits]:
        """Returns a cell's result on the board, and the logits of the same file and photos on this machine."""
        artifact = cell.model.artifact
        if artifact is None:
            raise MeasurementError(f"{cell.name} has no sidecar")
        logits_here: list[Logits] = []
        runs: list[EmulatedRun] = []
        with Classifier(artifact.path, target=cell.target) as classifier:
            for pixels in batches(photos, artifact.sidecar.input_size, artifact.sidecar.resize, PORTION):
                runs.append(run_emulated(artifact.path, pixels, self._board, progress=progress))
                logits_here += [classifier.logits(image[np.newaxis]) for image in pixels]  # one by one, as on the board
        logits, first = np.concatenate([run.logits for run in runs]), runs[0]
        result = CellResult.untimed(
            logits, provider=first.provider, artifact_sha256=artifact.sha256, environment=first.environment
        )
        return result, np.concatenate(logits_here)


PLACE = PlaceKind("emulated:pi5", lambda name, _: EmulatedBoard(find_board(name)))
