"""Axes with their grid."""

from __future__ import annotations

from tledge.bench.report.plots.scale import Linear, Log, tick_texts
from tledge.bench.report.plots.svg import Box, element, line, text


def draw_axes(frame: Box, across: Linear | Log, up: Linear, across_title: str, up_title: str) -> str:
    """Draws a grid with numbers and titles in the 70 px to the left of the frame and the 46 px below it."""
    below = draw_axis_below(frame, across, across_title)
    ticks = up.ticks(max(int((frame.bottom - frame.top) / 44), 3))
    beside = [
        mark
        for tick, number in zip(ticks, tick_texts(ticks), strict=True)
        for mark in (
            line(frame.left, up(tick), frame.right, up(tick), class_="grid"),
            text(frame.left - 8, up(tick) + 4, number, class_="tick", text_anchor="end"),
        )
    ]
    middle = (frame.top + frame.bottom) / 2
    title = text(
        11, middle, up_title, class_="axis-title", text_anchor="middle", transform=f"rotate(-90 11 {middle:g})"
    )
    return element("g", below, *beside, title, class_="axes")


def draw_axis_below(frame: Box, across: Linear | Log, title: str) -> str:
    """Draws the vertical lines of a grid, with numbers and the title below."""
    ticks = across.ticks(max(int((frame.right - frame.left) / 62), 5))
    marks = [
        mark
        for tick, number in zip(ticks, tick_texts(ticks, alike=isinstance(across, Linear)), strict=True)
        for mark in (
            line(across(tick), frame.top, across(tick), frame.bottom, class_="grid"),
            text(across(tick), frame.bottom + 17, number, class_="tick", text_anchor="middle"),
        )
    ]
    marks.append(
        text((frame.left + frame.right) / 2, frame.bottom + 37, title, class_="axis-title", text_anchor="middle")
    )
    return element("g", *marks, class_="axis")
