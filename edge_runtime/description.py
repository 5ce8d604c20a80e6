"""The user's description of a model made elsewhere: the parameters of ``adopt``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tledge.core.errors import OptionError, UnknownNameError
from tledge.core.images import RESIZE_RULES
from tledge.core.label_file import read_labels
from tledge.core.preprocessing import COLOURS, LAYOUTS, OUTPUTS


@dataclass(frozen=True, kw_only=True)
class Description:
    """How to use a model; None for what is not known.

    Attributes:
        labels: the class of each output.
        layout: the order of the input's axes: one of ``core.preprocessing.LAYOUTS``.
        input_size: (height, width).
        colour: one of ``core.preprocessing.COLOURS``.
        input_range: the values that pixels 0 and 255 become.
        mean, std: subtracted and divided by after that: one value per channel, one for all, or none.
        output: one of ``core.preprocessing.OUTPUTS``.
        resize: one of ``core.images.RESIZE_RULES``.
    """

    labels: tuple[str, ...] | None = None
    layout: str | None = None
    input_size: tuple[int, int] | None = None
    colour: str | None = None
    input_range: tuple[float, float] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    output: str | None = None
    resize: str | None = None

    def with_field(self, name: str, text: str) -> Description:
        """Returns a copy with one of ``FIELDS`` read from text. Raises OptionError or UnknownNameError."""
        return replace(self, **{name: FIELDS[name].read(text)})


@dataclass(frozen=True)
class Field:
    """A field of a description, as users are asked for it.

    Attributes:
        question: the question to the user.
        example: a valid value, as text.
        read: converts text to the field's value. Raises OptionError or UnknownNameError.
        default: the usual value, as text; None if the field must be given.
    """

    question: str
    example: str
    read: Callable[[str], Any]
    default: str | None = None


def read_range(text: str) -> tuple[float, float]:
    """Reads "-1..1" as (-1.0, 1.0). Raises OptionError."""
    try:
        low, high = (float(part) for part in text.split(".."))
        if low < high and abs(low) + abs(high) < float("inf"):
            return low, high
    except ValueError:
        pass
    raise OptionError(
        f"`input_range` must be what pixel values 0 and 255 map to, such as 0..255, 0..1 or -1..1; received '{text}'"
    )


def read_size(text: str) -> tuple[int, int]:
    """Reads "96x128" as (96, 128). Raises OptionError."""
    parts = text.lower().split("x")
    if len(parts) in (1, 2) and all(part.isdecimal() and int(part) > 0 for part in parts):
        return int(parts[0]), int(parts[-1])
    raise OptionError(f"`input_size` must be HEIGHTxWIDTH, as in 96x96; received '{text}'")


def _read_numbers(name: str, example: str) -> Callable[[str], tuple[float, ...]]:
    def read(text: str) -> tuple[float, ...]:
        parts = [part for part in text.split(",") if part.strip()]
        try:
            return tuple(float(part) for part in parts)
        except ValueError as error:
            raise OptionError(
                f"`{name}` must be one number or one per channel, as in {example}; received '{text}'"
            ) from error

    return read


def _read_one_of(kind: str, known: tuple[str, ...]) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in known:
            raise UnknownNameError(kind, text, known)
        return text

    return read


MEAN, STD = "0.485,0.456,0.406", "0.229,0.224,0.225"

FIELDS: dict[str, Field] = {
    "labels": Field("File of labels, one class per line", "labels.txt", read_labels),
    "layout": Field("Order of the input's axes: nhwc or nchw", "nchw", _read_one_of("layout", LAYOUTS)),
    "input_size": Field("Size of the input, HEIGHTxWIDTH", "96x96", read_size),
    "colour": Field("Channels: rgb, bgr or grey", "rgb", _read_one_of("colour", COLOURS), "rgb"),
    "input_range": Field("What pixel values 0 and 255 map to, before mean and std", "0..1", read_range),
    "mean": Field("Mean to subtract then: one number, or one per channel", MEAN, _read_numbers("mean", MEAN), ""),
    "std": Field("Standard deviation to divide by: one number, or one per channel", STD, _read_numbers("std", STD), ""),
    "output": Field(
        "Output: logits or probabilities; for a single output: sigmoid or logit",
        "logits or probabilities",
        _read_one_of("output", OUTPUTS),
    ),
    "resize": Field(
        "How photos are resized: stretch or crop",
        "crop",
        _read_one_of("resize rule", RESIZE_RULES),
        "stretch",
    ),
}
"""The fields of a description, in the order in which users are asked for them."""
