"""What a model is for, where that is not classifying images, by the shapes, types and names of its tensors.

``OF_INPUTS`` and ``OF_OUTPUTS`` are in order: the first rule that applies names the task. A model that no rule knows is
described by its tensors alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from tledge.core.errors import ArtifactError
from tledge.core.number_text import counted
from tledge.edge_runtime.tensor import Logits, TensorSpec

TAKEN = "tledge takes models with one image in and one score per class out"

_BOXES = re.compile(r"detection|boxes|\bdets?\b|num_det|anchors", re.IGNORECASE)
_SPOKEN = re.compile(r"audio|wave?form|\bwav\b|spectro|mfcc|(?<![a-z])mel|sound|speech", re.IGNORECASE)
_KEYPOINTS = (16, 17, 21, 33, 68, 133, 468)
"""Points of COCO and MPII poses, hands, bodies and faces."""

_COORDINATES = {points * values for points in (*_KEYPOINTS, 39, 71, 478) for values in (2, 3, 4, 5)}
"""Values of a list of points: MediaPipe has 39 for a body, 71 for an eye, and up to 5 values for each."""

_WIDTHS = (128, 192, 256, 320, 384, 512, 640, 768, 1024, 1152, 1280)
"""Usual widths of a transformer's tokens."""

_SPECTROGRAM = "an audio model (input {} is a spectrogram)"
_LEAST_EMBEDDING = 16
_WAVE = 4000
"""Samples of a quarter of a second at 16 kHz."""

_FEW = 64
"""Fewer values are no photo: 8 x 8 pixels."""

_CANDIDATES = 100
"""The least number of boxes that a detector returns."""

_LONG = 2.0
"""A one-channel input with one side this many times the other is a spectrogram rather than a grey photo."""

_SHORT = 16
"""So is one with a side this short, unless it is square."""

_FRAMES = {49, 59, 98, 99, 101}
"""And one with a side of so many: the frames of a second of sound or a little more, every 10 or 20 ms."""

_SENSORS = 8
"""A shorter side is the values of sensors."""

Rule = Callable[[Sequence[TensorSpec], Sequence[TensorSpec]], str]


def check_tensors(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], model: Path) -> None:
    """Raises ArtifactError, with the task of the model if it is known, unless it has one input and one output."""
    for kind, tensors in (("input", inputs), ("output", outputs)):
        if len(tensors) != 1 or _is_text(tensors[0]):
            task = _first((*OF_INPUTS, *OF_OUTPUTS), inputs, outputs)
            listed = "; ".join(map(str, tensors)) or "none"
            what = f"{task}, not an image classifier" if task else "not an image classifier"
            raise ArtifactError(f"'{model}' is {what}: expected one {kind}, found {len(tensors)}: {listed}")


def check_task(model: Path, image: TensorSpec, output: TensorSpec, *, grey: bool = False) -> None:
    """Raises ArtifactError, naming the task, if the tensors are those of another kind of model.

    Args:
        model: the file, for the message.
        image, output: its tensors.
        grey: the user says that the input is a grey photo, so its shape is no sign of audio.
    """
    task = _first(OF_OUTPUTS if grey else (*OF_INPUTS, *OF_OUTPUTS), (image,), (output,))
    if task:
        raise ArtifactError(f"'{model}' is {task}, not an image classifier; {TAKEN}")


def check_scores(model: Path, scores: Logits, output: TensorSpec) -> None:
    """Raises ArtifactError if outputs for several images (N, values) all have length 1: they are embeddings.

    Probabilities of length 1, those of a model that is always certain, sum to 1 and pass.
    """
    if scores.shape[1] < _LEAST_EMBEDDING or len(scores) < 2:
        return
    tolerance = max(1e-3, output.scale)
    lengths, sums = np.linalg.norm(scores, axis=1), scores.sum(axis=1)
    if np.all(np.abs(lengths - 1) <= tolerance) and not np.all(np.abs(sums - 1) <= tolerance):
        raise ArtifactError(
            f"'{model}' computes embeddings (all outputs are vectors of {scores.shape[1]} values with length 1), not"
            f" classes; {TAKEN}"
        )


def _first(rules: Sequence[Rule], inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> str:
    return next((task for rule in rules if (task := rule(inputs, outputs))), "")


def _text(inputs: Sequence[TensorSpec], _: Sequence[TensorSpec]) -> str:
    for item in inputs:
        if _is_text(item):
            return f"a text model (input {_shape(item)} of strings)"
        if item.dtype in (np.int32, np.int64) and len(item.shape) == 2:
            return f"a text model (input {_shape(item)} of token numbers)"
    return ""


def _waveform(inputs: Sequence[TensorSpec], _: Sequence[TensorSpec]) -> str:
    """Names models of one axis of samples; those of a square's area, or of few values, may take flat photos."""
    if len(inputs) != 1 or len(inputs[0].shape) not in (1, 2):
        return ""
    image = inputs[0]
    samples = image.shape[-1]
    areas = [samples // channels for channels in (1, 3) if samples and samples % channels == 0]
    photo = (samples or 0) >= _FEW and any(math.isqrt(area) ** 2 == area for area in areas)
    if samples is None or _SPOKEN.search(image.name) or (samples >= _WAVE and not photo):
        count = "any number of" if samples is None else f"{samples:,}"
        return f"an audio model (input {_shape(image)} is {count} samples)"
    return "" if photo else f"a model of tables (input {_shape(image)} is {counted(samples, 'numbers')})"


def _recurrent(inputs: Sequence[TensorSpec], _: Sequence[TensorSpec]) -> str:
    if len(inputs) > 1 and not any(len(item.shape) == 4 for item in inputs):
        return f"a model of sound or other sequences (inputs {_shapes(inputs)})"
    return ""


def _column(inputs: Sequence[TensorSpec], _: Sequence[TensorSpec]) -> str:
    if (
        len(inputs) == 1
        and len(shape := inputs[0].shape) == 4
        and shape[2] == 1
        and min(shape[1] or 0, shape[3] or 0) > 1
    ):
        return _SPECTROGRAM.format(_shape(inputs[0]))
    return ""


def _spectrogram(inputs: Sequence[TensorSpec], _: Sequence[TensorSpec]) -> str:
    if len(inputs) != 1 or len(inputs[0].shape) not in (3, 4):
        return ""
    image = inputs[0]
    lengths = image.shape[:2] if len(image.shape) == 3 and image.shape[2] == 1 else image.shape[1:]
    text, sides = _shape(image), sorted(length or 0 for length in lengths if length != 1)
    if _SPOKEN.search(image.name):
        return _SPECTROGRAM.format(text)
    grey = len(image.shape) == 3 or 1 in image.shape[1:]
    if not grey or image.shape[0] not in (None, 1) or len(sides) != 2 or sides[0] == sides[1] or sides[1] < _SHORT:
        return ""
    if 0 in sides or (sides[0] > _SHORT and sides[1] < _LONG * sides[0] and _FRAMES.isdisjoint(sides)):
        return ""
    kind, what = ("an audio model", "spectrogram") if sides[0] >= _SENSORS else ("a model of sensors", "time series")
    return f"{kind} (input {text} is a {what}; for grey photos of that shape, pass `colour='grey'`)"


def _points(_: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> str:
    if len(outputs) > 1 and any(item.outputs in _COORDINATES and item.outputs in item.shape for item in outputs):
        return f"a pose or landmark model (outputs {_shapes(outputs)} are coordinates of points)"
    return ""


def _detector(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> str:
    if len(outputs) > 1 and any(_BOXES.search(item.name) for item in outputs):
        return f"an object detector (outputs {_shapes(outputs)} are boxes and their classes)"
    if len(outputs) > 1 and all(len(item.shape) in (4, 5) for item in outputs):
        return f"a model of maps, as detectors and pose models are (outputs {_shapes(outputs)})"
    for item in outputs:
        if len(item.shape) != 3 or None in item.shape[1:]:
            continue
        first, second = (length or 0 for length in item.shape[1:])
        if second in _WIDTHS and first > 1 and math.isqrt(first) ** 2 in (first, first - 1):
            return f"a feature extractor (output {_shape(item)} is {first} tokens of {second} values)"
        if (first >= _CANDIDATES and first > second >= 4) or (first >= 4 and second in _cells(inputs)):
            small, large = sorted((first, second))
            return f"an object detector (output {_shape(item)} is {large:,} candidates of {small} values)"
    return ""


def _cells(inputs: Sequence[TensorSpec]) -> set[int]:
    """Returns how many boxes a detector may have: grids of neighbouring strides, 4 to 64, one to three in each cell."""
    height, width = _sides(inputs[0]) if inputs else (0, 0)
    grids = [-(-height // stride) * -(-width // stride) for stride in (4, 8, 16, 32, 64)]
    return {sum(grids[a:b]) * boxes for a in range(5) for b in range(a + 1, 6) for boxes in (1, 2, 3)} - {0}


def _value_for_each_pixel(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> str:
    for output in outputs if inputs else ():
        if len(output.shape) == 3 and 0 not in (size := _sides(inputs[0])) and size == output.shape[1:]:
            kind = "a segmentation" if np.issubdtype(output.dtype, np.integer) else "a depth or segmentation"
            return f"{kind} model (output {_shape(output)} is a value for each pixel)"
    return ""


def _map(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> str:
    if len(outputs) != 1 or len(inputs) != 1:
        return ""
    output = outputs[0]
    shape, text = output.shape, _shape(output)
    if len(shape) == 3 and (shape[0] in (None, 1) or inputs[0].shape[0] == 1):
        steps = (shape[1] if shape[0] in (None, 1) else shape[0]) or 0
        if steps > 1 and (shape[2] or 0) > 1:
            return f"a model of sequences, as text recognition is (output {text})"
    if len(shape) != 4 or None in shape[1:] or output.outputs == max(length or 0 for length in shape[1:]):
        return ""
    return _map_of_pixels(text, _sides(output), _sides(inputs[0]), _channels(output))


def _map_of_pixels(text: str, sides: tuple[int, int], size: tuple[int, int], channels: int) -> str:
    """Names the task of a model whose output is a map of ``sides`` for an input of ``size``, (0, 0) if it is open."""
    pixels, larger = f"{sides[0]}x{sides[1]} pixels", size[0] and sides[0] > size[0]
    if 1 in sides:
        points = max(sides)
        return f"a pose or landmark model (output {text} is {points} points)"
    if channels == 3 and (larger or sides == size):
        kind = "a super-resolution" if larger else "an image-to-image"
        return f"{kind} model (output {text} is an image of {pixels})"
    if channels in _KEYPOINTS[:2] and sides[0] < size[0]:
        return f"a pose model (output {text} is a heat map for each of {channels} points)"
    if size[0] >= 16 * sides[0] or channels >= 256:
        return f"a feature extractor (output {text} is a feature map of {pixels})"
    return f"a segmentation model (output {text} is a map of {pixels})"


OF_INPUTS: tuple[Rule, ...] = (_text, _recurrent, _waveform, _column, _spectrogram)
"""Rules that look at the inputs: each returns the task, "an audio model (…)", or nothing."""

OF_OUTPUTS: tuple[Rule, ...] = (_value_for_each_pixel, _points, _detector, _map)
"""Rules that look at the outputs."""


def _is_text(tensor: TensorSpec) -> bool:
    return tensor.dtype.kind in "OSU"


def _channels(tensor: TensorSpec) -> int:
    return tensor.shape[3 if _is_channels_last(tensor) else 1] or 0


def _sides(tensor: TensorSpec) -> tuple[int, int]:
    """Returns (height, width) of a tensor of four axes; zeros where they are open, and of others."""
    if len(tensor.shape) != 4:
        return 0, 0
    first, second = tensor.shape[1:3] if _is_channels_last(tensor) else tensor.shape[2:4]
    return first or 0, second or 0


def _is_channels_last(tensor: TensorSpec) -> bool:
    """Whether the last axis holds the channels: the odd one out if the other two are equal, else the shorter one."""
    first, second, third = (length or 0 for length in tensor.shape[1:])
    if (first == second) != (second == third):
        return first == second
    return third in (1, 3) or (first not in (1, 3) and third <= first)


def _shape(tensor: TensorSpec) -> str:
    return "x".join("?" if length is None else str(length) for length in tensor.shape) or "of any rank"


def _shapes(tensors: Sequence[TensorSpec]) -> str:
    return ", ".join(map(_shape, tensors[:4])) + ", …" * (len(tensors) > 4)
