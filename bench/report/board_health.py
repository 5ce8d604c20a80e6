"""What the board told while each cell ran, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from tledge.bench.report.report_data import ReportData
from tledge.bench.results.board_readings import BoardReadings
from tledge.bench.results.round_conditions import Conditions
from tledge.bench.results.throttling import words

UNTOLD = "–"


@dataclass(frozen=True, kw_only=True)
class BoardRow:
    """A board during one cell, over all rounds; UNTOLD where it does not tell.

    Attributes:
        artifact, target: the cell.
        temperature: the lowest and the highest.
        clock: the lowest and the highest.
        memory, voltage: the lowest.
        power: the median.
        held_down: by what, while the cell ran.
        since_boot: by what, at some time since the board was started.
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


def board_models(data: ReportData) -> list[str]:
    """The names of the boards that told something; none on a workstation."""
    told = [item for result in data.results.values() for item in _told(result.conditions)]
    return list(dict.fromkeys(item.model for item in told if item.model))


def board_rows(data: ReportData) -> list[BoardRow]:
    """A row for each cell that ran on a board."""
    found = []
    for (artifact, target), result in data.results.items():
        rounds = _told(result.conditions)
        if rounds:
            found.append(_row(artifact, target, rounds))
    return found


def _told(conditions: Iterable[Conditions]) -> list[BoardReadings]:
    return [item.board for item in conditions if item.board is not None]


def _row(artifact: str, target: str, rounds: Sequence[BoardReadings]) -> BoardRow:
    heat = [item.temperature for item in rounds if item.temperature is not None]
    clocks = [item.clock for item in rounds if item.clock is not None]
    throttling = [item.throttling for item in rounds if item.throttling is not None]
    now = since_boot = 0
    for item in throttling:
        now, since_boot = now | item.now, since_boot | item.since_boot
    return BoardRow(
        artifact=artifact,
        target=target,
        temperature=_range([item.low for item in heat], [item.high for item in heat], " °C"),
        clock=_range([item.low for item in clocks], [item.high for item in clocks], " MHz"),
        memory=_least([item.memory_available for item in rounds], lambda value: f"{value / 1e9:.1f} GB"),
        voltage=_least([item.core_voltage for item in rounds], lambda value: f"{value:.2f} V"),
        power=_middle([item.power for item in rounds]),
        held_down=(words(now) or "no") if throttling else UNTOLD,
        since_boot=(words(since_boot) or "no") if throttling else UNTOLD,
    )


def _range(lows: Sequence[float], highs: Sequence[float], unit: str) -> str:
    if not lows:
        return UNTOLD
    low, high = f"{min(lows):,.0f}", f"{max(highs):,.0f}"
    return f"{low}{unit}" if low == high else f"{low}–{high}{unit}"


def _least(values: Sequence[float | None], text: Callable[[float], str]) -> str:
    known = [value for value in values if value is not None]
    return text(min(known)) if known else UNTOLD


def _middle(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{median(known):.1f} W" if known else UNTOLD
