"""The machine during one round: what else ran on it, its clock, its temperature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from tledge.bench.results.board_readings import BoardReadings

BUSY = 0.05
"""Others' share of the machine's processor time from which a measurement is noisy."""

STOLEN = 0.02
"""The share that the host gave to other guests from which it is noisy."""

SLOWED = 1.1
"""How many times the yardstick's best time makes a measurement noisy; on a quiet machine it varies by 2 or 3%."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """The machine during one round of one cell; None where the system does not tell.

    Attributes:
        load: the share of all cores' time that other processes used, 0 to 1.
        steal: the share that the host gave to other guests, 0 to 1.
        mhz: the clock of core 0 at the end.
        governor: its frequency governor; empty where the system does not tell.
        temperature: of the hottest sensor at the end, degrees Celsius.
        throttled: whether the clock was held down for heat or low voltage.
        yardstick: ms that a fixed piece of work took on one thread, before and after: the machine's own speed.
        slowed: that was clearly more than in the best round of the benchmark.
        board: what the board told all the while; None where the machine is none.
    """

    load: float | None
    steal: float | None
    mhz: float | None
    governor: str
    temperature: float | None
    throttled: bool | None
    yardstick: float
    slowed: bool = False
    board: BoardReadings | None = None

    @property
    def quiet(self) -> bool:
        """Nothing that is known speaks against what was timed meanwhile."""
        return not self.noisy and not self.throttled

    @property
    def noisy(self) -> bool:
        """Something else used the processor, or the host, unseen from here, gave less of it."""
        return (self.load or 0.0) > BUSY or (self.steal or 0.0) > STOLEN or self.slowed

    def held_against(self, best: float) -> Conditions:
        """The same, judged by the yardstick of the benchmark's best round."""
        return replace(self, slowed=self.yardstick > SLOWED * best)

    def with_board(self, board: BoardReadings | None) -> Conditions:
        """The same, with what the board told: what held it down counts as ``throttled``."""
        if board is None:
            return self
        known = [state for state in (self.throttled, board.held_down) if state is not None]
        return replace(self, throttled=any(known) if known else None, board=board)

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Conditions:
        """Reads what ``to_dict`` gave, now or before boards were told of. Raises KeyError or TypeError if it cannot."""
        read = {**fields}
        if read.get("board") is not None:
            read["board"] = BoardReadings.from_dict(read["board"])
        return cls(**read)
