"""``tledge export``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from tledge.cli.execution import executing
from tledge.cli.options import Json, Run, Runs
from tledge.cli.tables import exported_table
from tledge.cli.terminal import Terminal
from tledge.core.run_directory import DEFAULT_RUNS, RunDirectory, find_run

if TYPE_CHECKING:
    from tledge.export import ExportedArtifact


def run(
    quantize: Annotated[
        list[str] | None,
        typer.Option(help="float32, float16, dynamic, int8; several by commas.  [default: all]"),
    ] = None,
    format: Annotated[list[str] | None, typer.Option(help="tflite, onnx; several by commas.  [default: both]")] = None,
    calibration_images: Annotated[
        int, typer.Option(help="Photos of the training split that int8 takes its ranges from.")
    ] = 200,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace artifacts that exist.")] = False,
    run: Run = None,
    runs: Runs = DEFAULT_RUNS,
    json: Json = False,
) -> None:
    """Export a run to TFLite and ONNX.

    float32 is exported too if it is not there yet, since 'tledge bench' compares the others with it. Each
    artifact is loaded and run once before it counts as exported.
    """
    with executing(json) as terminal:
        from tledge.export import export

        directory = find_run(run, runs)
        terminal.log_to = directory.logs / "export.log"
        artifacts = export(
            run=directory.path,
            quantize=quantize or (),
            formats=format or (),
            calibration_images=calibration_images,
            overwrite=overwrite,
            runs=runs,
            progress=terminal.progress(),
        )
        terminal.print_json([artifact.to_dict() for artifact in artifacts])
        show(terminal, directory, artifacts)
        terminal.print_command("tledge bench")


def show(terminal: Terminal, directory: RunDirectory, artifacts: Sequence[ExportedArtifact]) -> None:
    """Prints what an export made."""
    terminal.print(exported_table(artifacts))
    terminal.print(f"\nSaved in {directory.artifacts}")
