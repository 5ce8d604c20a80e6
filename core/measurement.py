"""One measured number, and the file of them: ``results.jsonl``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tledge.core import atomic
from tledge.core.errors import MeasurementError
from tledge.core.metric_catalogue import METRICS

SCHEMA_VERSION = 1

UNITS: Mapping[str, str] = {name: metric.unit for name, metric in METRICS.items()}
"""The unit of each metric of the catalogue."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One metric of one artifact on one target.

    Attributes:
        artifact: the file's name.
        artifact_sha256: of the whole file.
        target: "litert:cpu:2".
        scenario: "accuracy", "single-stream", "offline", "cold-start", "energy", "static", "robustness",
            "comparison" with another artifact of the same benchmark, or "parity" with this machine of what
            ran elsewhere.
        metric: a key of ``core.metric_catalogue.METRICS``.
        value: in the unit of the metric; rates are fractions.
        n: how many samples stand behind the value.
        interval: 95% confidence interval, where there is a sample.
        params: what else defines the metric.
        environment: the id of the machine's record, see ``core.environment``.
        flags: what speaks against trusting the value.
    """

    artifact: str
    artifact_sha256: str
    target: str
    scenario: str
    metric: str
    value: float
    n: int
    interval: tuple[float, float] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    environment: str = ""
    flags: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """The metric's unit."""
        return UNITS[self.metric]

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that JSON can hold, unit and schema version included."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self), "unit": self.unit}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Measurement:
        """Reads what ``to_dict`` gave. Raises KeyError, TypeError or ValueError if it cannot."""
        if fields["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema version {fields['schema_version']}; this tledge reads {SCHEMA_VERSION}")
        kept = {key: value for key, value in fields.items() if key not in ("schema_version", "unit")}
        interval = kept.get("interval")
        kept["interval"] = (float(interval[0]), float(interval[1])) if interval else None
        kept["flags"] = tuple(kept.get("flags", ()))
        measurement = cls(**kept)
        if isinstance(measurement.value, bool) or not isinstance(measurement.value, int | float):
            raise ValueError(f"a value that is no number: {measurement.value!r}")
        if measurement.metric not in UNITS:
            raise ValueError(f"unknown metric '{measurement.metric}'")
        return measurement


def write_results(path: Path, measurements: Iterable[Measurement]) -> None:
    """Writes ``results.jsonl``, one measurement a line."""
    lines = (json.dumps(item.to_dict(), ensure_ascii=False, allow_nan=False) for item in measurements)
    atomic.write_text(path, "".join(f"{line}\n" for line in lines))


def read_results(path: Path) -> list[Measurement]:
    """Reads ``results.jsonl``.

    Raises:
        MeasurementError: absent, empty or garbled.
    """
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise MeasurementError(f"cannot read results '{path}': {error}; 'tledge bench' makes them") from error
    measurements = []
    for number, line in enumerate(lines if lines != [""] else [], start=1):
        try:
            measurements.append(Measurement.from_dict(json.loads(line)))
        except (ValueError, KeyError, TypeError) as error:
            raise MeasurementError(f"'{path}' line {number} is no measurement: {error}") from error
    if not measurements:
        raise MeasurementError(f"results '{path}' are empty; 'tledge bench' makes them")
    return measurements
