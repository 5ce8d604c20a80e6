"""``tledge export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tledge.cli.execution import executing
from tledge.cli.options import Json, Run, Runs
from tledge.cli.tables import exported_table, sensitivity_table, trials_table
from tledge.cli.terminal import Terminal
from tledge.core.errors import OptionError
from tledge.core.run_directory import DEFAULT_RUNS, RunDirectory, find_run

if TYPE_CHECKING:
    from tledge.export import ExportRecord


def run(
    quantize: Annotated[
        list[str] | None,
        typer.Option(
            help="float32, float16, dynamic, int16x8 (TFLite), int8, qat; several by commas.  [default: all but qat]"
        ),
    ] = None,
    format: Annotated[list[str] | None, typer.Option(help="tflite, onnx; several by commas.  [default: both]")] = None,
    calibration_images: Annotated[
        int, typer.Option(help="Photos of the training split that int8 and int16x8 take their ranges from.")
    ] = 200,
    max_drop: Annotated[
        float | None,
        typer.Option(
            help="Points of top-1 that may be lost on the validation photos (0.5): finds the smallest 8-bit artifact"
            " that keeps to it (of the recipes of --quantize, if given), with the most sensitive layers left in float32"
            " if need be."
        ),
    ] = None,
    sparsity: Annotated[
        float, typer.Option(help="Prune this fraction of the weights first, in some epochs of training (0.5).")
    ] = 0.0,
    cpu: Annotated[
        str,
        typer.Option("--for", help="CPUs that ONNX int8 is to be right on: any, x86 or arm (a little more accurate)."),
    ] = "any",
    allow_drop: Annotated[
        bool, typer.Option("--allow-drop", help="Keep artifacts that answer too differently from the Keras model.")
    ] = False,
    model: Annotated[
        str | None,
        typer.Option(help="Instead of a run, a .keras or .h5 file made elsewhere; with --data. It becomes a run."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="With --model: the photos, one folder per class, in the order of its outputs.")
    ] = None,
    input_range: Annotated[
        str, typer.Option(help="With --model: the pixel values that it takes: 0..255, 0..1 or -1..1.")
    ] = "0..255",
    resize: Annotated[str, typer.Option(help="With --model: how photos get its size: stretch or crop.")] = "stretch",
    trust_model: Annotated[
        bool, typer.Option("--trust-model", help="With --model: load it even if it can run code of its own.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace artifacts that exist.")] = False,
    run: Run = None,
    runs: Runs = DEFAULT_RUNS,
    json: Json = False,
) -> None:
    """Export a run to TFLite and ONNX.

    float32 is exported too if it is not there yet, since 'tledge bench' compares the others with it. Each artifact is
    run over 200 validation photos and compared with the Keras model before it counts as exported.
    """
    with executing(json) as terminal:
        from tledge.export import check_request, export

        if model is not None:
            check_request(quantize or (), format or (), cpu=cpu, max_drop=max_drop, sparsity=sparsity)
            run = str(
                _import(terminal, model, data, run, runs, input_range=input_range, resize=resize, trust=trust_model)
            )
        elif data is not None or trust_model or (input_range, resize) != ("0..255", "stretch"):
            raise OptionError("--data, --input-range, --resize and --trust-model go with --model; a run knows its own")
        directory = find_run(run, runs)
        terminal.log_to = directory.logs / "export.log"
        record = export(
            run=directory.path,
            quantize=quantize or (),
            formats=format or (),
            calibration_images=calibration_images,
            cpu=cpu,
            max_drop=max_drop,
            sparsity=sparsity,
            allow_drop=allow_drop,
            overwrite=overwrite,
            runs=runs,
            progress=terminal.progress(),
        )
        terminal.print_json(record.to_dict())
        show(terminal, directory, record)
        terminal.print_command("tledge bench")


def _import(
    terminal: Terminal,
    model: str,
    data: str | None,
    run: str | None,
    runs: Path,
    *,
    input_range: str,
    resize: str,
    trust: bool,
) -> Path:
    from tledge.train import import_model

    if data is None:
        raise OptionError("--model needs --data: photos to calibrate on and to compare with, one folder per class")
    if run is not None:
        raise OptionError("--model makes a run of its own; leave out --run")
    manifest = import_model(
        model=model,
        data=data,
        input_range=input_range,
        resize=resize,
        trust_model=trust,
        runs=runs,
        progress=terminal.progress(),
    )
    return runs / manifest.name


def show(terminal: Terminal, directory: RunDirectory, record: ExportRecord) -> None:
    """Prints what an export made."""
    for search in record.searches:
        terminal.heading(
            f"{search.format}: at most {search.max_drop:g} points lost on {search.images:,} validation photos"
        )
        terminal.print(trials_table(search))
        if search.sensitivity:
            terminal.print()
            terminal.print(sensitivity_table(search))
    if record.searches:
        terminal.heading("Artifacts")
    terminal.print(exported_table(record.artifacts, terminal.width))
    terminal.print(f"\nSaved in {directory.artifacts}")
