"""Matches the cells of two benchmarks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from tledge.bench.earlier.environment_changes import find_changes
from tledge.bench.results.stored_results import StoredCell
from tledge.edge_runtime.target import Target


def match(old: Sequence[StoredCell], new: Sequence[StoredCell]) -> list[tuple[StoredCell, StoredCell]]:
    """Returns pairs of an old and a new cell, in the order of the new ones.

    Cells match by artifact and target. The remaining ones match by artifact, runtime and device if that is unambiguous:
    another machine has another number of threads.
    """
    exact = {(cell.artifact, cell.target): cell for cell in old}
    matched = {(cell.artifact, cell.target) for cell in new}
    remaining = _by_device(cell for cell in old if (cell.artifact, cell.target) not in matched)
    rivals = _by_device(cell for cell in new if (cell.artifact, cell.target) not in exact)
    pairs = []
    for cell in new:
        found = exact.get((cell.artifact, cell.target))
        key = _device(cell)
        if found is None and len(remaining[key]) == len(rivals[key]) == 1:
            (found,) = remaining[key]
        if found is not None:
            pairs.append((found, cell))
    return pairs


def _by_device(cells: Iterable[StoredCell]) -> defaultdict[tuple[str, str, str], list[StoredCell]]:
    found: defaultdict[tuple[str, str, str], list[StoredCell]] = defaultdict(list)
    for cell in cells:
        found[_device(cell)].append(cell)
    return found


def _device(cell: StoredCell) -> tuple[str, str, str]:
    target = Target.parse(cell.target)
    return cell.artifact, target.runtime, target.device


def is_unchanged(old: StoredCell, new: StoredCell) -> bool:
    """Returns whether file, software, provider and kind of machine are the same, so that only noise can differ."""
    changes = find_changes(old.environment, new.environment)
    return (
        old.sha256 == new.sha256
        and (old.target, old.provider) == (new.target, new.provider)
        and not changes.machine
        and not changes.software
    )
