"""Results as tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tledge.core.sizes import size_text

if TYPE_CHECKING:
    from tledge.export import ExportedArtifact
    from tledge.export.export_record import MaxDropSearch

WIDEST = 112
"""Characters per line from which the whole table of an export fits."""


def exported_table(artifacts: Sequence[ExportedArtifact], width: int) -> Any:
    """Returns a Rich table of the exported artifacts.

    Args:
        artifacts: in the order of the rows.
        width: characters per line of the terminal; a narrow one gets neither differences nor delegation.
    """
    wide = width >= WIDEST
    sparse = any(item.compressed_size is not None for item in artifacts)
    more = (("largest diff.", "right"), ("XNNPACK", "right")) if wide else ()
    table = plain_table(
        "artifact",
        ("size", "right"),
        ("of float32", "right"),
        *((("compressed", "right"),) if sparse else ()),
        ("agrees", "right"),
        "val top-1",
        ("SNR dB", "right"),
        *more,
        "",
    )
    baseline = {item.format: item.size for item in artifacts if item.recipe == "float32"}
    for item in artifacts:
        share = f"{item.size / baseline[item.format]:.2f}" if item.format in baseline else ""
        compressed = size_text(item.compressed_size) if item.compressed_size is not None else ""
        cells = [item.path.name, size_text(item.size), share, *([compressed] if sparse else [])]
        parity = item.parity
        if parity is None:
            table.add_row(*cells, "", "", "", *([""] * len(more)), "unchanged")
            continue
        change = parity.top1 - parity.keras_top1
        ratio = "" if parity.signal_to_noise is None else f"{parity.signal_to_noise:.0f}"
        details = (f"{parity.largest_difference:.1e}", _delegated(item))
        notes = f"{len(item.float_layers)} layers in float32" if item.float_layers else ""
        table.add_row(
            *cells,
            f"{parity.agreement:.3f}",
            f"{parity.top1:.3f} ({change:+.3f})",
            ratio,
            *(details if wide else ()),
            notes,
        )
    compared = next((item.parity for item in artifacts if item.parity is not None), None)
    if compared is not None:
        table.caption = f"agrees: with the Keras model, on {compared.images} {compared.split} photos; (change from it)"
    return table


def _delegated(item: ExportedArtifact) -> str:
    """Returns how many of a TFLite file's nodes XNNPACK computes: "27/31"; empty if it is not known."""
    if item.delegation is None:
        return ""
    nodes = item.delegation.nodes
    return f"{nodes - len(item.delegation.undelegated)}/{nodes}"


def trials_table(search: MaxDropSearch) -> Any:
    """Returns a Rich table of the trials of a search within a maximum drop."""
    table = plain_table("recipe", ("points lost", "right"), ("size", "right"), ("ms, 1 thread", "right"), "")
    for trial in search.trials:
        name = f"{trial.recipe}, {len(trial.float_layers)} in float32" if trial.float_layers else trial.recipe
        stem = f"{trial.recipe}-mixed" if trial.float_layers else trial.recipe
        verdict = "within the limit" if trial.kept else "over the limit"
        chosen = trial.kept and search.chosen == f"{stem}.{search.format}"
        table.add_row(
            name,
            f"{trial.drop:.2f}",
            size_text(trial.size),
            "" if trial.latency is None else f"{trial.latency:.2f}",
            "chosen" if chosen else verdict,
        )
    return table


SHOWN_LAYERS = 12
"""Layers that the table of sensitivities shows."""


def sensitivity_table(search: MaxDropSearch) -> Any:
    """Returns a Rich table of the layers that lose most when they alone are quantized."""
    table = plain_table("most sensitive layers", ("noise alone", "right"), "stays")
    (last,) = search.trials[-1:]
    for name, noise in search.sensitivity[:SHOWN_LAYERS]:
        table.add_row(name, f"{noise:.1e}", "float32" if name in last.float_layers else "int8")
    if len(search.sensitivity) > SHOWN_LAYERS:
        table.caption = f"{len(search.sensitivity) - SHOWN_LAYERS} more in artifacts/export.json"
    return table


def plain_table(*columns: str | tuple[str, Any]) -> Any:
    """Returns an empty Rich table without lines; a column is a heading, aligned left, or (heading, alignment)."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", caption_justify="left")
    for column in columns:
        if isinstance(column, str):
            table.add_column(column, no_wrap=True)
        else:
            table.add_column(column[0], justify=column[1], no_wrap=True)
    return table
