"""Which cell of a benchmark is which of an earlier one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from tledge.bench.compare.environment_changes import find_changes
from tledge.bench.results.stored_results import StoredCell
from tledge.edge_runtime.target import Target


def match(old: Sequence[StoredCell], new: Sequence[StoredCell]) -> list[tuple[StoredCell, StoredCell]]:
    """Pairs of old and new, in the order of the new ones.

    By artifact and target; what then is left, by artifact, runtime and device, where that is unambiguous.
    """
    exact = {(cell.artifact, cell.target): cell for cell in old}
    taken = {(cell.artifact, cell.target) for cell in new}
    rest = [cell for cell in old if (cell.artifact, cell.target) not in taken]
    loose, rivals = _by_device(rest), _by_device(cell for cell in new if (cell.artifact, cell.target) not in exact)
    pairs = []
    for cell in new:
        found = exact.get((cell.artifact, cell.target))
        key = _device(cell)
        if found is None and len(loose[key]) == len(rivals[key]) == 1:
            (found,) = loose[key]
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
    """Whether file, software, provider and kind of machine are the same: nothing but the machine's moods differs."""
    changes = find_changes(old.environment, new.environment)
    return (
        old.sha256 == new.sha256
        and (old.target, old.provider) == (new.target, new.provider)
        and not changes.machine
        and not changes.software
    )
