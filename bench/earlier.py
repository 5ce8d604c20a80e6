"""The model files of an earlier benchmark, to be measured again beside those of now.

What two benchmarks differ by themselves drops out of a ratio that was measured in the same rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tledge.bench.environment_changes import find_changes
from tledge.bench.plan import Cell
from tledge.bench.results_folder import ResultsFolder
from tledge.bench.stored_results import StoredCell, StoredResults
from tledge.bench.subject import read_model
from tledge.core.environment import read_environment
from tledge.core.fingerprint import sha256_of_file
from tledge.edge_runtime.runtime import RUNTIMES


def find_earlier(old: StoredResults, cells: Sequence[Cell]) -> list[Cell]:
    """The cells of an earlier benchmark that can be measured again beside those of now.

    These are cells of the same name and target whose model file is another one now, is still there as it was, and was
    measured on this kind of machine with this software: where those differ, too, they are part of the answer.

    Args:
        old: the earlier benchmark.
        cells: what is to be measured now.
    """
    found = []
    for cell in cells:
        before = old.of(cell.model.name, str(cell.target))
        if before is None or cell.model.format == "keras" or _differs_in_more(before, cell):
            continue
        path = _find_file(old, before)
        if path is not None and sha256_of_file(cell.model.path) != before.sha256:
            found.append(replace(cell, model=read_model(path, cell.model.name), earlier=True))
    return found


def _differs_in_more(before: StoredCell, cell: Cell) -> bool:
    """Whether the machine or the software was another one."""
    changes = find_changes(before.environment, read_environment(RUNTIMES.load(cell.target.runtime).distributions))
    return bool(changes.machine or changes.software)


def _find_file(old: StoredResults, before: StoredCell) -> Path | None:
    """The file as it was measured; None where it is nowhere to be found."""
    path = ResultsFolder(old.path.parent).measured_file(before.artifact)
    return path if path.is_file() and sha256_of_file(path) == before.sha256 else None
