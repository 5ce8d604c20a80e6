"""The sections on corrupted photos: accuracy over severity, and accuracy under each corruption."""

from __future__ import annotations

from collections.abc import Sequence

from tledge.attacks.corruptions import CORRUPTIONS, EDGE_CORRUPTIONS
from tledge.bench.report.plots.curves import Curve
from tledge.bench.report.plots.markers import Marker
from tledge.bench.report.report_figures import RobustnessFigures, draw_robustness
from tledge.bench.results.stored_results import StoredResults
from tledge.core.measurement import Measurement

FAMILIES = (("ImageNet-C", CORRUPTIONS), ("Edge camera", EDGE_CORRUPTIONS))


def corrupted_curves(data: StoredResults) -> list[RobustnessFigures]:
    """Draws accuracy over severity of each artifact, one plot for each family that was measured."""
    measured = _measured(data)
    return [
        _draw(title, found, number)
        for number, (title, names) in enumerate(FAMILIES)
        if (found := [item for item in measured if item.params["corruption"] in names or not item.params["severity"]])
        and any(item.params["severity"] for item in found)
    ]


def corrupted_table(data: StoredResults) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Returns the artifacts, and each corruption with their accuracy under it, the mean over severities, as text."""
    cells: dict[str, dict[str, list[Measurement]]] = {}
    for item in _measured(data):
        if item.params["severity"]:
            cells.setdefault(str(item.params["corruption"]), {}).setdefault(item.artifact, []).append(item)
    artifacts = list(dict.fromkeys(artifact for row in cells.values() for artifact in row))
    rows = [
        (name.replace("_", " "), [f"{_mean(row[artifact]):.3f}" for artifact in artifacts])
        for name, row in cells.items()
    ]
    return artifacts, rows


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
    of, across_title = "Accuracy on corrupted photos", "severity; 0: original photos"
    return draw_robustness(curves, f"corrupted-{number}", title, of=of, across_title=across_title)


def _mean(items: Sequence[Measurement]) -> float:
    return sum(item.value for item in items) / len(items)
