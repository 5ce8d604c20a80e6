"""One measured number, and the file of them: ``results.jsonl``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tledge.core import atomic
from tledge.core.errors import MeasurementError
from tledge.core.json_text import json_text
from tledge.core.metric_catalogue import METRICS
from tledge.core.records import Record, with_present_names

UNITS: Mapping[str, str] = {name: metric.unit for name, metric in METRICS.items()}
"""The unit of each metric of the catalogue."""


@dataclass(frozen=True, kw_only=True)
class Measurement(Record, version=1, error=MeasurementError, remedy="run the benchmark again"):
    """One metric of one artifact on one target.

    Attributes:
        artifact: the file's name.
        artifact_sha256: of the whole file.
        target: "litert:cpu:2".
        scenario: "accuracy", "single-stream", "offline", "cold-start", "energy", "static", "robustness",
            "comparison" with another artifact of the same benchmark, or "parity" between this machine and another.
        metric: a key of ``core.metric_catalogue.METRICS``.
        value: in the unit of the metric; rates are fractions.
        n: number of samples behind the value.
        interval: 95% confidence interval; None where there is no sample.
        params: what else defines the metric.
        environment: the id of the machine's record, see ``core.environment``.
        flags: reasons to doubt the value.

    Raises:
        ValueError: ``metric`` is unknown.
    """

    artifact: str
    artifact_sha256: str
    target: str
    scenario: str
    metric: str
    value: int | float
    n: int
    interval: tuple[float, float] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    environment: str = ""
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.metric not in UNITS:
            raise ValueError(f"metric '{self.metric}' is unknown")

    @property
    def unit(self) -> str:
        """The unit of its metric."""
        return UNITS[self.metric]

    def to_dict(self) -> dict[str, Any]:
        """Returns a dictionary that JSON can hold, with the unit and the schema version."""
        return {**super().to_dict(), "unit": self.unit}

    @classmethod
    def from_dict(cls, fields: object, source: str | Path) -> Self:
        return super().from_dict(with_present_names(fields, {"road": "setting"}), source)


def write_results(path: Path, measurements: Iterable[Measurement]) -> None:
    """Writes ``results.jsonl``, one measurement a line."""
    lines = (json_text(item.to_dict()) for item in measurements)
    atomic.write_text(path, "".join(f"{line}\n" for line in lines))


def read_results(path: Path) -> list[Measurement]:
    """Reads ``results.jsonl``. Raises MeasurementError if it is absent, empty or garbled."""
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise MeasurementError(f"cannot read results '{path}': {error}; 'tledge bench' creates them") from error
    if lines == [""]:
        raise MeasurementError(f"results '{path}' are empty; 'tledge bench' creates them")
    return [Measurement.from_json(line, f"{path}:{number}") for number, line in enumerate(lines, start=1)]
