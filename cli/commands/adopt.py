"""``tledge adopt``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tledge.cli.adopt_options import GROUPS, AdoptOptions, DescriptionOptions
from tledge.cli.command_builder import Given, Json, build_command
from tledge.cli.execution import executing
from tledge.cli.fitted_table import TableColumn, fitted_table
from tledge.cli.shell_text import shell_word
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

    Reads the file's metadata, asks for what is missing, checks the description on a photo, and writes a sidecar
    beside the file. Without a terminal, pass what is missing as options.
    """
    with executing(given.command, json) as terminal:
        from tledge.core.temporary_files import check_writable
        from tledge.edge_runtime.adoption import adopt_model, missing_fields
        from tledge.edge_runtime.description import FIELDS, Description, read_size
        from tledge.edge_runtime.inspection import inspect

        options = AdoptOptions(**given.values())
        description = Description()
        for name, text in given_options(options, DescriptionOptions).items():
            description = description.with_field(name, text)
        size = None if options.input_size is None else read_size(options.input_size)
        grey = description.colour == "grey"
        check_writable(options.model.parent)
        inspection = inspect(options.model, size, grey=grey)
        terminal.print(_tensors(inspection, terminal.width))
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


def _tensors(inspection: Inspection, width: int) -> Any:
    rows = [("input", str(inspection.image)), ("output", str(inspection.output))]
    if inspection.about:
        rows.append(("about", " ".join(inspection.about.split())[:80]))
    names, values = zip(*rows, strict=True)
    columns = [TableColumn(heading="tensor", cells=names), TableColumn(heading="in the file", cells=values)]
    return fitted_table(columns, width)


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
    terminal.print(_description(adoption, terminal.width))
    terminal.print()
    if adoption.ignores_input:
        terminal.warn(
            "the model predicts the same class for a picture and its negative: check `input_range`, `mean` and `std`,"
            " or try `photo`"
        )
    if photo is None:
        terminal.print("Checked on a generated picture; use --photo PHOTO to check it on one of your photos")
    else:
        scores = "   ".join(f"{item.label} {item.score:.3f}" for item in predictions)
        terminal.print(f"{photo}   {scores}")
    from tledge.core.artifact import path_beside

    terminal.print(f"Saved in {path_beside(artifact.path)}")
    terminal.print_command(f"tledge bench {shell_word(str(artifact.path))} --data PHOTOS")


def _description(adoption: Adoption, width: int) -> Any:
    sidecar, known = adoption.artifact.sidecar, adoption.artifact.sidecar.preprocessing
    if known is None:
        return ""
    shown = ", ".join(sidecar.class_names[:SHOWN_LABELS]) + ", …" * (len(sidecar.class_names) > SHOWN_LABELS)
    low, high = known.input_range
    described = {
        "labels": f"{len(sidecar.class_names):,}: {shown}",
        "layout": known.layout,
        "input_size": "x".join(map(str, sidecar.input_size)),
        "resize": sidecar.resize,
        "colour": known.colour,
        "input_range": f"{low:g}..{high:g}",
        "mean": ", ".join(f"{value:g}" for value in known.mean),
        "std": ", ".join(f"{value:g}" for value in known.std),
        "output": known.output,
    }
    names = [name for name, value in described.items() if value]
    columns = [
        TableColumn(heading="", cells=["size" if name == "input_size" else name.replace("_", " ") for name in names]),
        TableColumn(heading="value", cells=[described[name] for name in names]),
        TableColumn(heading="from", cells=[_source(name, adoption) for name in names]),
    ]
    return fitted_table(columns, width)


def _source(name: str, adoption: Adoption) -> str:
    source = adoption.sources.get(name, "")
    return f"assumed; change it with --{name.replace('_', '-')}" if source == "assumed" else source
