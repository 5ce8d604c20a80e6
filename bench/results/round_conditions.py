"""The machine during one round: other programs' load, its clock and its temperature."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tledge.bench.results.board_readings import BoardReadings
from tledge.core.errors import MeasurementError
from tledge.core.field_bounds import NotNegative, Positive
from tledge.core.records import Record

BUSY = 0.05
"""Share of the machine's processor time used by other programs above which a measurement is noisy."""

STOLEN = 0.02
"""Share of the time that the host gave to other guests above which a measurement is noisy."""

SLOWED = 1.1
"""A reference time above this multiple of the benchmark's best is noisy; a quiet machine varies by 3%."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """The machine during one round of one cell; None where the system does not report a value.

    Attributes:
        load: the share of all cores' time that other processes used, 0 to 1.
        steal: the share that the host gave to other guests, 0 to 1.
        mhz: the clock of core 0 at the end.
        governor: its frequency governor; empty where the system does not report it.
        temperature: of the hottest sensor at the end, degrees Celsius.
        throttled: whether the clock was limited because of heat or low voltage.
        reference_time: ms that a fixed piece of work took on one thread, before and after: the speed of the machine.
        slowed: the reference workload took clearly longer than in the best round of the benchmark.
        board: readings of the board during the round; None if the machine is not a board.
    """

    load: NotNegative | None
    steal: NotNegative | None
    mhz: NotNegative | None
    governor: str
    temperature: float | None
    throttled: bool | None
    reference_time: Positive
    slowed: bool = False
    board: BoardReadings | None = None

    @property
    def quiet(self) -> bool:
        """Whether nothing known speaks against the timings of this round."""
        return not self.noisy and not self.throttled

    @property
    def noisy(self) -> bool:
        """Whether other programs or other guests of the host used the processor."""
        return (self.load or 0.0) > BUSY or (self.steal or 0.0) > STOLEN or self.slowed

    def compared_with(self, best: float) -> Conditions:
        """Returns the same conditions, judged by the reference time (ms) of the benchmark's best round."""
        return replace(self, slowed=self.reference_time > SLOWED * best)

    def with_board(self, board: BoardReadings | None) -> Conditions:
        """Returns the same conditions with a board's readings; a limit that the board reports counts as throttled."""
        if board is None:
            return self
        known = [state for state in (self.throttled, board.throttled) if state is not None]
        return replace(self, throttled=any(known) if known else None, board=board)


@dataclass(frozen=True, kw_only=True)
class ConditionsRecord(Record, error=MeasurementError, remedy="benchmark again"):
    """The conditions of a cell's rounds, in order, as they are kept with the raw samples."""

    conditions: tuple[Conditions, ...]
