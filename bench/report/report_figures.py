"""The plots of a report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tledge.bench.report.agreement import confusion
from tledge.bench.report.plots.bars import Bar, Group, draw_bars
from tledge.bench.report.plots.curves import Curve, coincident, draw_curves
from tledge.bench.report.plots.markers import Marker
from tledge.bench.report.plots.matrix import MOST_NAMED, draw_matrix, largest_confusions
from tledge.bench.report.plots.scatter import Point, draw_scatter, numbered
from tledge.bench.report.plots.strips import Strip, draw_strips
from tledge.bench.report.plots.svg import Drawing
from tledge.bench.results.rows import Row
from tledge.bench.results.standings import pareto_front
from tledge.bench.results.stored_results import StoredResults
from tledge.core.number_text import duration_text, flag_text, listed, rate_text
from tledge.core.sizes import size_text

WIDE, NARROW = 1120.0, 350.0
"""Widths of drawings, px: of a page, and of a phone or one of three columns."""

_LATENCIES = ("latency_p50", "latency_p90", "latency_p99")
_MOST_CONFUSIONS = 12


@dataclass(frozen=True)
class Figure:
    """A plot in both widths, so that its text has the same size on a phone.

    Attributes:
        numbers: what the numbers in the narrow plot stand for, from 1; empty if it has none.
    """

    wide: Drawing
    narrow: Drawing
    numbers: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ConfusionFigures:
    """A confusion matrix and the artifacts that have it.

    Attributes:
        largest: (true class, predicted class, count) of the most frequent confusions, if there are too many classes to
            read the matrix.
    """

    artifacts: tuple[str, ...]
    drawing: Drawing
    largest: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True, kw_only=True)
class RobustnessFigures:
    """Accuracy under one attack, or on photos corrupted by one family; the key is each curve's marker and label."""

    title: str
    drawing: Drawing
    key: tuple[tuple[Marker, str], ...]


def target_markers(data: StoredResults) -> dict[str, Marker]:
    """Returns the marker of each target."""
    return {target: Marker(number) for number, target in enumerate(data.targets)}


def accuracy_and_latency(data: StoredResults) -> tuple[Figure | None, list[str]]:
    """Draws top-1 over latency, and names the Pareto front; None if either was not measured."""
    markers = target_markers(data)
    front = {row.name for row in pareto_front(data.rows, data.evidence)}
    points = [
        Point(
            label=f"{row.artifact} ⚠" if row.flags else row.artifact,
            latency=latency,
            latency_interval=row.interval("latency_p50"),
            top1=top1,
            top1_interval=row.interval("top1"),
            marker=markers[row.target],
            explanation=f"{row.target}: top-1 {top1:.3f} at {duration_text(latency)} ms"
            + "".join(f", {flag_text(flag)}" for flag in row.flags),
            on_front=row.name in front,
        )
        for row in data.rows
        if (latency := row.value("latency_p50")) is not None and (top1 := row.value("top1")) is not None
    ]
    if not points:
        return None, []
    listed_front = [f"{point.label} on {point.explanation}" for point in points if point.on_front]
    figure = _both(lambda name, width: draw_scatter(points, name=name, width=width), "accuracy-latency")
    return replace(figure, numbers=tuple(p.label for p in points) if numbered(points, NARROW) else ()), listed_front


def latency_distributions(data: StoredResults) -> Figure | None:
    """Draws the latency of every query; None without raw samples."""
    markers = target_markers(data)
    strips = [
        Strip(
            label=row.artifact,
            target=row.target,
            rounds=[samples for samples in data.raw_samples[row.artifact, row.target].by_round if len(samples)],
            percentiles=(
                row.measured["latency_p50"].value,
                row.measured["latency_p90"].value,
                row.measured["latency_p99"].value,
            ),
            marker=markers[row.target],
        )
        for row in data.rows
        if (row.artifact, row.target) in data.raw_samples and row.measured.keys() >= set(_LATENCIES)
    ]
    if not strips:
        return None
    return _both(lambda name, width: draw_strips(strips, name=name, width=width), "latencies")


def costs(data: StoredResults) -> list[Drawing]:
    """Draws size, memory, cold start and energy as bars."""
    files = list({row.artifact: row for row in data.rows}.values())
    return [
        *_bars(files, "size", "Size of the file", "file_size", size_text, by_target=False),
        *_bars(data.rows, "memory", "Peak memory", "peak_memory", size_text),
        *_bars(data.rows, "cold-start", "Cold start", "cold_start", lambda value: f"{duration_text(value)} ms"),
        *_bars(data.rows, "energy", "Energy of one image", "energy", lambda value: f"{value:.1f} mJ"),
    ]


def throughput(data: StoredResults) -> Figure | None:
    """Draws images/s by batch size; None if they were not measured."""
    found = [item for item in data.measurements if item.metric == "throughput"]
    if not found:
        return None
    timely = {(row.artifact, row.target) for row in data.rows if row.timely}
    best = max((item.value for item in found if (item.artifact, item.target) in timely), default=None)
    groups: dict[str, list[Bar]] = {}
    for item in found:
        bar = Bar(
            value=item.value,
            text=f"{rate_text(item.value)} images/s",
            name=f"batch {item.params['batch']}",
            best=item.value == best and (item.artifact, item.target) in timely and len(found) > 1,
        )
        groups.setdefault(f"{item.artifact} · {item.target}", []).append(bar)
    drawn = [Group(label, tuple(bars)) for label, bars in groups.items()]
    return _both(
        lambda name, width: draw_bars(drawn, name=name, title="Throughput by batch size", width=width), "throughput"
    )


def confusions(data: StoredResults) -> list[ConfusionFigures]:
    """Draws each different confusion matrix once, the most frequent one first."""
    names, labels = data.known_settings.class_names, np.array(data.labels, np.intp)
    most = _MOST_CONFUSIONS if len(names) > MOST_NAMED else 0
    alike: dict[bytes, list[str]] = {}
    for artifact, predictions in data.predictions.items():
        alike.setdefault(confusion(labels, predictions, len(names)).tobytes(), []).append(artifact)
    found = []
    for number, artifacts in enumerate(sorted(alike.values(), key=len, reverse=True)):
        counts = confusion(labels, data.predictions[artifacts[0]], len(names))
        title = f"Confusion matrix of {listed(artifacts, len(artifacts))}"
        found.append(
            ConfusionFigures(
                artifacts=tuple(artifacts),
                drawing=draw_matrix(counts, names, name=f"confusion-{number}", title=title, width=NARROW),
                largest=tuple(
                    (names[true], names[given], count) for true, given, count in largest_confusions(counts, most)
                ),
            )
        )
    return found


def draw_robustness(curves: Sequence[Curve], name: str, title: str, *, of: str, across_title: str) -> RobustnessFigures:
    """Draws top-1 over the strength of an attack or a corruption; ``of`` says what it is, for screen readers."""
    titles = {"title": f"{of}: {title}", "across_title": across_title, "up_title": "top-1"}
    drawing = draw_curves(curves, name=name, **titles, width=NARROW)
    key = tuple((group[0].marker, " = ".join(curve.label for curve in group)) for group in coincident(curves))
    return RobustnessFigures(title=title, drawing=drawing, key=key)


def _both(draw: Callable[[str, float], Drawing], name: str) -> Figure:
    return Figure(draw(f"{name}-wide", WIDE), draw(f"{name}-narrow", NARROW))


def _bars(
    rows: Iterable[Row],
    name: str,
    title: str,
    metric: str,
    text: Callable[[float], str],
    *,
    by_target: bool = True,
) -> list[Drawing]:
    """Draws one plot, or none if nothing was measured."""
    known = [(row, number) for row in rows if (number := row.value(metric)) is not None]
    if not known:
        return []
    groups = [
        Group(
            f"{row.artifact} · {row.target}" if by_target else row.artifact,
            (Bar(value=number, text=text(number), best=metric in row.best),),
        )
        for row, number in known
    ]
    return [draw_bars(groups, name=name, title=title, width=NARROW, cut=True)]
