"""What range of real values an integer input stands for."""

from __future__ import annotations

import numpy as np

from tledge.core.errors import OptionError
from tledge.core.preprocessing import Preprocessing
from tledge.edge_runtime.pixel_conversion import quantize, real_values
from tledge.edge_runtime.tensor import TensorSpec

COMMON_RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (-128.0, 127.0))
"""Usual input ranges; an integer input whose span is about one of them takes the bytes of a photo, in their order."""

_LEAST_SPAN = 0.1
"""The smallest width of the range that pixels become: below it, a model can hardly distinguish them."""

_LEAST_COVERED = 0.4
"""The smallest fraction of a quantized input's range that pixels must use: a symmetric one is half empty for 0..1."""

_MOST_CLIPPED = 0.25
"""The largest fraction of the pixels' range that a quantized input may clip: calibration cuts some off."""

_TOLERANCE = 0.02
"""Of the ends of a range, as a fraction of its width."""


def range_of_bytes(image: TensorSpec) -> tuple[float, float] | None:
    """Returns the span of an integer input if it is about a usual one; that one if it gives the same integers.

    A scale and zero point of 1/128 and 128 span -1 to 0.9921875, and for -1 to 1 most bytes would be off by one.
    """
    span = span_of(image)
    usual = next((known for known in COMMON_RANGES if span and is_about(span, known)), None)
    if span is None or usual is None:
        return None
    same, exact = (quantize(real_values(Preprocessing(input_range=ends)), image) for ends in (usual, span))
    return usual if np.array_equal(same, exact) else span


def span_of(tensor: TensorSpec) -> tuple[float, float] | None:
    """Returns the range of real values that an integer tensor can represent; None for a tensor of floats."""
    if not np.issubdtype(tensor.dtype, np.integer):
        return None
    bounds = np.iinfo(tensor.dtype)
    scale = tensor.scale or 1.0
    return (bounds.min - tensor.zero_point) * scale, (bounds.max - tensor.zero_point) * scale


def is_about(span: tuple[float, float], known: tuple[float, float]) -> bool:
    """Whether both ends of a range are those of another, up to rounding."""
    allowed = _TOLERANCE * (known[1] - known[0])
    return all(abs(found - wanted) <= allowed for found, wanted in zip(span, known, strict=True))


def check_span(image: TensorSpec, preprocessing: Preprocessing) -> None:
    """Raises OptionError if an integer input clips much of the pixels' range, or if pixels use little of its range.

    Also if all pixels become nearly the same number: mean and std have other units than the range.
    """
    span = span_of(image)
    means = preprocessing.mean or (0.0,) * preprocessing.channels
    deviations = preprocessing.std or (1.0,) * preprocessing.channels
    channels = list(zip(means, deviations, strict=True))
    ends = [(end - mean) / std for end in preprocessing.input_range for mean, std in channels]
    low, high = min(ends), max(ends)
    if high - low < _LEAST_SPAN:
        raise OptionError(
            f"pixel values 0 to 255 map to {low:.4g}..{high:.4g}, which is nearly constant; give `mean` and `std` in"
            " the units of `input_range`, such as 0.485 for 0..1 or 123.7 for 0..255"
        )
    if span is None:
        return
    represented = max(0.0, min(high, span[1]) - max(low, span[0]))
    if represented < (1 - _MOST_CLIPPED) * (high - low) or represented < _LEAST_COVERED * (span[1] - span[0]):
        raise OptionError(
            f"pixel values 0 to 255 map to {low:.4g}..{high:.4g}, but the quantized input has the range"
            f" {span[0]:.4g}..{span[1]:.4g}: {image}; check `input_range`, `mean` and `std`"
        )
