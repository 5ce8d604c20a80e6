"""Adopting a model made elsewhere: writing a sidecar beside its file, after checking its output.

    inspection = inspect(Path("model.tflite"))
    adoption = adopt_model(inspection, Description(labels=("cat", "dog"), input_range=(-1, 1), output="logits"))

Whatever neither the file nor the description specifies is an error, except for the colour and the resize rule. Files
rarely declare those, so they get the usual value, and ``Adoption.sources`` marks them as assumed.
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
from tledge.edge_runtime.classifier import Prediction, ranked
from tledge.edge_runtime.description import FIELDS, Description
from tledge.edge_runtime.input_range import check_span
from tledge.edge_runtime.inspection import (
    MULTI_LABEL,
    Inspection,
    are_fractions,
    are_independent,
    are_probabilities,
    lengths_by,
)
from tledge.edge_runtime.tensor import Logits

RECIPE = "adopted"
"""Stored instead of the quantization recipe, which is unknown."""

GIVEN, ASSUMED = "given", "assumed"

_OUTPUTS = ("logits or probabilities", "sigmoid or logit")
"""The possible outputs of a model with several values, and of one with a single value."""


@dataclass(frozen=True)
class Adoption:
    """A model that was adopted.

    Attributes:
        artifact: the file with its new sidecar.
        sources: the source of each part of the sidecar: the file ("its shape"), "given" or "assumed".
        predictions: its predictions for the photo, best first.
        ignores_input: whether a picture and its negative gave equal logits, so the input range is likely wrong.
    """

    artifact: Artifact
    sources: Mapping[str, str]
    predictions: tuple[Prediction, ...]
    ignores_input: bool


def missing_fields(inspection: Inspection, given: Description) -> tuple[list[str], list[str]]:
    """Returns the names of ``FIELDS`` that neither the file nor the user gives: required ones, and optional ones."""
    known = _merge(inspection, given)[0]
    unknown = [name for name in FIELDS if getattr(known, name) is None]
    if known.input_range is not None:
        unknown = [name for name in unknown if name not in ("mean", "std")]
    return (
        [name for name in unknown if FIELDS[name].default is None],
        [name for name in unknown if FIELDS[name].default is not None],
    )


def example_of(name: str, inspection: Inspection) -> str:
    """Returns a valid value of one of ``FIELDS`` for a model, as text."""
    return _OUTPUTS[inspection.output.outputs == 1] if name == "output" else FIELDS[name].example


def adopt_model(
    inspection: Inspection, given: Description, *, photo: Path | None = None, overwrite: bool = False
) -> Adoption:
    """Runs a model on a picture as described, and writes its sidecar if the output is as described.

    Args:
        inspection: what the file declares; ``inspect`` has tried the file in a child process.
        given: the user's description, which takes precedence over the file.
        photo: the picture; by default a generated one.
        overwrite: whether to replace an existing sidecar.

    Raises:
        OptionError: something is missing, or contradicts the file.
        ArtifactError: the output is not as described, or the model was adopted before.
        ImageError: the photo cannot be read.
    """
    beside = path_beside(inspection.path)
    if beside.exists() and not overwrite:
        raise ArtifactError(f"'{beside}' exists; pass `overwrite=True` to replace it")
    sidecar, sources = make_sidecar(inspection, given)
    size = sidecar.input_size
    pixels = _generate_picture(size) if photo is None else images.load_pixels(photo, size, sidecar.resize)
    scores, ignores_input = _compute_scores(inspection, sidecar, np.stack([pixels, 255 - pixels]))
    artifact = write_sidecar_beside(inspection.path, sidecar)
    return Adoption(artifact, sources, tuple(ranked(scores[0], sidecar.class_names)), ignores_input)


def make_sidecar(inspection: Inspection, given: Description) -> tuple[Sidecar, Mapping[str, str]]:
    """Returns the sidecar that follows from the file and the description, and the source of each of its parts.

    Raises:
        OptionError: something is missing, or contradicts the file.
    """
    missing, _ = missing_fields(inspection, given)
    if missing:
        wanted = ", ".join(f"`{name}` (such as {example_of(name, inspection)})" for name in missing)
        raise OptionError(f"'{inspection.path}' does not declare its preprocessing or output; pass {wanted}")
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
        raise OptionError(f"the description of '{inspection.path}' is not valid: {error}") from error
    check_span(inspection.image, preprocessing)
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
    """Merges the description with what the file declares; input_range, mean and std come from the same source."""
    declared = inspection.declared
    if any(value is not None for value in (given.input_range, given.mean, given.std)):
        declared = replace(declared, input_range=None, mean=None, std=None)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for name in FIELDS:
        if getattr(given, name) is not None:
            values[name], sources[name] = getattr(given, name), GIVEN
        elif getattr(declared, name) is not None:
            values[name], sources[name] = getattr(declared, name), inspection.sources[name]
    return Description(**values), sources


def _preprocessing(known: Description) -> Preprocessing:
    """Raises ValueError for values that are not valid."""
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
    """Raises OptionError if layout, size or colour contradict the input's shape."""
    image = inspection.image
    height, width, channels = lengths_by(known.layout or "", image)
    if len(image.shape) < 4 and channels == 1 and known.colour != "grey":
        raise OptionError(
            f"'{inspection.path}' has no axis of channels: {image}; pass `colour='grey'` if it takes grey images of"
            f" {height or '?'}x{width or '?'}; otherwise it is not an image classifier"
        )
    if channels not in (1, 3, None):
        raise OptionError(f"`layout='{known.layout}'` contradicts '{inspection.path}': {channels} channels in {image}")
    for found, wanted in zip((height, width), known.input_size or (), strict=True):
        if found not in (None, wanted):
            size = "x".join(map(str, known.input_size or ()))
            raise OptionError(f"`input_size='{size}'` contradicts '{inspection.path}', whose size is fixed: {image}")
    if channels is not None and (channels == 1) != (known.colour == "grey"):
        raise OptionError(f"`colour='{known.colour}'` contradicts '{inspection.path}': {channels} channels in {image}")


def _check_output(inspection: Inspection, known: Description) -> None:
    """Raises OptionError if the labels or the kind of output contradict the output's shape."""
    labels, outputs = len(known.labels or ()), inspection.output.outputs
    single = known.output in ("sigmoid", "logit")
    if outputs and single != (outputs == 1):
        raise OptionError(
            f"`output='{known.output}'` contradicts '{inspection.path}': it has {outputs:,} output{'s'[: outputs != 1]}"
            f"; expected {_OUTPUTS[outputs == 1]}"
        )
    if outputs and labels != (2 if single else outputs):
        hint = "; one of them may be a 'background' class" if abs(labels - outputs) == 1 and not single else ""
        found = "one output, for two classes" if single else f"{outputs:,} outputs"
        raise OptionError(f"{labels:,} labels for '{inspection.path}', which has {found}{hint}")
    declared = inspection.declared.output
    if declared not in (None, known.output):
        raise OptionError(
            f"`output='{known.output}'` contradicts '{inspection.path}': judging by {inspection.sources['output']}, it"
            f" returns {declared}"
        )


def _generate_picture(size: tuple[int, int]) -> Pixels:
    """Generates a picture of all colours: uint8 (height, width, 3)."""
    height, width = size
    down, across = np.mgrid[0:height, 0:width]
    red = 255 * across / max(width - 1, 1)
    green = 255 * down / max(height - 1, 1)
    blue = 127.5 + 127.5 * np.sin((across + down) / 3)
    picture: Pixels = np.rint(np.stack([red, green, blue], axis=-1)).astype(np.uint8)
    return picture


def _compute_scores(inspection: Inspection, sidecar: Sidecar, pixels: Pixels) -> tuple[Logits, bool]:
    """Returns probabilities for two uint8 pictures (2, height, width, 3), and whether the model's outputs are equal.

    Raises:
        ArtifactError: the outputs are not as described.
    """
    loaded = BareModel(inspection.path)
    try:
        adapter = Adapter(inspection.path, sidecar, loaded.image, loaded.output)
        outputs = loaded.run(adapter.to_tensor(pixels))
    finally:
        loaded.close()
    kind = sidecar.preprocessing.output if sidecar.preprocessing is not None else ""
    values = loaded.output.to_real(outputs.reshape(len(pixels), -1))
    labels, found = len(sidecar.class_names), values.shape[1] + (kind in ("sigmoid", "logit"))
    problem = f"{labels:,} labels for {found:,} classes"
    if labels == found:
        problem = _find_problem(kind, values, inspection)
    if problem:
        raise ArtifactError(f"the output of '{inspection.path}' does not match its description: {problem}")
    return adapter.to_probabilities(outputs), bool(np.array_equal(values[0], values[1]))


def _find_problem(kind: str, values: Logits, inspection: Inspection) -> str:
    """Returns how the outputs for N pictures, float32 (N, outputs), contradict their kind; "" if they do not."""
    fractions, probabilities = are_fractions(values), are_probabilities(values, inspection.output)
    found = f"values from {values.min():.4g} to {values.max():.4g}"
    if not np.isfinite(values).all():
        return "values are not finite; check `input_range`, `mean` and `std`"
    if kind == "probabilities" and not fractions:
        return f"{found} are not probabilities; try `output='logits'`"
    if kind == "probabilities" and not probabilities:
        return f"{found} with a sum of {values[0].sum():.4g}; this is a multi-label model: {MULTI_LABEL}"
    if kind == "sigmoid" and not fractions:
        return f"{values.min():.4g} is not between 0 and 1, as a sigmoid is; try `output='logit'`"
    if kind == "logits" and probabilities:
        return "values from 0 to 1 with a sum of 1 are not logits; try `output='probabilities'`"
    if kind == "logits" and inspection.declared.output is None and are_independent(values, inspection.output):
        return f"{found} are not logits; this is a multi-label model: {MULTI_LABEL}"
    return ""
