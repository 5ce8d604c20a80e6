"""What a model file made elsewhere declares about itself."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tledge.core import sidecar_storage
from tledge.core.errors import ArtifactError, OptionError
from tledge.core.label_file import trim_labels
from tledge.edge_runtime.bare import BareModel
from tledge.edge_runtime.description import Description
from tledge.edge_runtime.input_range import is_about, range_of_bytes, span_of
from tledge.edge_runtime.model_tasks import TAKEN, check_scores, check_task
from tledge.edge_runtime.model_trial import try_model
from tledge.edge_runtime.output_operator import LINEAR, SCALED_SIGMOID, SIGMOID, SOFTMAX, output_operator
from tledge.edge_runtime.tensor import CHANNELS, Logits, Tensor, TensorSpec
from tledge.edge_runtime.tflite_metadata import read_metadata

LEAST_SIDE = 8
"""The smallest side of an image whose values are along a single axis."""

PROBES = 8
"""Number of random inputs to distinguish probabilities from logits."""

MULTI_LABEL = (
    "its outputs are independent probabilities, such as several sigmoids, which do not sum to 1: several labels can"
    " apply at once; tledge classifies one label per photo"
)
"""Why a multi-label model is rejected."""

ROUNDING = 0.02
"""How far the sum of probabilities may be from 1, or further, if quantization rounds them more."""


@dataclass(frozen=True)
class Inspection:
    """What a model file declares.

    Attributes:
        path: the file.
        image: the input tensor.
        output: the output tensor.
        about: the description in its metadata; empty without one.
        declared: how to use the model, as far as the file declares it.
        sources: where in the file that is from, by the field names of ``declared`` ("its shape").
    """

    path: Path
    image: TensorSpec
    output: TensorSpec
    about: str = ""
    declared: Description = field(default_factory=Description)
    sources: Mapping[str, str] = field(default_factory=dict)


def inspect(
    model: Path, input_size: tuple[int, int] | None = None, *, grey: bool = False, trial: bool = True
) -> Inspection:
    """Reads what a model file declares: shapes, dtypes, quantization, metadata, and whether it returns probabilities.

    The file is first loaded and run in a child process, so that one that crashes its runtime is an error.

    Args:
        model: a TFLite or ONNX file.
        input_size: (height, width), for a model that leaves it open.
        grey: the user says that it takes grey photos, so that its input's shape is no sign of audio.
        trial: whether to try it in a child process first; without that, a damaged file can end this process.

    Raises:
        ArtifactError: the file does not exist, cannot be loaded, crashes its runtime, needs more memory than there is,
            does not end, or is not an image classifier.
        OptionError: it is a Keras file, or tledge exported it.
        MissingExtraError: ONNX Runtime is not installed.
    """
    if model.is_file():
        _check_foreign(model)
        if trial:
            try_model(model, input_size, grey=grey)
    loaded = BareModel(model)
    try:
        image, output = loaded.image, loaded.output
        check_task(model, image, output, grey=grey)
        _check_classifier(model, image, output)
        declared: dict[str, tuple[Any, str]] = {}
        layout = layout_of(image)
        if layout is not None:
            declared["layout"] = layout, "its shape"
        if layout is not None or len(image.shape) < 4:
            height, width, channels = lengths_by(layout or "", image)
            if height is not None and width is not None:
                declared["input_size"] = (height, width), "its shape"
            if channels == 1 and len(image.shape) == 4:
                declared["colour"] = "grey", "its shape"
        about = _read_metadata_of(model, loaded.target.runtime, declared)
        span = range_of_bytes(image)
        if span is not None:
            declared.setdefault("input_range", (span, "its quantization" if image.scale else "its dtype"))
        if layout is None or input_size is None:
            _check_open_output(model, loaded)
        kind = _kind_of_output(model, loaded, layout, input_size)
        if kind is not None:
            declared["output"] = kind
    finally:
        loaded.close()
    known = Description(**{name: value for name, (value, _) in declared.items()})
    return Inspection(
        model, image, loaded.output, about, known, {name: source for name, (_, source) in declared.items()}
    )


def layout_of(image: TensorSpec) -> str | None:
    """Returns the order of the axes, "nhwc" or "nchw", if only one gives 1 or 3 channels."""
    if len(image.shape) != 4:
        return "nhwc" if lengths_by("nhwc", image)[2] == 1 else None
    last, second = image.shape[3] in CHANNELS, image.shape[1] in CHANNELS
    return None if last == second else "nhwc" if last else "nchw"


def lengths_by(layout: str, image: TensorSpec) -> tuple[int | None, int | None, int | None]:
    """Returns (height, width, channels) of an input, None for open lengths.

    Grey images may have no axis of channels, and square ones a single axis for all their values.
    """
    if len(image.shape) == 4:
        _, first, second, third = image.shape
        return (first, second, third) if layout == "nhwc" else (second, third, first)
    if len(image.shape) == 3:
        return image.shape[1], image.shape[2], 1
    values = image.shape[1] or 0
    for channels in CHANNELS:
        side = math.isqrt(values // channels)
        if side >= LEAST_SIDE and channels * side**2 == values:
            return side, side, channels
    return None, None, None


def are_probabilities(values: Logits, output: TensorSpec) -> bool:
    """Whether all values (N, classes) are from 0 to 1 and each row sums to 1, up to rounding."""
    return are_fractions(values) and bool(np.all(np.abs(values.sum(axis=1) - 1) <= sum_tolerance(output)))


def are_fractions(values: Logits) -> bool:
    """Whether all values are from 0 to 1, up to rounding."""
    return bool(np.all((values >= -1e-3) & (values <= 1 + 1e-3)))


def are_independent(values: Logits, output: TensorSpec) -> bool:
    """Whether values (N, classes) look like several sigmoids: all are from 0 to 1, some above 0, and sums are not 1.

    A quantized output that can be outside of 0..1 is no sigmoid.
    """
    span = span_of(output)
    possible = span is None or is_about(span, (0.0, 1.0))
    return possible and are_fractions(values) and bool(values.any()) and not are_probabilities(values, output)


def sum_tolerance(output: TensorSpec) -> float:
    """Returns how far probabilities may sum from 1: quantization rounds each by up to half a step."""
    return max(ROUNDING, output.scale * max(output.outputs, 1) / 2)


def _check_foreign(model: Path) -> None:
    """Raises OptionError for files that cannot or need not be adopted."""
    model_format = sidecar_storage.format_of(model)
    if model_format == "keras":
        raise OptionError(f"'{model}' is a Keras file: `export(model='{model}', data='PHOTOS')` imports it as a run")
    if sidecar_storage.extract(model, model_format, sidecar_storage.SIDECAR) is not None:
        raise OptionError(f"'{model}' was exported by tledge and has a sidecar; there is no need to adopt it")


def _check_classifier(model: Path, image: TensorSpec, output: TensorSpec) -> None:
    """Raises ArtifactError if the tensors cannot be those of an image classifier."""
    problem = ""
    if not _may_be_images(image):
        problem = "expected an input with four axes, one of them 1 or 3 channels, or grey images without that axis"
    elif image.shape[0] not in (None, 1):
        problem = f"it only takes batches of {image.shape[0]}; convert it for single images"
    elif image.dtype not in (np.uint8, np.int8, np.int16, np.float16, np.float32):
        problem = "expected an input of uint8, int8, int16, float16 or float32"
    elif not np.issubdtype(output.dtype, np.floating) and not output.scale:
        problem = "its output is integers without a scale, such as class numbers; expected logits or probabilities"
    elif len(output.shape) > 1 and output.shape[0] not in (None, 1):
        problem = "its output has no batch axis"
    if problem:
        raise ArtifactError(f"'{model}' is not an image classifier: {problem}; input {image}, output {output}")


def _may_be_images(image: TensorSpec) -> bool:
    if len(image.shape) == 4:
        return bool({image.shape[1], image.shape[3]} & {1, 3, None})
    return len(image.shape) == 3 or (len(image.shape) == 2 and lengths_by("nhwc", image)[2] is not None)


def _check_open_output(model: Path, loaded: BareModel) -> None:
    """Raises ArtifactError, naming the task, if an output that the file leaves open turns out to be a map."""
    if loaded.output.shape and None not in loaded.output.shape[1:]:
        return
    image = loaded.random_input(0)
    try:
        output = loaded.run(image)
    except ArtifactError as error:  # it does not take an image of the usual size
        if len(loaded.output.shape) != 3:
            return
        what = f"a model of sequences or boxes (output {loaded.output})"
        raise ArtifactError(f"'{model}' is {what}, not an image classifier; {TAKEN}") from error
    _check_shapes(model, loaded, image, output)


def _check_shapes(model: Path, loaded: BareModel, image: Tensor, output: Tensor) -> None:
    specs = (replace(spec, shape=array.shape) for spec, array in ((loaded.image, image), (loaded.output, output)))
    check_task(model, *specs, grey=True)
    if not loaded.output.shape:  # the file does not even say how many axes it has
        loaded.output = replace(loaded.output, shape=(None, *output.shape[1:]))


def _read_metadata_of(model: Path, runtime: str, declared: dict[str, tuple[Any, str]]) -> str:
    """Adds what the metadata declares to ``declared``; returns the model's description."""
    if runtime != "litert":
        properties = sidecar_storage.read_properties(model)
        labels = _labels_from(properties)
        if labels:
            declared["labels"] = labels, "its metadata"
        return properties.get("description", "")
    metadata = read_metadata(model)
    labels = trim_labels(metadata.labels)
    if labels:
        declared["labels"] = labels, "its metadata"
    if metadata.colour:
        declared.setdefault("colour", (metadata.colour, "its metadata"))
    if metadata.mean and len(metadata.mean) == len(metadata.std) and min(metadata.std) > 0:
        if len(metadata.mean) == 1:  # equivalent to a range, and shorter
            (mean,), (std,) = metadata.mean, metadata.std
            declared["input_range"] = ((0 - mean) / std, (255 - mean) / std), "its metadata"
        else:
            declared["input_range"] = (0.0, 255.0), "its metadata"
            declared["mean"], declared["std"] = (metadata.mean, "its metadata"), (metadata.std, "its metadata")
    return metadata.description


def _labels_from(properties: Mapping[str, str]) -> tuple[str, ...]:
    """Returns the labels in ONNX metadata: lines, or a mapping from index to name as Ultralytics writes it."""
    if sidecar_storage.LABELS in properties:
        return trim_labels(properties[sidecar_storage.LABELS].splitlines())
    try:
        names = ast.literal_eval(properties.get("names", ""))
    except (ValueError, SyntaxError):
        return ()
    if isinstance(names, dict):
        names = [names.get(index) for index in range(len(names))]
    return tuple(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else ()


def _kind_of_output(
    model: Path, loaded: BareModel, layout: str | None, input_size: tuple[int, int] | None
) -> tuple[str, str] | None:
    """Returns the kind of the output and how it was found; None if it cannot be found.

    Rows that sum to 1 are probabilities, and values outside 0 to 1 are not. Where values decide nothing, the operator
    that computes them does.

    Raises:
        ArtifactError: the model is a multi-label model.
    """
    span = span_of(loaded.output)
    if loaded.output.outputs == 1 and span and is_about(span, (0.0, 1.0)):
        return "sigmoid", "its quantization"
    operator = output_operator(model)
    by_operator = {LINEAR: "logits", SOFTMAX: "probabilities"}.get(operator)
    several = loaded.output.outputs != 1
    if None not in loaded.image.shape[1:] or (layout is not None and input_size is not None):
        values = _probe(model, loaded, layout, input_size)
        several = values.shape[1] > 1
        if several and are_probabilities(values, loaded.output):
            return "probabilities", "its outputs"
        if several and (
            operator in (SIGMOID, SCALED_SIGMOID) or (operator == "" and are_independent(values, loaded.output))
        ):
            raise ArtifactError(f"'{model}' is a multi-label model: {MULTI_LABEL}")
        if not are_fractions(values):
            return "logits" if several else "logit", "its outputs"
    if not several:
        by_operator = {LINEAR: "logit", SIGMOID: "sigmoid"}.get(operator)
    return None if by_operator is None else (by_operator, "its last operator")


def _probe(model: Path, loaded: BareModel, layout: str | None, input_size: tuple[int, int] | None) -> Logits:
    """Returns the model's outputs for random inputs: float32 (PROBES, outputs); raises ArtifactError if not classes."""
    lengths: tuple[int, ...] | None = None
    if None in loaded.image.shape[1:] and layout is not None and input_size is not None:
        channels = lengths_by(layout, loaded.image)[2] or 3
        lengths = (*input_size, channels) if layout == "nhwc" else (channels, *input_size)
        lengths = lengths if len(loaded.image.shape) == 4 else input_size
    rows = []
    for seed in range(PROBES):
        image = loaded.random_input(seed, lengths=lengths)
        output = loaded.run(image)
        _check_shapes(model, loaded, image, output)
        rows.append(loaded.output.to_real(output).reshape(1, -1))
    scores = np.concatenate(rows)
    check_scores(model, scores, loaded.output)
    return scores
