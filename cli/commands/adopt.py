"""``tledge adopt``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tledge.cli.execution import executing
from tledge.cli.options import Json
from tledge.cli.tables import plain_table
from tledge.cli.terminal import Terminal
from tledge.core.errors import TledgeError

if TYPE_CHECKING:
    from tledge.edge_runtime.adoption import Adoption
    from tledge.edge_runtime.description import Description
    from tledge.edge_runtime.inspection import Inspection

SHOWN_LABELS = 6
SHOWN_PREDICTIONS = 3


def run(
    model: Annotated[Path, typer.Argument(help="A .tflite or .onnx file that was made elsewhere; it stays as it is.")],
    labels: Annotated[
        str | None, typer.Option(help="A text file with the class of each output, one a line (labels.txt).")
    ] = None,
    input_range: Annotated[
        str | None, typer.Option(help="What pixels 0 and 255 become, before mean and std: 0..255, 0..1, -1..1.")
    ] = None,
    mean: Annotated[
        str | None, typer.Option(help="Then subtracted, one number or one a channel: 0.485,0.456,0.406.")
    ] = None,
    std: Annotated[str | None, typer.Option(help="Then divided by, likewise: 0.229,0.224,0.225.")] = None,
    layout: Annotated[
        str | None, typer.Option(help="The order of the input's axes, if its shape does not say: nhwc or nchw.")
    ] = None,
    colour: Annotated[str | None, typer.Option(help="The channels: rgb, bgr or grey.")] = None,
    output: Annotated[
        str | None,
        typer.Option(
            help="logits or probabilities; one output for two classes: sigmoid or logit, of the second class."
        ),
    ] = None,
    resize: Annotated[str | None, typer.Option(help="How photos get the input's size: stretch or crop.")] = None,
    input_size: Annotated[str | None, typer.Option(help="HEIGHTxWIDTH, if the model leaves it open (96x96).")] = None,
    photo: Annotated[
        Path | None, typer.Option(help="Check it on this photo, and show what it says.  [default: a generated picture]")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a sidecar that exists.")] = False,
    json: Json = False,
) -> None:
    """Describe a model made elsewhere, so that 'predict' and 'bench' take it.

    Reads what the file says of itself, asks for what it does not say, checks the answer on a photo, and writes a
    sidecar beside the file. Where there is no terminal, all must be given as options.
    """
    with executing(json) as terminal:
        from tledge.edge_runtime.adoption import adopt_model, missing_fields
        from tledge.edge_runtime.description import FIELDS, Description, read_size
        from tledge.edge_runtime.inspection import inspect

        options = {
            "labels": labels,
            "layout": layout,
            "input_size": input_size,
            "colour": colour,
            "input_range": input_range,
            "mean": mean,
            "std": std,
            "output": output,
            "resize": resize,
        }
        given = Description()
        for name, text in options.items():
            if text is not None:
                given = given.with_field(name, text)
        inspection = inspect(model, read_size(input_size) if input_size is not None else None)
        terminal.print(_tensors(inspection))
        asked: list[str] = []
        if terminal.can_ask:
            must, may = missing_fields(inspection, given)
            asked = [name for name in FIELDS if name in must or name in may]
            given = _ask(terminal, asked, given)
        adoption = adopt_model(inspection, given, photo=photo, overwrite=overwrite)
        _show(terminal, adoption, photo)


def _ask(terminal: Terminal, names: list[str], given: Description) -> Description:
    """Asks for fields, each until the answer can be read."""
    from tledge.edge_runtime.description import FIELDS

    for name in names:
        field = FIELDS[name]
        while True:
            try:
                given = given.with_field(
                    name, terminal.ask(f"{field.question} (such as {field.example})", field.default)
                )
                break
            except TledgeError as error:
                terminal.warn(str(error))
    return given


def _tensors(inspection: Inspection) -> Any:
    table = plain_table(("tensor", "left"), ("as the file says", "left"))
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
            "deaf": adoption.ignores_input,
        }
    )
    terminal.print()
    terminal.print(_description(adoption))
    terminal.print()
    if adoption.ignores_input:
        terminal.warn(
            "it gave one answer to a picture and to its negative: check --input-range, --mean and --std, or try --photo"
        )
    if photo is None:
        terminal.print("Checked on a generated picture; --photo PHOTO shows what it says of one of yours")
    else:
        scores = "   ".join(f"{item.label} {item.score:.3f}" for item in predictions)
        terminal.print(f"{photo}   {scores}")
    from tledge.core.artifact import path_beside

    terminal.print(f"Saved in {path_beside(artifact.path)}")
    terminal.print_command(f"tledge bench {shlex.quote(str(artifact.path))} --data PHOTOS")


def _description(adoption: Adoption) -> Any:
    sidecar, sources = adoption.artifact.sidecar, adoption.sources
    known = sidecar.preprocessing
    table = plain_table(("", "left"), ("value", "left"), ("from", "left"))
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
            table.add_row(label, value, f"assumed; --{name} says otherwise" if source == "assumed" else source)
    return table
