"""A benchmark's plots."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from tledge.bench.report.agreement import Counts, confusion
from tledge.bench.report.plots.bars import Bar, Group, draw_bars
from tledge.bench.report.plots.curves import Curve, draw_curves
from tledge.bench.report.plots.markers import Marker
from tledge.bench.report.plots.matrix import MOST_NAMED, draw_matrix, largest_confusions
from tledge.bench.report.plots.scatter import Point, draw_scatter, pareto_front
from tledge.bench.report.plots.strips import Strip, draw_strips
from tledge.bench.report.plots.svg import Drawing
from tledge.bench.report.report_data import ReportData
from tledge.bench.results.number_text import duration_text, flag_text, rate_text
from tledge.bench.results.rows import Row
from tledge.core.sizes import size_text

WIDE, NARROW = 960.0, 350.0
"""Widths of drawings, px: a page's, and that of a phone or of one of three columns."""

_MOST_CONFUSIONS = 12


@dataclass(frozen=True)
class Figure:
    """A plot for both widths, so that its text is as large on a phone."""

    wide: Drawing
    narrow: Drawing


@dataclass(frozen=True, kw_only=True)
class ConfusionFigures:
    """What an artifact mistakes.

    Attributes:
        artifact: its name.
        drawing: the matrix.
        largest: (true class, answer, how often), where there are too many classes to read the matrix.
    """

    artifact: str
    drawing: Drawing
    largest: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True, kw_only=True)
class RobustnessFigures:
    """Accuracy under one attack, or on photos corrupted by one family of corruptions.

    Attributes:
        title: the attack, its road and its norm, or the family.
        drawing: the curves.
        key: the sign of each curve and what it is.
    """

    title: str
    drawing: Drawing
    key: tuple[tuple[Marker, str], ...]


def target_markers(data: ReportData) -> dict[str, Marker]:
    """The sign of each target."""
    return {target: Marker(number) for number, target in enumerate(data.targets)}


def accuracy_and_latency(data: ReportData) -> tuple[Figure | None, list[str]]:
    """Top-1 over latency, and who is on the Pareto front, fastest first; None where one of the two was not measured."""
    markers = target_markers(data)
    latencies = {(item.artifact, item.target): item for item in data.measurements if item.metric == "latency_p50"}
    points = [
        Point(
            label=f"{row.artifact} ⚠" if row.flags else row.artifact,
            latency=row.p50,
            latency_interval=latencies[row.artifact, row.target].interval,
            top1=row.top1,
            top1_interval=row.top1_interval,
            marker=markers[row.target],
            explanation=f"{row.target}: top-1 {row.top1:.3f} at {duration_text(row.p50)} ms"
            + "".join(f", {flag_text(flag)}" for flag in row.flags),
        )
        for row in data.rows
        if row.p50 is not None and row.top1 is not None
    ]
    if not points:
        return None, []
    front = [f"{points[index].label} on {points[index].explanation}" for index in pareto_front(points)]
    return _both(lambda name, width: draw_scatter(points, name=name, width=width), "accuracy-latency"), front


def latency_distributions(data: ReportData) -> Figure | None:
    """Every query's latency; None without raw samples."""
    markers = target_markers(data)
    strips = [
        Strip(
            label=row.artifact,
            target=row.target,
            rounds=[samples for samples in data.results[row.artifact, row.target].by_round if len(samples)],
            percentiles=(row.p50, row.p90, row.p99),
            marker=markers[row.target],
        )
        for row in data.rows
        if (row.artifact, row.target) in data.results
        and row.p50 is not None
        and row.p90 is not None
        and row.p99 is not None
    ]
    if not strips:
        return None
    return _both(lambda name, width: draw_strips(strips, name=name, width=width), "latencies")


def costs(data: ReportData) -> list[Drawing]:
    """Size, memory and cold start as bars."""
    files = list({row.artifact: row for row in data.rows}.values())
    return [
        *_bars(files, "size", "Size of the file", lambda row: row.size or None, size_text, by_target=False),
        *_bars(data.rows, "memory", "Peak memory", lambda row: row.peak_memory, size_text),
        *_bars(data.rows, "cold-start", "Cold start", lambda row: row.cold_start, _milliseconds),
        *_bars(data.rows, "energy", "Energy of one image", lambda row: row.energy, lambda value: f"{value:.1f} mJ"),
    ]


def throughput(data: ReportData) -> Figure | None:
    """Images a second by batch size; None where they were not measured."""
    found = [item for item in data.measurements if item.metric == "throughput"]
    if not found:
        return None
    best = max(item.value for item in found)
    groups: dict[str, list[Bar]] = {}
    for item in found:
        bar = Bar(
            value=item.value,
            text=f"{rate_text(item.value)} images/s",
            name=f"batch {item.params['batch']}",
            best=item.value == best and len(found) > 1,
        )
        groups.setdefault(f"{item.artifact} · {item.target}", []).append(bar)
    drawn = [Group(label, tuple(bars)) for label, bars in groups.items()]
    return _both(
        lambda name, width: draw_bars(drawn, name=name, title="Throughput by batch size", width=width), "throughput"
    )


def confusions(data: ReportData) -> list[ConfusionFigures]:
    """A matrix of each artifact that was judged."""
    names, labels = data.settings.class_names, np.array(data.labels, np.intp)
    found = []
    for number, (artifact, answers) in enumerate(data.answers.items()):
        counts = confusion(labels, answers, len(names))
        title = f"Confusion matrix of {artifact}"
        found.append(
            ConfusionFigures(
                artifact=artifact,
                drawing=draw_matrix(counts, names, name=f"confusion-{number}", title=title, width=NARROW),
                largest=_named(counts, names) if len(names) > MOST_NAMED else (),
            )
        )
    return found


def draw_robustness(curves: Sequence[Curve], name: str, title: str, *, of: str, across_title: str) -> RobustnessFigures:
    """Top-1 of each artifact over something that makes it harder.

    Args:
        curves: at least one point in all.
        name: unique in the page.
        title: the attack or the family.
        of: what is drawn, for those who cannot see it.
        across_title: of the axis.
    """
    drawing = draw_curves(
        curves, name=name, title=f"{of}: {title}", across_title=across_title, up_title="top-1", width=NARROW
    )
    return RobustnessFigures(title=title, drawing=drawing, key=tuple((curve.marker, curve.label) for curve in curves))


def _both(draw: Callable[[str, float], Drawing], name: str) -> Figure:
    return Figure(draw(f"{name}-wide", WIDE), draw(f"{name}-narrow", NARROW))


def _bars(
    rows: Iterable[Row],
    name: str,
    title: str,
    value: Callable[[Row], float | None],
    text: Callable[[float], str],
    *,
    by_target: bool = True,
) -> list[Drawing]:
    """One drawing, or none where nothing was measured."""
    known = [(row, number) for row in rows if (number := value(row)) is not None]
    if not known:
        return []
    best = min(number for _, number in known) if len({number for _, number in known}) > 1 else None
    groups = [
        Group(
            f"{row.artifact} · {row.target}" if by_target else row.artifact,
            (Bar(value=number, text=text(number), best=number == best),),
        )
        for row, number in known
    ]
    return [draw_bars(groups, name=name, title=title, width=NARROW)]


def _milliseconds(value: float) -> str:
    return f"{duration_text(value)} ms"


def _named(counts: Counts, names: tuple[str, ...]) -> tuple[tuple[str, str, int], ...]:
    return tuple(
        (names[true], names[given], count) for true, given, count in largest_confusions(counts, _MOST_CONFUSIONS)
    )
