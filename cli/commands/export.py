"""``tledge export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tledge.cli.command_builder import Given, Json, build_command
from tledge.cli.execution import executing
from tledge.cli.tables import exported_table, sensitivity_table, trials_table
from tledge.cli.terminal import Terminal
from tledge.core.errors import OptionError
from tledge.core.number_text import counted
from tledge.core.run_directory import DEFAULT_RUNS, RunDirectory, find_run
from tledge.export.export_options import GROUPS, ExportOptions
from tledge.train.import_options import GROUP, ImportOptions

if TYPE_CHECKING:
    from tledge.export import ExportRecord
    from tledge.export.export_api import ExportRequest

IMPORT_ONLY = ("data", "labels", "input_range", "colour", "resize", "trust_model")


@build_command("export", ExportOptions, ImportOptions, groups=(*GROUPS[:-1], GROUP, GROUPS[-1]))
def run(given: Given, *, json: Json = False) -> None:
    """Export a run to TFLite and ONNX.

    Compares each artifact with the Keras model on 200 validation photos, and rejects it if it differs too much.
    """
    with executing(given.command, json) as terminal:
        from tledge.export import ArtifactRejectedError, check_request, export

        options = given.values(ExportOptions)
        request = check_request(ExportOptions(**options))
        if "model" in given.names:
            options["run"] = _import(terminal, given, options, request)
        elif wrong := [f"`{name}`" for name in IMPORT_ONLY if name in given.names]:
            raise OptionError(f"{', '.join(wrong)} can only be used with `model`; leave it out, or name a model")
        directory = find_run(options.get("run"), Path(options.get("runs", DEFAULT_RUNS)), terminal.progress())
        terminal.log_to = directory.logs / "export.log"
        try:
            record = export(**{**options, "run": directory.path}, progress=terminal.progress())
        except ArtifactRejectedError as error:
            if error.record is not None and error.record.artifacts:
                show_export(terminal, directory, error.record)
            raise
        terminal.print_json(record.to_dict())
        show_export(terminal, directory, record)
        terminal.print_command("tledge bench")


def _import(terminal: Terminal, given: Given, options: dict[str, Any], request: ExportRequest) -> Path:
    from tledge.export import require_formats
    from tledge.train import import_model

    if "data" not in given.names:
        raise OptionError("`model` needs `data`: photos to calibrate on and to compare with, one folder per class")
    if "run" in options:
        raise OptionError("`model` creates a run of its own; leave out `run`")
    require_formats(request)
    runs = Path(options.get("runs", DEFAULT_RUNS))
    manifest = import_model(**{**given.values(ImportOptions), "runs": runs}, progress=terminal.progress())
    return runs / manifest.name


def show_export(terminal: Terminal, directory: RunDirectory, record: ExportRecord) -> None:
    """Prints the artifacts of an export."""
    for search in record.searches:
        terminal.heading(
            f"{search.format}: loss of at most {search.max_drop:g} points on"
            f" {counted(search.images, 'validation photos')}"
        )
        terminal.print(trials_table(search, terminal.width))
        if search.sensitivity:
            terminal.print()
            terminal.print(sensitivity_table(search, terminal.width))
    if record.searches:
        terminal.heading("Artifacts")
    terminal.print(exported_table(record.artifacts, terminal.width))
    terminal.print(f"\nSaved in {directory.artifacts}")
