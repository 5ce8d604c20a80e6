"""One measured number, and the file of them: ``results.jsonl``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Self

from tledge.core import atomic
from tledge.core.errors import MeasurementError
from tledge.core.field_bounds import Count, Matching, OptionalSha256, TargetName, shown
from tledge.core.folder_contents import finish_replacement
from tledge.core.json_text import json_text
from tledge.core.metric_catalogue import METRICS
from tledge.core.options import Limits
from tledge.core.record_types import FieldError, convert
from tledge.core.records import Record, with_present_names
from tledge.core.regular_file import read_bounded

UNITS: Mapping[str, str] = {name: metric.unit for name, metric in METRICS.items()}
"""The unit of each metric of the catalogue."""

MOST_BYTES = 256 << 20
"""Of ``results.jsonl``: some 500,000 measurements."""

_VALUES: Mapping[str, Any] = {
    "fraction": Annotated[float, Limits(least=0, most=1)],
    "p": Annotated[float, Limits(least=0, most=1)],
    **dict.fromkeys(("ms", "s", "images/s", "ratio"), Annotated[float, Limits(least=0)]),
}
"""The values that a unit allows; any finite number of the other units."""

_ATTACK: Mapping[str, Any] = {"attack": str, "norm": str, "eps": Annotated[float, Limits(least=0)]}

_PARAMS: Mapping[str, Mapping[str, Any]] = {
    "throughput": {"batch": Annotated[int, Limits(least=1)]},
    "latency_ratio": {"against": str},
    "mcnemar": {"against": str},
    "robust_accuracy": _ATTACK,
    "robust_mcnemar": {**_ATTACK, "against": str},
    "corrupted_accuracy": {"corruption": str, "severity": Annotated[int, Limits(least=0)]},
}
"""The types of the parameters without which a metric cannot be read."""


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
        ValueError: ``metric`` is unknown, or ``interval`` ends before it starts.
    """

    artifact: Annotated[str, Matching(r"(?s:.+)", "the name of a file")]
    artifact_sha256: OptionalSha256
    target: TargetName
    scenario: str
    metric: str
    value: int | float
    n: Count
    interval: tuple[float, float] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    environment: Annotated[str, Matching(r"[\w-]*", "the id of a machine's record")] = ""
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.metric not in UNITS:
            raise ValueError(f"metric {shown(self.metric)} is unknown")
        if self.interval is not None and self.interval[0] > self.interval[1]:
            raise ValueError(f"interval: its end {self.interval[1]} is below its start {self.interval[0]}")

    @property
    def unit(self) -> str:
        """The unit of its metric."""
        return UNITS[self.metric]

    def to_dict(self) -> dict[str, Any]:
        """Returns a dictionary that JSON can hold, with the unit and the schema version."""
        return {**super().to_dict(), "unit": self.unit}

    @classmethod
    def from_dict(cls, fields: object, source: str | Path) -> Self:
        """Reads what :meth:`to_dict` returned; the value and the parameters must be those of the metric, too."""
        found = super().from_dict(with_present_names(fields, {"road": "setting"}), source)
        try:
            convert(found.value, _VALUES.get(found.unit, Any), "value")
            for name, declared in _PARAMS.get(found.metric, {}).items():
                if name not in found.params:
                    raise FieldError(f"{found.metric} needs '{name}'", "params")
                convert(found.params[name], declared, f"params.{name}")
        except FieldError as error:
            raise cls._unreadable(source, str(error)) from error
        return found


def write_results(path: Path, measurements: Iterable[Measurement]) -> None:
    """Writes ``results.jsonl``, one measurement a line."""
    lines = (json_text(item.to_dict()) for item in measurements)
    atomic.write_text(path, "".join(f"{line}\n" for line in lines))


def read_results(path: Path) -> list[Measurement]:
    """Reads ``results.jsonl``. Raises MeasurementError if it is absent, empty or garbled.

    If a benchmark was killed while it replaced the results in this folder, that is finished first.
    """
    path = finish_replacement(path.parent) / path.name
    try:
        lines = read_bounded(path, MOST_BYTES, "results file").removesuffix(b"\n").split(b"\n")
    except OSError as error:
        reason = error.strerror or error
        raise MeasurementError(f"cannot read results '{path}': {reason}; 'tledge bench' creates them") from error
    if lines == [b""]:
        raise MeasurementError(f"results '{path}' are empty; 'tledge bench' creates them")
    return [Measurement.from_json(line, f"{path}:{number}") for number, line in enumerate(lines, start=1)]
