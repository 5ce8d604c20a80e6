"""The options of ``tledge adopt``, declared once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tledge.core.options import ARGUMENTS, REQUIRED, option

GROUPS = ("Model", "Preprocessing", "Check", "Output")


@dataclass(frozen=True, kw_only=True)
class DescriptionOptions:
    """What must be known of a model that was made elsewhere, as text; None for what the file declares."""

    labels: str | None = option(
        None,
        "A text file with the class of each output, one per line (labels.txt).",
        group="Model",
        default_text="from the file",
    )
    output: str | None = option(
        None,
        "logits or probabilities; for a single output and two classes, sigmoid or logit of the second class.",
        group="Model",
        default_text="inferred from its predictions",
    )
    input_size: str | None = option(
        None, "HEIGHTxWIDTH, if the model accepts any size (96x96).", group="Model", default_text="from the file"
    )
    layout: str | None = option(
        None,
        "Order of the input's axes, if its shape does not show it: nhwc or nchw.",
        group="Model",
        default_text="inferred from its shape",
    )
    colour: str | None = option(
        None, "Channels: rgb, bgr or grey.", group="Preprocessing", default_text="from the file, or rgb"
    )
    input_range: str | None = option(
        None,
        "What pixel values 0 and 255 become, before mean and std: 0..255, 0..1, -1..1.",
        group="Preprocessing",
        default_text="from the file",
    )
    mean: str | None = option(
        None,
        "Then subtracted: one number, or one per channel (0.485,0.456,0.406).",
        group="Preprocessing",
        default_text="from the file, or none",
    )
    std: str | None = option(
        None,
        "Then divided by: one number, or one per channel (0.229,0.224,0.225).",
        group="Preprocessing",
        default_text="from the file, or none",
    )
    resize: str | None = option(
        None, "How photos are resized to the input: stretch or crop.", group="Preprocessing", default_text="stretch"
    )


@dataclass(frozen=True, kw_only=True)
class AdoptOptions(DescriptionOptions):
    """All options of ``tledge adopt``."""

    model: Path = option(
        REQUIRED,
        "A .tflite or .onnx file that was made elsewhere; it is not changed.",
        group=ARGUMENTS,
        metavar="MODEL",
    )
    photo: Path | None = option(
        None,
        "Check the description on this photo, and show its predictions.",
        group="Check",
        default_text="a generated picture",
    )
    overwrite: bool = option(False, "Replace an existing sidecar.", group="Output")
