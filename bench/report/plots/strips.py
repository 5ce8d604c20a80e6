"""Distributions of latencies, one row per cell: their density above the line, their rounds below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tledge.bench.report.plots.axes import draw_axis_below
from tledge.bench.report.plots.markers import Marker
from tledge.bench.report.plots.scale import Log, padded_log
from tledge.bench.report.plots.svg import Box, Drawing, element, line, note, shorten, text
from tledge.core.number_text import duration_text
from tledge.core.significance import Samples

_WIDE = 600.0
_HILL, _ROUNDS = 26.0, 22.0  # px above and below the line of a row
_STEP = 2.0  # px between the points of a density
_SMOOTHING = 2.5  # px, the standard deviation of the kernel


@dataclass(frozen=True, kw_only=True)
class Strip:
    """One cell's latencies.

    Attributes:
        rounds: the latencies of each round, ms; one or more each.
        percentiles: p50, p90 and p99 of all, ms.
        marker: of its target.
    """

    label: str
    target: str
    rounds: Sequence[Samples]
    percentiles: tuple[float, float, float]
    marker: Marker


def density(samples: Samples, across: Log) -> tuple[Samples, Samples]:
    """Returns pixels along a scale and the density of the samples there, as a share of the highest.

    Samples beyond an end of the scale count at that end.
    """
    left, right = across.start, across.end
    edges = np.arange(left, right + _STEP, _STEP)
    pixels = left + np.log(samples / across.low) / np.log(across.high / across.low) * (right - left)
    counts, _ = np.histogram(np.clip(pixels, edges[0], edges[-1]), bins=edges)
    reach = np.arange(-6, 7) * _STEP
    smooth = np.convolve(counts, np.exp(-0.5 * (reach / _SMOOTHING) ** 2), mode="same")
    return (edges[:-1] + edges[1:]) / 2, smooth / smooth.max()


def draw_strips(strips: Sequence[Strip], *, name: str, width: float) -> Drawing:
    """Draws one or more cells on one logarithmic scale; labels stand beside the rows in a wide plot, else above."""
    wide = width >= _WIDE
    row = _HILL + _ROUNDS + (10 if wide else 40)
    left, right = (180, width - 170) if wide else (10, width - 10)
    frame = Box(left=left, top=10, right=right, bottom=10 + row * len(strips))
    across = _scale(strips, frame)
    rows = [
        _draw_strip(strip, across, frame.top + row * (number + 1) - _ROUNDS - 4, wide, width)
        for number, strip in enumerate(strips)
    ]
    cells = "; ".join(f"{strip.label} on {strip.target}: {_describe(strip)}" for strip in strips)
    return Drawing(
        name=name,
        width=width,
        height=frame.bottom + 46,
        title="Latency of single images",
        description=f"Milliseconds. {cells}.",
        body=draw_axis_below(frame, across, "latency of one image, ms (logarithmic)") + "".join(rows),
    )


def _scale(strips: Sequence[Strip], frame: Box) -> Log:
    """Returns a scale from the fastest query to the slowest, or to four times the highest 99th percentile."""
    lowest = min(float(samples.min()) for strip in strips for samples in strip.rounds)
    slowest = max(float(samples.max()) for strip in strips for samples in strip.rounds)
    highest = min(slowest, 4 * max(strip.percentiles[2] for strip in strips))
    return Log(*padded_log(lowest, highest, 0.03), frame.left, frame.right)


def _describe(strip: Strip) -> str:
    return " · ".join(
        f"p{percent} {duration_text(value)}" for percent, value in zip((50, 90, 99), strip.percentiles, strict=True)
    )


def _draw_strip(strip: Strip, across: Log, base: float, wide: bool, width: float) -> str:
    pixels, heights = density(np.concatenate(list(strip.rounds)), across)
    kept = np.flatnonzero(heights > 0.004)
    first, last = kept[0], kept[-1] + 1
    outline = "".join(
        f"L{x:.0f},{base - _HILL * share:.1f}" for x, share in zip(pixels[first:last], heights[first:last], strict=True)
    )
    ends = pixels[first], pixels[last - 1]
    hill = f"M{ends[0]:.0f},{base:.1f}{outline}L{ends[1]:.0f},{base:.1f}Z"
    if wide:
        p50, p90, p99 = map(duration_text, strip.percentiles)
        words = [
            text(0, base - 8, shorten(strip.label, 172), class_="label strong"),
            text(0, base + 8, shorten(strip.target, 172), class_="label muted"),
            text(width, base - 8, f"p50 {p50} ms", class_="label strong", text_anchor="end"),
            text(width, base + 8, f"p90 {p90} · p99 {p99}", class_="label muted", text_anchor="end"),
        ]
    else:
        words = [
            text(0, base - _HILL - 21, shorten(f"{strip.label} · {strip.target}", width), class_="label strong"),
            text(0, base - _HILL - 5, f"{_describe(strip)} ms", class_="label muted"),
        ]
    # The lower a percentile is, the higher its line; the median's is thick.
    signs = zip(map(across, strip.percentiles), (("p50", 1.0), ("p90", 0.62), ("p99", 0.38)), strict=True)
    marks = [line(x, base, x, base - _HILL * share, class_=f"percentile {name}") for x, (name, share) in signs]
    return element(
        "g",
        line(across.start, base, across.end, base, class_="base"),
        element("path", note(f"{strip.label} on {strip.target}: {_describe(strip)} ms"), d=hill, class_="hill"),
        *marks,
        *_draw_rounds(strip, across, base),
        *words,
        class_=f"strip {strip.marker.colour}",
    )


def _draw_rounds(strip: Strip, across: Log, base: float) -> list[str]:
    """Draws each round as a line from its 10th to its 90th percentile, with a dot at its median."""
    apart = min(5.0, (_ROUNDS - 4) / len(strip.rounds))
    marks = []
    for number, samples in enumerate(strip.rounds):
        y = base + 4 + apart * (number + 0.5)
        low, middle, high = (min(float(value), across.high) for value in np.percentile(samples, (10, 50, 90)))
        most = f"80% from {duration_text(low)} to {duration_text(high)}"
        summary = f"round {number + 1}: median {duration_text(middle)} ms, {most}"
        marks.append(
            element(
                "g",
                note(summary),
                line(across(low), y, across(high), y),
                element("circle", cx=across(middle), cy=y, r=min(2.0, apart / 2)),
                class_="round",
            )
        )
    return marks
