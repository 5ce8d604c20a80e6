"""The names of the machines of a leaderboard: no two have the same."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence

from tledge.bench.leaderboard.comparable_groups import GIB, machine_key
from tledge.bench.results.stored_results import StoredCell, StoredResults
from tledge.core.environment import Environment
from tledge.core.number_text import counted, cpu_name, listed

MOST_FEATURES = 3
"""The most features of a CPU that a name lists."""

_Measured = tuple[StoredResults, StoredCell]


def machine_titles(cells: Iterable[_Measured]) -> dict[Hashable, str]:
    """Returns the names of machines by their keys, see ``machine_key``.

    "AMD Ryzen 7 5800X, 16 cores (bench-1)" is followed by what sets machines apart that would have the same name, such
    as "governor powersave".

    Args:
        cells: of all machines, each with its benchmark.
    """
    machines: dict[Hashable, _Measured] = {}
    for benchmark, cell in cells:
        machines.setdefault(machine_key(benchmark, cell), (benchmark, cell))
    alike: dict[str, list[Hashable]] = {}
    for key, (_, cell) in machines.items():
        alike.setdefault(_short_title(cell.environment), []).append(key)
    found: dict[Hashable, str] = {}
    for title, keys in alike.items():
        details = _differences([machines[key] for key in keys])
        for key, words in zip(keys, details, strict=True):
            found[key] = ", ".join([title, *words])
    return found


def _short_title(machine: Environment | None) -> str:
    if machine is None:
        return "A machine that is not recorded"
    used = f"{machine.usable_cores} of " if machine.usable_cores != machine.cores else ""
    host = f" ({machine.host})" if machine.host else ""
    return f"{cpu_name(machine.cpu)}, {used}{counted(machine.cores, 'cores')}{host}"


def _differences(machines: Sequence[_Measured]) -> list[list[str]]:
    """Returns what sets each of some machines with the same short name apart; nothing for a single one."""
    columns = [[detail(*machine) for machine in machines] for detail in _DETAILS]
    columns.append(_features(machines))
    different = [column for column in columns if len(set(column)) > 1]
    found = [list(words) for words in zip(*different, strict=True)] or [[] for _ in machines]
    if len({tuple(words) for words in found}) < len(found):  # more features differ than a name lists
        return [[*words, f"no. {number}"] for number, words in enumerate(found, 1)]
    return found


def _of_record(words: Callable[[Environment], str]) -> Callable[[StoredResults, StoredCell], str]:
    return lambda benchmark, cell: "" if cell.environment is None else words(cell.environment)


def _place(benchmark: StoredResults, cell: StoredCell) -> str:
    if cell.environment is None:
        return str(benchmark.path)
    place = "" if benchmark.settings is None else benchmark.settings.on
    return f"measured through {place}" if place else "measured directly"


_DETAILS = (
    _of_record(lambda machine: machine.cpu),
    _of_record(lambda machine: machine.machine),
    _of_record(lambda machine: f"{machine.memory / GIB:.0f} GiB" if machine.memory else "memory not recorded"),
    _of_record(lambda machine: f"governor {machine.governor}" if machine.governor else "governor not recorded"),
    _place,
)
"""Everything of ``machine_key`` that the short name leaves out, but the CPU's features."""


def _features(machines: Sequence[_Measured]) -> list[str]:
    """Returns the CPU features that not all of some machines have."""
    sets = [frozenset(() if cell.environment is None else cell.environment.cpu_features) for _, cell in machines]
    common, every = frozenset.intersection(*sets), frozenset.union(*sets)
    return [
        f"with {listed(sorted(found - common), MOST_FEATURES)}"
        if found - common
        else f"without {listed(sorted(every - common), MOST_FEATURES)}"
        for found in sets
    ]
