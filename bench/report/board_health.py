"""The health of the board during each cell: temperature, clock, power and throttling, as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from statistics import median

from tledge.bench.results.board_readings import BoardReadings, Spread, words
from tledge.bench.results.round_conditions import Conditions
from tledge.bench.results.stored_results import StoredResults
from tledge.core.number_text import ABSENT, range_text


@dataclass(frozen=True, kw_only=True)
class BoardRow:
    """A board during one cell, over all rounds; ABSENT where the board does not report a value.

    Attributes:
        temperature, clock: the lowest and the highest.
        memory, voltage: the lowest.
        power: the median.
        throttled: what limited the board while the cell ran.
        since_boot: what limited it at any time since it was started.
    """

    artifact: str
    target: str
    temperature: str
    clock: str
    memory: str
    voltage: str
    power: str
    throttled: str
    since_boot: str


def board_models(data: StoredResults) -> list[str]:
    """Returns the names of the boards; empty for a workstation."""
    readings = [item for result in data.raw_samples.values() for item in _readings(result.conditions)]
    return list(dict.fromkeys(item.model for item in readings if item.model))


def board_rows(data: StoredResults) -> list[BoardRow]:
    """Returns a row for each cell that ran on a board."""
    return [
        _row(artifact, target, rounds)
        for (artifact, target), result in data.raw_samples.items()
        if (rounds := _readings(result.conditions))
    ]


def _readings(conditions: Iterable[Conditions]) -> list[BoardReadings]:
    return [item.board for item in conditions if item.board is not None]


def _row(artifact: str, target: str, rounds: Sequence[BoardReadings]) -> BoardRow:
    throttling = [item.throttling for item in rounds if item.throttling is not None]
    return BoardRow(
        artifact=artifact,
        target=target,
        temperature=_range([item.temperature for item in rounds], " °C"),
        clock=_range([item.clock for item in rounds], " MHz"),
        memory=_text(min, [item.memory_available for item in rounds], lambda value: f"{value / 1e9:.1f} GB"),
        voltage=_text(min, [item.core_voltage for item in rounds], lambda value: f"{value:.2f} V"),
        power=_text(median, [item.power for item in rounds], lambda value: f"{value:.1f} W"),
        throttled=_limits([item.now for item in throttling]),
        since_boot=_limits([item.since_boot for item in throttling]),
    )


def _range(spreads: Iterable[Spread | None], unit: str) -> str:
    return range_text([end for item in spreads if item for end in (item.low, item.high)], unit) or ABSENT


def _limits(bits: Sequence[int]) -> str:
    """Names all limits that were in force in any round."""
    return (words(reduce(or_, bits)) or "no") if bits else ABSENT


def _text(choose: Callable[[list[float]], float], values: Iterable[float | None], text: Callable[[float], str]) -> str:
    known = [value for value in values if value is not None]
    return text(choose(known)) if known else ABSENT
