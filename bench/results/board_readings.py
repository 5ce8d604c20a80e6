"""What a board told while a round of a cell ran."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from tledge.bench.results.throttling import Throttling


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The lowest, the median and the highest of some samples."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Spread | None:
        """None where there are none."""
        return cls(low=min(samples), median=median(samples), high=max(samples)) if samples else None


@dataclass(frozen=True, kw_only=True)
class BoardReadings:
    """What a board told while a round ran; None, or empty, where it did not.

    Attributes:
        model: the board's name, as its maker has it.
        samples: how often it was looked at.
        temperature: of the hottest sensor, degrees Celsius.
        clock: MHz, of the fastest cores, as the firmware measures it; as the kernel asked for, where only that is told.
            This one, voltage and power are those of a board at work: None where the round was over too soon.
        governors: what decided upon the clock, of each set of cores, sorted.
        memory_available: bytes, at the lowest.
        core_voltage: V, at the lowest.
        power: W, of the power chip's rails, the median.
        throttling: what held it down: ``now`` while the round ran, at any of the samples or between them.
    """

    model: str
    samples: int
    temperature: Spread | None = None
    clock: Spread | None = None
    governors: tuple[str, ...] = ()
    memory_available: int | None = None
    core_voltage: float | None = None
    power: float | None = None
    throttling: Throttling | None = None

    @property
    def held_down(self) -> bool | None:
        """Whether anything held the board down while the round ran; None where it does not tell."""
        return None if self.throttling is None else bool(self.throttling.now)

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> BoardReadings:
        """Reads what ``to_dict`` gave. Raises KeyError or TypeError if it cannot."""
        read = {
            **fields,
            "governors": tuple(fields["governors"]),
            "temperature": _spread(fields["temperature"]),
            "clock": _spread(fields["clock"]),
            "throttling": None if fields["throttling"] is None else Throttling(**fields["throttling"]),
        }
        return cls(**read)


def _spread(fields: Mapping[str, float] | None) -> Spread | None:
    return None if fields is None else Spread(**fields)
