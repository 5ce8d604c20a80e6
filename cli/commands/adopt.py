"""``tledge adopt``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tledge.cli.adopt_options import GROUPS, AdoptOptions, DescriptionOptions
from tledge.cli.command_builder import Given, Json, build_command
from tledge.cli.execution import executing
from tledge.cli.tables import plain_table
from tledge.cli.terminal import Terminal
from tledge.core.errors import TledgeError
from tledge.core.options import given_options

if TYPE_CHECKING:
    from tledge.edge_runtime.adoption import Adoption
    from tledge.edge_runtime.description import Description
    from tledge.edge_runtime.inspection import Inspection

SHOWN_LABELS = 6
SHOWN_PREDICTIONS = 3


@build_command("adopt", AdoptOptions, groups=GROUPS)
def run(given: Given, *, json: Json = False) -> None:
    """Describe a model made elsewhere, so that 'predict' and 'bench' can use it.

    Reads what the file says about itself, asks for the rest, checks the description on a photo, and writes a sidecar
    beside the file. Without a terminal, the rest must be given as options.
    """
    with executing(given.command, json) as terminal:
        from tledge.edge_runtime.adoption import adopt_model, missing_fields
        from tledge.edge_runtime.description import FIELDS, Description, read_size
        from tledge.edge_runtime.inspection import inspect

        options = AdoptOptions(**given.values())
        description = Description()
        for name, text in given_options(options, DescriptionOptions).items():
            description = description.with_field(name, text)
        size = None if options.input_size is None else read_size(options.input_size)
        inspection = inspect(options.model, size)
        terminal.print(_tensors(inspection))
        if terminal.can_ask:
            required, optional = missing_fields(inspection, description)
            asked = [name for name in FIELDS if name in required or name in optional]
            description = _ask(terminal, asked, description)
        adoption = adopt_model(inspection, description, photo=options.photo, overwrite=options.overwrite)
        _show(terminal, adoption, options.photo)


def _ask(terminal: Terminal, names: list[str], given: Description) -> Description:
    """Asks for fields, each until a valid value is entered."""
    from tledge.edge_runtime.description import FIELDS

    for name in names:
        field = FIELDS[name]
        while True:
            try:
                text = terminal.ask(f"{field.question} (such as {field.example})", field.default)
                given = given.with_field(name, text)
                break
            except TledgeError as error:
                terminal.warn(str(error))
    return given


def _tensors(inspection: Inspection) -> Any:
    table = plain_table("tensor", "in the file")
    table.add_row("input", str(inspection.image))
    table.add_row("output", str(inspection.output))
    if inspection.about:
        table.add_row("about", " ".join(inspection.about.split())[:80])
    return table


def _show(terminal: Terminal, adoption: Adoption, photo: Path | None) -> None:
    artifact, predictions = adoption.artifact, adoption.predictions[:SHOWN_PREDICTIONS]
    terminal.print_json(
        {
            "artifact": artifact.path,
            "sidecar": artifact.sidecar.to_dict(),
            "sources": dict(adoption.sources),
            "photo": photo,
            "predictions": [vars(item) for item in predictions] if photo is not None else [],
            "ignores_input": adoption.ignores_input,
        }
    )
    terminal.print()
    terminal.print(_description(adoption))
    terminal.print()
    if adoption.ignores_input:
        terminal.warn(
            "the model predicts the same for a picture and its negative: check `input_range`, `mean` and `std`, or try"
            " `photo`"
        )
    if photo is None:
        terminal.print("Checked on a generated picture; use --photo PHOTO to check it on one of your photos")
    else:
        scores = "   ".join(f"{item.label} {item.score:.3f}" for item in predictions)
        terminal.print(f"{photo}   {scores}")
    from tledge.core.artifact import path_beside

    terminal.print(f"Saved in {path_beside(artifact.path)}")
    terminal.print_command(f"tledge bench {shlex.quote(str(artifact.path))} --data PHOTOS")


def _description(adoption: Adoption) -> Any:
    sidecar, sources = adoption.artifact.sidecar, adoption.sources
    known = sidecar.preprocessing
    table = plain_table("", "value", "from")
    if known is None:
        return table
    shown = ", ".join(sidecar.class_names[:SHOWN_LABELS]) + ", …" * (len(sidecar.class_names) > SHOWN_LABELS)
    low, high = known.input_range
    for name, label, value in (
        ("labels", "labels", f"{len(sidecar.class_names):,}: {shown}"),
        ("layout", "layout", known.layout),
        ("input_size", "size", "x".join(map(str, sidecar.input_size))),
        ("resize", "resize", sidecar.resize),
        ("colour", "colour", known.colour),
        ("input_range", "input range", f"{low:g}..{high:g}"),
        ("mean", "mean", ", ".join(f"{value:g}" for value in known.mean)),
        ("std", "std", ", ".join(f"{value:g}" for value in known.std)),
        ("output", "output", known.output),
    ):
        if value:
            source = sources.get(name, "")
            table.add_row(
                label, value, f"assumed; change it with --{name.replace('_', '-')}" if source == "assumed" else source
            )
    return table
