"""The model files of an earlier benchmark against those of now.

What two benchmarks differ by themselves drops out of a ratio that was measured in turns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tledge.bench.cell import CellResult, Specification, Timing
from tledge.bench.duel import Duel, fight
from tledge.bench.environment_changes import find_changes
from tledge.bench.plan import Cell
from tledge.bench.results_folder import ResultsFolder
from tledge.bench.stored_results import CellName, StoredCell, StoredResults
from tledge.bench.subject import Model, read_model
from tledge.core.environment import Environment
from tledge.core.errors import MeasurementError
from tledge.core.fingerprint import sha256_of_file
from tledge.core.progress import Progress


@dataclass(frozen=True)
class Duels:
    """What became of them.

    Attributes:
        fought: by artifact and target.
        interrupted: a person stopped it; those until then are there.
    """

    fought: Mapping[CellName, Duel]
    interrupted: bool = False


def fight_earlier(
    old: StoredResults, results: Mapping[Cell, CellResult], *, timing: Timing, rounds: int, progress: Progress
) -> Duels:
    """Measures each model file of an earlier benchmark that is still there in turns with that of now.

    These are cells of the same name and target whose model file is another one now, is still there as it was, and was
    measured on this kind of machine with this software: where those differ, too, they are part of the answer.

    Args:
        old: the earlier benchmark.
        results: the cells of now.
        timing: how a round is timed.
        rounds: pairs of fresh processes.
        progress: is told of it.
    """
    fought: dict[CellName, Duel] = {}
    for cell, result in results.items():
        name = cell.model.name, str(cell.target)
        before = old.of(*name)
        model = None if before is None else _find_model(old, before, cell, result)
        if before is None or model is None:
            continue
        sides = (_specify(one, cell, timing) for one in (model, cell.model))
        hashes = before.sha256, result.artifact_sha256
        try:
            fought[name] = fight(*sides, hashes=hashes, rounds=rounds, name=cell.name, progress=progress)
        except MeasurementError as error:
            progress.warn(f"{cell.name} was not measured in turns with that of before: {error}")
        except KeyboardInterrupt:
            return Duels(fought, interrupted=True)
    return Duels(fought)


def _find_model(old: StoredResults, before: StoredCell, cell: Cell, result: CellResult) -> Model | None:
    """The file of before; None where it is the very same, nowhere to be found, or not all that differs."""
    changes = find_changes(before.environment, Environment.from_dict(result.environment))
    if cell.model.format == "keras" or before.sha256 == result.artifact_sha256 or changes.machine or changes.software:
        return None
    path: Path = ResultsFolder(old.path.parent).measured_file(before.artifact)
    if not path.is_file() or sha256_of_file(path) != before.sha256:
        return None
    return read_model(path, cell.model.name)


def _specify(model: Model, cell: Cell, timing: Timing) -> Specification:
    """Both sides answer the same random pixels: what a query takes does not depend on them."""
    return Specification(
        artifact=str(model.path),
        target=str(cell.target),
        bare=model.artifact is None,
        pixels="",
        images=(),
        timing=timing,
    )
