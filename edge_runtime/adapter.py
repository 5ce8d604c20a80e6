"""Conversion of photos to a model's input tensor, and of its output tensor to logits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tledge.core.errors import ArtifactError
from tledge.core.images import Pixels
from tledge.core.preprocessing import Preprocessing
from tledge.core.sidecar import Sidecar
from tledge.edge_runtime.tensor import Logits, Tensor, TensorSpec

_LEAST = float(np.finfo(np.float32).tiny)  # probabilities are raised to this, so that their logarithm is finite
_BELOW_ONE = np.nextafter(np.float32(1), np.float32(0))
_LUMINANCE = np.array([19595, 38470, 7471], np.uint32)  # ITU-R BT.601 in 1/65536, as in Pillow's mode "L"


class Adapter:
    """Adapts a model's tensors to the contract of all classifiers: uint8 RGB photos in, logits out.

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
        self._own = preprocessing is None
        if preprocessing is not None:
            self._preprocessing = preprocessing
            self._tables = _tables(preprocessing, image)
            self._finish = _FINISHES[preprocessing.output]

    def to_tensor(self, photos: Pixels) -> Tensor:
        """Converts photos to the model's input.

        Args:
            photos: uint8 (N, height, width, 3), RGB.

        Returns:
            A contiguous array with the dtype and layout of the model's input; ``photos`` itself if it already has them.
        """
        if self._own:
            return np.ascontiguousarray(photos)
        colour = self._preprocessing.colour
        if colour == "grey":
            weighted = photos.astype(np.uint32) @ _LUMINANCE
            photos = ((weighted + 0x8000) >> 16).astype(np.uint8)[..., np.newaxis]
        elif colour == "bgr":
            photos = photos[..., ::-1]
        lengths, dtype = photos.shape[:3], self._tables[0].dtype
        if self._preprocessing.layout == "nchw":
            tensor = np.empty((lengths[0], len(self._tables), *lengths[1:]), dtype)
            channels = np.moveaxis(tensor, 1, -1)
        else:
            tensor = channels = np.empty((*lengths, len(self._tables)), dtype)
        for channel, table in enumerate(self._tables):  # written in place: no stacking or transposing afterwards
            channels[..., channel] = table[photos[..., channel]]
        return tensor

    def to_logits(self, outputs: Tensor) -> Logits:
        """Converts the model's output to logits: float32 (N, classes)."""
        if self._own:
            return outputs if outputs.dtype == np.float32 else outputs.astype(np.float32)
        return self._finish(self._output.to_real(outputs.reshape(len(outputs), -1)))


def _check(model: Path, sidecar: Sidecar, image: TensorSpec, output: TensorSpec) -> None:
    """Raises ArtifactError unless the tensors match the sidecar."""
    preprocessing = sidecar.preprocessing
    height, width = sidecar.input_size
    if preprocessing is None:
        lengths, dtype = (height, width, 3), np.dtype(np.uint8)
        if image.dtype != dtype or image.shape[3:] != (3,) or len(output.shape) != 2:
            raise ArtifactError(
                f"'{model}' is not an image classifier as tledge exports it: input {image}, output {output}; expected"
                " uint8 [?, height, width, 3] and [?, classes]; describe a model made elsewhere with 'tledge adopt'"
            )
    else:
        channels = preprocessing.channels
        lengths = (height, width, channels) if preprocessing.layout == "nhwc" else (channels, height, width)
    given = image.shape[1:]
    fits = len(given) == 3 and all(found in (None, length) for found, length in zip(given, lengths, strict=True))
    single = preprocessing is not None and preprocessing.output in ("sigmoid", "logit")
    classes = 2 if single and output.outputs == 1 else output.outputs
    if not fits or classes not in (0, len(sidecar.class_names)):
        raise ArtifactError(
            f"the sidecar of '{model}' does not match its model: it describes an input of {list(lengths)} and"
            f" {len(sidecar.class_names)} classes, but the model has {image} and {output}; export or adopt it again"
        )


def _tables(preprocessing: Preprocessing, image: TensorSpec) -> list[Tensor]:
    """Returns the input value of each pixel value: one (256,) array of the input's dtype per channel."""
    low, high = preprocessing.input_range
    values = low + (high - low) * np.arange(256) / 255
    means = preprocessing.mean or (0.0,) * preprocessing.channels
    deviations = preprocessing.std or (1.0,) * preprocessing.channels
    tables = [(values - mean) / deviation for mean, deviation in zip(means, deviations, strict=True)]
    if np.issubdtype(image.dtype, np.integer):
        bounds = np.iinfo(image.dtype)
        if image.scale:
            tables = [table / image.scale + image.zero_point for table in tables]
        tables = [np.clip(np.rint(table), bounds.min, bounds.max) for table in tables]
    return [table.astype(image.dtype) for table in tables]


def _from_probabilities(values: Logits) -> Logits:
    return np.log(np.maximum(values, np.float32(_LEAST)))


def _from_sigmoid(values: Logits) -> Logits:
    clipped = np.clip(values, np.float32(_LEAST), _BELOW_ONE)
    return _from_logit(np.log(clipped / (1 - clipped)))


def _from_logit(values: Logits) -> Logits:
    return np.concatenate([np.zeros_like(values), values], axis=1)


_FINISHES: dict[str, Callable[[Logits], Logits]] = {
    "logits": lambda values: values,
    "probabilities": _from_probabilities,
    "sigmoid": _from_sigmoid,
    "logit": _from_logit,
}
