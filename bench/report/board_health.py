"""The health of the board during each cell: temperature, clock, power and throttling, as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from tledge.bench.results.board_readings import BoardReadings
from tledge.bench.results.round_conditions import Conditions
from tledge.bench.results.stored_results import StoredResults
from tledge.bench.results.throttling import words
from tledge.core.number_text import ABSENT, range_text


@dataclass(frozen=True, kw_only=True)
class BoardRow:
    """A board during one cell, over all rounds; ABSENT where the board does not report a value.

    Attributes:
        artifact, target: the cell.
        temperature, clock: the lowest and the highest.
        memory, voltage: the lowest.
        power: the median.
        held_down: what limited the board while the cell ran.
        since_boot: what limited it at any time since it was started.
    """

    artifact: str
    target: str
    temperature: str
    clock: str
    memory: str
    voltage: str
    power: str
    held_down: str
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
    temperatures = [item.temperature for item in rounds if item.temperature is not None]
    clocks = [item.clock for item in rounds if item.clock is not None]
    throttling = [item.throttling for item in rounds if item.throttling is not None]
    now = since_boot = 0
    for item in throttling:
        now, since_boot = now | item.now, since_boot | item.since_boot
    return BoardRow(
        artifact=artifact,
        target=target,
        temperature=range_text([end for item in temperatures for end in (item.low, item.high)], " °C") or ABSENT,
        clock=range_text([end for item in clocks for end in (item.low, item.high)], " MHz") or ABSENT,
        memory=_text(min, [item.memory_available for item in rounds], lambda value: f"{value / 1e9:.1f} GB"),
        voltage=_text(min, [item.core_voltage for item in rounds], lambda value: f"{value:.2f} V"),
        power=_text(median, [item.power for item in rounds], lambda value: f"{value:.1f} W"),
        held_down=(words(now) or "no") if throttling else ABSENT,
        since_boot=(words(since_boot) or "no") if throttling else ABSENT,
    )


def _text(choose: Callable[[list[float]], float], values: Iterable[float | None], text: Callable[[float], str]) -> str:
    known = [value for value in values if value is not None]
    return text(choose(known)) if known else ABSENT
