"""Results of an export, as tables for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tledge.cli.fitted_table import TableColumn, fitted_table
from tledge.core.number_text import counted
from tledge.core.sizes import size_text

if TYPE_CHECKING:
    from tledge.export import ExportedArtifact
    from tledge.export.export_record import MaxDropSearch, Trial
    from tledge.export.keras_parity import Parity


def exported_table(artifacts: Sequence[ExportedArtifact], width: int) -> Any:
    """Returns a Rich table of the exported artifacts.

    Args:
        artifacts: in the order of the rows.
        width: characters per line of the terminal; a narrow one gets fewer columns.
    """
    baseline = {item.format: item.size for item in artifacts if item.recipe == "float32"}
    shares = [f"{item.size / baseline[item.format]:.2f}" if item.format in baseline else "" for item in artifacts]
    compressed = ["" if item.compressed_size is None else size_text(item.compressed_size) for item in artifacts]
    columns = [
        TableColumn(heading="artifact", cells=[item.path.name for item in artifacts]),
        TableColumn(heading="size", cells=[size_text(item.size) for item in artifacts], justify="right"),
        TableColumn(heading="of float32", cells=shares, justify="right", rank=2),
        *([TableColumn(heading="compressed", cells=compressed, justify="right", rank=1)] if any(compressed) else []),
        *_parity_columns([item.parity for item in artifacts]),
        TableColumn(heading="XNNPACK", cells=[_delegated(item) for item in artifacts], justify="right", rank=4),
    ]
    notes = [_note(item) for item in artifacts]
    if any(notes):
        columns.append(TableColumn(heading="", cells=notes))
    compared = next((item.parity for item in artifacts if item.parity is not None), None)
    caption = (
        ""
        if compared is None
        else f"agrees: with the Keras model, on {compared.images} {compared.split} photos; (change from it)"
    )
    return fitted_table(columns, width, caption=caption)


def _parity_columns(parities: Sequence[Parity | None]) -> list[TableColumn]:
    def column(heading: str, text: Callable[[Parity], str], **more: Any) -> TableColumn:
        return TableColumn(heading=heading, cells=["" if item is None else text(item) for item in parities], **more)

    return [
        column("agrees", lambda item: f"{item.agreement:.3f}", justify="right"),
        column("val top-1", lambda item: f"{item.top1:.3f} ({item.top1 - item.keras_top1:+.3f})"),
        column(
            "SNR dB",
            lambda item: "" if item.signal_to_noise is None else f"{item.signal_to_noise:.0f}",
            justify="right",
            rank=3,
        ),
        column("largest diff.", lambda item: f"{item.largest_difference:.1e}", justify="right", rank=5),
    ]


def _note(item: ExportedArtifact) -> str:
    if item.parity is None:
        return "unchanged"
    return f"{counted(len(item.float_layers), 'layers')} in float32" if item.float_layers else ""


def _delegated(item: ExportedArtifact) -> str:
    """Returns how many of a TFLite file's nodes XNNPACK computes: "27/31"; empty if it is not known."""
    if item.delegation is None:
        return ""
    nodes = item.delegation.nodes
    return f"{nodes - len(item.delegation.undelegated)}/{nodes}"


def trials_table(search: MaxDropSearch, width: int) -> Any:
    """Returns a Rich table of the trials of a search within a maximum drop."""
    trials = search.trials
    times = ["" if trial.latency is None else f"{trial.latency:.2f}" for trial in trials]
    columns = [
        TableColumn(heading="recipe", cells=[_trial_name(trial) for trial in trials]),
        TableColumn(heading="points lost", cells=[f"{trial.drop:.2f}" for trial in trials], justify="right"),
        TableColumn(heading="size", cells=[size_text(trial.size) for trial in trials], justify="right"),
        TableColumn(heading="ms, 1 thread", cells=times, justify="right", rank=1),
        TableColumn(heading="", cells=[_verdict(trial, search) for trial in trials]),
    ]
    return fitted_table(columns, width)


def _trial_name(trial: Trial) -> str:
    return f"{trial.recipe}, {len(trial.float_layers)} in float32" if trial.float_layers else trial.recipe


def _verdict(trial: Trial, search: MaxDropSearch) -> str:
    stem = f"{trial.recipe}-mixed" if trial.float_layers else trial.recipe
    if trial.kept and search.chosen == f"{stem}.{search.format}":
        return "chosen"
    return "within the limit" if trial.kept else "over the limit"


SHOWN_LAYERS = 12
"""Layers that the table of sensitivities shows."""


def sensitivity_table(search: MaxDropSearch, width: int) -> Any:
    """Returns a Rich table of the layers that lose most when they alone are quantized."""
    shown, more = search.sensitivity[:SHOWN_LAYERS], len(search.sensitivity) - SHOWN_LAYERS
    (last,) = search.trials[-1:]
    columns = [
        TableColumn(heading="most sensitive layers", cells=[name for name, _ in shown]),
        TableColumn(heading="noise alone", cells=[f"{noise:.1e}" for _, noise in shown], justify="right"),
        TableColumn(heading="stays", cells=["float32" if name in last.float_layers else "int8" for name, _ in shown]),
    ]
    return fitted_table(columns, width, caption=f"{more} more in artifacts/export.json" if more > 0 else "")
