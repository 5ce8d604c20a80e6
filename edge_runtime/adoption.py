"""Taking a model that was made elsewhere: a sidecar beside its file, after a look at what it answers.

    inspection = inspect(Path("model.tflite"))
    adoption = adopt(inspection, Description(labels=("cat", "dog"), input_range=(-1, 1), output="logits"))

What neither the file nor the description says is an error, but for the colour and the resize rule: a file never says
those, so the usual one is taken, and ``Adoption.sources`` says that it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tledge.core import images
from tledge.core.artifact import Artifact, path_beside, write_sidecar_beside
from tledge.core.environment import installed_versions
from tledge.core.errors import ArtifactError, OptionError
from tledge.core.images import Pixels
from tledge.core.preprocessing import Preprocessing
from tledge.core.sidecar import Sidecar
from tledge.edge_runtime.adapter import Adapter
from tledge.edge_runtime.bare import BareModel
from tledge.edge_runtime.classifier import Prediction, softmax
from tledge.edge_runtime.description import FIELDS, Description
from tledge.edge_runtime.inspection import (
    Inspection,
    are_fractions,
    are_probabilities,
    lengths_by,
    span_of,
)
from tledge.edge_runtime.tensor import Logits, TensorSpec

RECIPE = "adopted"
"""In the place of the quantization recipe: how the model was made is not known."""

GIVEN, ASSUMED = "given", "assumed"

_LEAST_SPAN = 0.1  # of what pixels become, below which a model can hardly tell them apart
_LEAST_COVERED = 0.4
"""Of what a quantized input can hold, the part that pixels must fill: a symmetric one is half empty for 0..1."""

_MOST_CLIPPED = 0.25
"""Of what pixels become, the part that a quantized input may be unable to hold: calibration cuts some off."""


@dataclass(frozen=True)
class Adoption:
    """A model that was adopted.

    Attributes:
        artifact: the file with its new sidecar.
        sources: where each part of the sidecar is from: the file ("its shape"), "given" or "assumed".
        predictions: what it says of the photo, best first.
        ignores_input: whether it gave one answer to the picture and to its negative: the input range is likely wrong.
    """

    artifact: Artifact
    sources: Mapping[str, str]
    predictions: tuple[Prediction, ...]
    ignores_input: bool


def missing_fields(inspection: Inspection, given: Description) -> tuple[list[str], list[str]]:
    """What neither the file nor the description says: names of ``FIELDS`` that must be said, and that may be."""
    known = _merge(inspection, given)[0]
    unknown = [name for name in FIELDS if getattr(known, name) is None]
    if known.input_range is not None:
        unknown = [name for name in unknown if name not in ("mean", "std")]
    return (
        [name for name in unknown if FIELDS[name].default is None],
        [name for name in unknown if FIELDS[name].default is not None],
    )


def adopt_model(
    inspection: Inspection, given: Description, *, photo: Path | None = None, overwrite: bool = False
) -> Adoption:
    """Runs a model on a picture as it was described, and writes the sidecar if the answer is what it should be.

    Args:
        inspection: what the file says.
        given: what a person says; it goes before what the file says where both can be right.
        photo: the picture; without it, a generated one.
        overwrite: whether to replace a sidecar that is there.

    Raises:
        OptionError: something is not said, or contradicts the file.
        ArtifactError: the answer is not what the description says, or the model was adopted before.
        ImageError: the photo cannot be read.
    """
    beside = path_beside(inspection.path)
    if beside.exists() and not overwrite:
        raise ArtifactError(f"'{beside}' exists; --overwrite replaces it")
    sidecar, sources = make_sidecar(inspection, given)
    pixels = (
        images.load_pixels(photo, sidecar.input_size, sidecar.resize)
        if photo is not None
        else _draw(sidecar.input_size)
    )
    logits = _answer(inspection, sidecar, np.stack([pixels, 255 - pixels]))
    artifact = write_sidecar_beside(inspection.path, sidecar)
    scores = softmax(logits)[0]
    best = np.argsort(-scores, kind="stable")
    predictions = tuple(
        Prediction(sidecar.class_names[index], int(index), float(scores[index])) for index in best.tolist()
    )
    return Adoption(artifact, sources, predictions, ignores_input=bool(np.array_equal(logits[0], logits[1])))


def make_sidecar(inspection: Inspection, given: Description) -> tuple[Sidecar, Mapping[str, str]]:
    """The sidecar that follows from the file and a description, and where each of its parts is from.

    Raises:
        OptionError: something is not said, or contradicts the file.
    """
    missing, _ = missing_fields(inspection, given)
    if missing:
        wanted = ", ".join(f"`{name}` (such as {FIELDS[name].example})" for name in missing)
        raise OptionError(f"'{inspection.path}' does not say how to use it: give {wanted}")
    known, sources = _merge(inspection, given)
    defaults = {name: FIELDS[name].read(FIELDS[name].default or "") for name in ("colour", "resize")}
    for name, value in defaults.items():
        if getattr(known, name) is None:
            known, sources[name] = replace(known, **{name: value}), ASSUMED
    _check_against_shape(inspection, known)
    _check_output(inspection, known)
    try:
        preprocessing = _preprocessing(known)
    except ValueError as error:
        raise OptionError(f"'{inspection.path}' cannot be described so: {error}") from error
    _check_against_quantization(inspection.image, preprocessing)
    return (
        Sidecar(
            class_names=known.labels or (),
            input_size=known.input_size or (0, 0),
            resize=known.resize or "",
            recipe=RECIPE,
            source_run="",
            versions=installed_versions(("tledge",)),
            preprocessing=preprocessing,
        ),
        sources,
    )


def _merge(inspection: Inspection, given: Description) -> tuple[Description, dict[str, str]]:
    """What is given, and what the file says beside it; range, mean and deviation come from one of them together."""
    told = inspection.declared
    if any(value is not None for value in (given.input_range, given.mean, given.std)):
        told = replace(told, input_range=None, mean=None, std=None)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name in FIELDS:
        if getattr(given, name) is not None:
            values[name], sources[name] = getattr(given, name), GIVEN
        elif getattr(told, name) is not None:
            values[name], sources[name] = getattr(told, name), inspection.sources[name]
    return Description(**values), sources


def _preprocessing(known: Description) -> Preprocessing:
    """Raises ValueError for values that no model has."""
    channels = 1 if known.colour == "grey" else 3
    mean, std = ((values or ()) * (channels if len(values or ()) == 1 else 1) for values in (known.mean, known.std))
    return Preprocessing(
        layout=known.layout or "",
        colour=known.colour or "",
        input_range=known.input_range or (0.0, 0.0),
        mean=mean,
        std=std,
        output=known.output or "",
    )


def _check_against_shape(inspection: Inspection, known: Description) -> None:
    """Raises OptionError where layout, size or colour are not those of the input."""
    image = inspection.image
    height, width, channels = lengths_by(known.layout or "", image)
    if channels not in (1, 3, None):
        raise OptionError(f"--layout {known.layout} contradicts '{inspection.path}': {channels} channels in {image}")
    for found, wanted in zip((height, width), known.input_size or (), strict=True):
        if found not in (None, wanted):
            size = "x".join(map(str, known.input_size or ()))
            raise OptionError(f"--input-size {size} contradicts '{inspection.path}', which fixes its own: {image}")
    if channels is not None and (channels == 1) != (known.colour == "grey"):
        raise OptionError(f"--colour {known.colour} contradicts '{inspection.path}': {channels} channels in {image}")


def _check_output(inspection: Inspection, known: Description) -> None:
    """Raises OptionError where labels or kind are not those of the output."""
    labels, answers = len(known.labels or ()), inspection.output.outputs
    lone = known.output in ("sigmoid", "logit")
    if answers and lone != (answers == 1):
        kinds = "sigmoid or logit" if answers == 1 else "logits or probabilities"
        raise OptionError(
            f"--output {known.output} contradicts '{inspection.path}': it has {answers:,} output{'s'[: answers != 1]};"
            f" expected {kinds}"
        )
    if answers and labels != (2 if lone else answers):
        hint = "; is the first one of them 'background'?" if abs(labels - answers) == 1 and not lone else ""
        told = "one output, for two classes" if lone else f"{answers:,} outputs"
        raise OptionError(f"{labels:,} labels for '{inspection.path}', which has {told}{hint}")
    told_output = inspection.declared.output
    if told_output not in (None, known.output):
        raise OptionError(
            f"--output {known.output} contradicts '{inspection.path}': by {inspection.sources['output']} it gives"
            f" {told_output}"
        )


def _check_against_quantization(image: TensorSpec, preprocessing: Preprocessing) -> None:
    """Raises OptionError where an integer input cannot hold what pixels become, or is hardly used by it.

    Also where all pixels become nearly the same number: a mean and a deviation in other units than the range.
    """
    span = span_of(image)
    means = preprocessing.mean or (0.0,) * preprocessing.channels
    deviations = preprocessing.std or (1.0,) * preprocessing.channels
    channels = list(zip(means, deviations, strict=True))
    ends = [(end - mean) / std for end in preprocessing.input_range for mean, std in channels]
    low, high = min(ends), max(ends)
    if high - low < _LEAST_SPAN:
        raise OptionError(
            f"pixels 0 to 255 become {low:.4g}..{high:.4g}, which is nearly one number; --mean and --std are in the"
            " units of --input-range: 0.485 for 0..1, 123.7 for 0..255"
        )
    if span is None:
        return
    held = max(0.0, min(high, span[1]) - max(low, span[0]))
    if held < (1 - _MOST_CLIPPED) * (high - low) or held < _LEAST_COVERED * (span[1] - span[0]):
        raise OptionError(
            f"pixels that become {low:.4g}..{high:.4g} contradict the quantization of the input, which holds"
            f" {span[0]:.4g}..{span[1]:.4g}: {image}; check --input-range, --mean and --std"
        )


def _draw(size: tuple[int, int]) -> Pixels:
    """A picture of all colours: uint8 (height, width, 3)."""
    height, width = size
    down, across = np.mgrid[0:height, 0:width]
    red = 255 * across / max(width - 1, 1)
    green = 255 * down / max(height - 1, 1)
    blue = 127.5 + 127.5 * np.sin((across + down) / 3)
    picture: Pixels = np.rint(np.stack([red, green, blue], axis=-1)).astype(np.uint8)
    return picture


def _answer(inspection: Inspection, sidecar: Sidecar, pixels: Pixels) -> Logits:
    """Logits of uint8 pictures (N, height, width, 3), checked. Raises ArtifactError."""
    loaded = BareModel(inspection.path)
    try:
        adapter = Adapter(inspection.path, sidecar, loaded.image, loaded.output)
        answers = loaded.run(adapter.to_tensor(pixels))
        logits = adapter.to_logits(answers)
        values = loaded.output.to_real(answers.reshape(len(answers), -1))
    finally:
        loaded.close()
    output = sidecar.preprocessing.output if sidecar.preprocessing is not None else ""
    low, high = float(values.min()), float(values.max())
    problem = ""
    if not np.isfinite(values).all():
        problem = "its answer is not finite; check --input-range, --mean and --std"
    elif logits.shape[1] != len(sidecar.class_names):
        problem = f"{len(sidecar.class_names):,} labels for {logits.shape[1]:,} outputs"
    elif output == "probabilities" and not are_probabilities(values, inspection.output):
        sums = values.sum(axis=1)
        problem = f"not probabilities: from {low:.4g} to {high:.4g}, together {sums[0]:.4g}; is it --output logits?"
    elif output == "sigmoid" and not are_fractions(values):
        problem = f"no sigmoid: {low:.4g}, outside 0 to 1; is it --output logit?"
    elif output == "logits" and are_probabilities(values, inspection.output):
        problem = "not logits: all from 0 to 1, together 1; is it --output probabilities?"
    if problem:
        raise ArtifactError(f"'{inspection.path}' answers otherwise than described: {problem}")
    return logits
