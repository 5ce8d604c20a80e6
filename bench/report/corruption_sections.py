"""The sections on corrupted photos: accuracy over severity, and accuracy under each corruption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tledge.attacks.corruptions import CORRUPTIONS, EDGE_CORRUPTIONS
from tledge.bench.report.plots.curves import Curve
from tledge.bench.report.plots.markers import Marker
from tledge.bench.report.report_figures import RobustnessFigures, draw_robustness
from tledge.bench.results.stored_results import StoredResults
from tledge.core.measurement import Measurement

FAMILIES = (("ImageNet-C", CORRUPTIONS), ("Edge camera", EDGE_CORRUPTIONS))


@dataclass(frozen=True, kw_only=True)
class CorruptedTable:
    """Accuracy under each corruption.

    Attributes:
        artifacts: the columns.
        rows: a corruption's name, and each artifact's accuracy under it, the mean over severities, as text.
    """

    artifacts: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]


def corrupted_curves(data: StoredResults) -> list[RobustnessFigures]:
    """Draws accuracy over severity of each artifact, one plot for each family that was measured."""
    measured = _measured(data)
    return [
        _draw(title, found, number)
        for number, (title, names) in enumerate(FAMILIES)
        if (found := [item for item in measured if item.params["corruption"] in names or not item.params["severity"]])
        and any(item.params["severity"] for item in found)
    ]


def corrupted_table(data: StoredResults) -> CorruptedTable | None:
    """Returns accuracy under each corruption, the mean over severities; None if nothing was measured."""
    measured = [item for item in _measured(data) if item.params["severity"]]
    if not measured:
        return None
    artifacts = tuple(dict.fromkeys(item.artifact for item in measured))
    names = dict.fromkeys(str(item.params["corruption"]) for item in measured)
    rows = tuple(
        (
            name.replace("_", " "),
            tuple(
                f"{_mean([i for i in measured if (i.artifact, i.params['corruption']) == (artifact, name)]):.3f}"
                for artifact in artifacts
            ),
        )
        for name in names
    )
    return CorruptedTable(artifacts=artifacts, rows=rows)


def _measured(data: StoredResults) -> list[Measurement]:
    return [item for item in data.measurements if item.metric == "corrupted_accuracy"]


def _draw(title: str, items: Sequence[Measurement], number: int) -> RobustnessFigures:
    curves = []
    for order, artifact in enumerate(dict.fromkeys(item.artifact for item in items)):
        mine = [item for item in items if item.artifact == artifact]
        points = tuple(
            (float(severity), _mean([item for item in mine if item.params["severity"] == severity]))
            for severity in sorted({int(item.params["severity"]) for item in mine})
        )
        curves.append(Curve(artifact, points, Marker(order)))
    return draw_robustness(
        curves,
        f"corrupted-{number}",
        title,
        of="Accuracy on corrupted photos",
        across_title="severity; 0: original photos",
    )


def _mean(items: Sequence[Measurement]) -> float:
    return sum(item.value for item in items) / len(items)
