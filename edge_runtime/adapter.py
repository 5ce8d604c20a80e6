"""Conversion of photos to a model's input tensor, and of its output tensor to logits and probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tledge.core.errors import ArtifactError
from tledge.core.images import Pixels
from tledge.core.sidecar import Sidecar
from tledge.edge_runtime.pixel_conversion import PixelConversion
from tledge.edge_runtime.tensor import Logits, Tensor, TensorSpec, softmax

_LEAST = np.finfo(np.float32).tiny  # probabilities are raised to this, so that their logarithm is finite
_BELOW_ONE = np.nextafter(np.float32(1), np.float32(0))


class Adapter:
    """Adapts a model's tensors to the contract of all classifiers: uint8 RGB photos in, logits or probabilities out.

    Args:
        model: the model file, for error messages.
        sidecar: its sidecar.
        image: its input tensor.
        output: its output tensor.

    Raises:
        ArtifactError: the tensors do not match the sidecar.
    """

    def __init__(self, model: Path, sidecar: Sidecar, image: TensorSpec, output: TensorSpec) -> None:
        self._output = output
        preprocessing = sidecar.preprocessing
        _check(model, sidecar, image, output)
        self._kind = "logits" if preprocessing is None else preprocessing.output
        self._convert = None if preprocessing is None else PixelConversion(preprocessing, image)
        self._table: Logits | None = None
        if self._kind in ("logits", "probabilities") and self._convert and output.dtype in (np.uint8, np.int8):
            self._table = _FINISHES[self._kind](output.to_real(np.arange(256, dtype=np.uint8).view(output.dtype)))
        self._columns = output.outputs or (1 if self._kind in ("sigmoid", "logit") else len(sidecar.class_names))

    def to_tensor(self, photos: Pixels, out: Tensor | None = None) -> Tensor:
        """Converts photos to the model's input.

        Args:
            photos: uint8 (N, height, width, 3), RGB.
            out: where to write the input of a model made elsewhere.

        Returns:
            A contiguous array with the dtype and layout of the model's input; ``photos`` itself if it already has them.
        """
        return np.ascontiguousarray(photos) if self._convert is None else self._convert(photos, out)

    def to_logits(self, outputs: Tensor) -> Logits:
        """Converts the model's output to logits: float32 (N, classes)."""
        if self._convert is None:
            return outputs if outputs.dtype == np.float32 else outputs.astype(np.float32)
        if self._table is not None:
            return self._table.take(outputs.reshape(-1, self._columns).view(np.uint8), mode="clip")
        return _FINISHES[self._kind](self._real(outputs))

    def to_probabilities(self, outputs: Tensor) -> Logits:
        """Converts the model's output to probabilities: float32 (N, classes).

        Probabilities that the model computes itself are returned as they are, although those of a quantized output,
        each rounded by itself, may sum to less or more than 1. Otherwise they are the softmax of the logits.
        """
        if self._kind not in ("probabilities", "sigmoid"):
            return softmax(self.to_logits(outputs))
        values = self._real(outputs)
        return values if self._kind == "probabilities" else np.concatenate([1 - values, values], axis=1)

    def _real(self, outputs: Tensor) -> Logits:
        """Returns float32 (N, outputs), whatever the axes of the output are."""
        rows = (
            outputs if outputs.ndim == 2 and outputs.shape[1] == self._columns else outputs.reshape(-1, self._columns)
        )
        return rows if rows.dtype == np.float32 else self._output.to_real(rows)


def _check(model: Path, sidecar: Sidecar, image: TensorSpec, output: TensorSpec) -> None:
    """Raises ArtifactError unless the tensors match the sidecar."""
    preprocessing = sidecar.preprocessing
    height, width = sidecar.input_size
    if preprocessing is None:
        lengths: tuple[int, ...] = (height, width, 3)
        dtype = np.dtype(np.uint8)
        if image.dtype != dtype or image.shape[3:] != (3,) or len(output.shape) != 2:
            raise ArtifactError(
                f"'{model}' is not an image classifier as tledge exports it: input {image}, output {output}; expected"
                " uint8 [?, height, width, 3] and [?, classes]; describe a model made elsewhere with 'tledge adopt'"
            )
    else:
        channels = preprocessing.channels
        lengths = (height, width, channels) if preprocessing.layout == "nhwc" else (channels, height, width)
    given = image.shape[1:]
    if preprocessing is not None and len(given) == 2 and preprocessing.channels == 1:
        lengths = (height, width)  # no axis for the only channel
    elif preprocessing is not None and len(given) == 1:
        lengths = (math.prod(lengths),)
    fits = len(given) == len(lengths) and all(
        found in (None, length) for found, length in zip(given, lengths, strict=True)
    )
    single = preprocessing is not None and preprocessing.output in ("sigmoid", "logit")
    classes = 2 if single and output.outputs == 1 else output.outputs
    if not fits or classes not in (0, len(sidecar.class_names)):
        raise ArtifactError(
            f"the sidecar of '{model}' does not match its model: it describes an input of {list(lengths)} and"
            f" {len(sidecar.class_names)} classes, but the model has {image} and {output}; export or adopt it again"
        )


def _from_probabilities(values: Logits) -> Logits:
    raised = np.maximum(values, _LEAST)
    return np.log(raised, out=raised)


def _from_sigmoid(values: Logits) -> Logits:
    clipped = np.clip(values, _LEAST, _BELOW_ONE)
    return _from_logit(np.log(clipped / (1 - clipped)))


def _from_logit(values: Logits) -> Logits:
    return np.concatenate([np.zeros_like(values), values], axis=1)


_FINISHES: dict[str, Callable[[Logits], Logits]] = {
    "logits": lambda values: values,
    "probabilities": _from_probabilities,
    "sigmoid": _from_sigmoid,
    "logit": _from_logit,
}
