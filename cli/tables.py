"""Results as tables for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tledge.bench import Row
    from tledge.export import ExportedArtifact

BEST = "bold green"
WIDE = 96
"""Columns from which the whole table of a benchmark fits."""


def format_size(size: int) -> str:
    """Bytes as a person reads them ("2.7 MB")."""
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"


def exported_table(artifacts: Sequence[ExportedArtifact]) -> Any:
    """What an export made: a Rich table."""
    table = plain_table(
        ("artifact", "left"), ("recipe", "left"), ("size", "right"), ("of float32", "right"), ("", "left")
    )
    baseline = {item.format: item.size for item in artifacts if item.recipe == "float32"}
    for item in artifacts:
        share = f"{item.size / baseline[item.format]:.2f}" if item.format in baseline else ""
        table.add_row(item.path.name, item.recipe, format_size(item.size), share, "kept as it was" if item.kept else "")
    return table


def bench_table(rows: Sequence[Row], width: int) -> Any:
    """What a benchmark measured: a Rich table with the best of each column marked.

    Args:
        rows: one for each cell.
        width: columns of the terminal; a narrow one gets neither intervals nor the 99th percentile.
    """
    wide = width >= WIDE
    percentiles = ("p50", "p90", "p99") if wide else ("p50", "p90")
    table = plain_table(
        ("artifact", "left"),
        ("target", "left"),
        ("size", "right"),
        ("test top-1 (95%)" if wide else "top-1", "left"),
        ("agrees", "right"),
        *((f"{name} ms", "right") for name in percentiles),
    )
    smallest = min(row.size for row in rows)
    fastest = {name: min(getattr(row, name) for row in rows) for name in percentiles}
    for row in rows:
        table.add_row(
            row.artifact,
            row.target,
            _mark(format_size(row.size), row.size == smallest),
            row.top1_text if wide else f"{row.top1:.3f}",
            "–" if row.agreement is None else f"{row.agreement:.3f}",
            *(_mark(f"{getattr(row, name):.2f}", getattr(row, name) == best) for name, best in fastest.items()),
        )
    table.caption = "* the best of its column; agrees: with the Keras model, on the test images"
    table.caption_justify = "left"
    return table


def _mark(text: str, best: bool) -> Any:
    """The best of a column stands between asterisks, and in colour where there is colour."""
    from rich.text import Text

    return Text(f"*{text}*", BEST) if best else Text(f"{text} ")


def plain_table(*columns: tuple[str, Any]) -> Any:
    """An empty Rich table of aligned columns without lines; each column is (heading, justify)."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name, justify in columns:
        table.add_column(name, justify=justify, no_wrap=True)
    return table
