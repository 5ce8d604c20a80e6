"""Measurements as rows of a table, one per artifact and target."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tledge.core.measurement import Measurement


@dataclass(frozen=True, kw_only=True)
class Row:
    """What a table shows of one cell.

    Attributes:
        artifact: the file's name.
        target: "litert:cpu:2".
        size: bytes.
        top1: fraction of the test images, with its 95% interval.
        agreement: fraction on which it gives the Keras model's class; None where that could not run here.
        p50, p90, p99: latency in ms.
    """

    artifact: str
    target: str
    size: int
    top1: float
    top1_interval: tuple[float, float]
    agreement: float | None
    p50: float
    p90: float
    p99: float

    @property
    def top1_text(self) -> str:
        """Top-1 with its interval, for people: "0.973 (0.948–0.986)"."""
        low, high = self.top1_interval
        return f"{self.top1:.3f} ({low:.3f}–{high:.3f})"

    def to_dict(self) -> dict[str, Any]:
        """A dictionary that JSON can hold."""
        return asdict(self)


def summarize(measurements: Iterable[Measurement]) -> list[Row]:
    """The rows of a table, in the order in which the cells first appear."""
    cells: dict[tuple[str, str], dict[str, Measurement]] = {}
    for item in measurements:
        cells.setdefault((item.artifact, item.target), {})[item.metric] = item
    return [
        Row(
            artifact=artifact,
            target=target,
            size=int(of["file_size"].value),
            top1=of["top1"].value,
            top1_interval=of["top1"].interval or (0.0, 1.0),
            agreement=of["agreement"].value if "agreement" in of else None,
            p50=of["latency_p50"].value,
            p90=of["latency_p90"].value,
            p99=of["latency_p99"].value,
        )
        for (artifact, target), of in cells.items()
    ]


def to_markdown(rows: Sequence[Row]) -> str:
    """The table in GitHub's Markdown."""
    lines = [
        "| artifact | target | size | test top-1 (95% interval) | agrees with Keras | p50 ms | p90 ms | p99 ms |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        agreement = "–" if row.agreement is None else f"{row.agreement:.3f}"
        lines.append(
            f"| {row.artifact} | {row.target} | {row.size / 1e6:.1f} MB | {row.top1_text} |"
            f" {agreement} | {row.p50:.2f} | {row.p90:.2f} | {row.p99:.2f} |"
        )
    return "\n".join(lines) + "\n"
