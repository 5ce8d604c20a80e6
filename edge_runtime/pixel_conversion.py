"""Conversion of 8-bit pixels to the values of a model's input, in few passes of NumPy over the image.

All ways follow one formula (``core.preprocessing``), computed in float64 for the 256 values of each channel. A faster
one is only taken if it gives the same integers for all of them, or float32 numbers whose absolute error is at most 2
units in the last place of the channel's largest value (a value near 0, close to the mean, has a larger relative error):

- for 8-bit integers that are the pixels plus a constant: that addition, modulo 256;
- for other 8-bit integers and for float32: a subtraction and a multiplication in float32;
- for all others: a table.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tledge.core.images import Pixels
from tledge.core.preprocessing import Preprocessing
from tledge.edge_runtime.tensor import Tensor, TensorSpec

Table = npt.NDArray[np.float64]

_VALUES = np.arange(256)
_TIE = 1e-4  # steps of quantization: how far a value may be from half-way, since scales are float32
_MOST_UNITS = 2  # of error of a line in float32, in units in the last place of the largest value
_GREY = np.array([19595, 38470, 7471], np.float32) / 65536  # ITU-R BT.601, as in Pillow's mode "L"
_SIGN = np.uint8(128)  # added modulo 256, it turns int8 into uint8 of the same order, and back


class PixelConversion:
    """Converts photos to an input tensor.

    Args:
        preprocessing: how the model wants its pixels.
        image: its input tensor. It may lack the axis of a single channel, or have all axes of an image in one.
    """

    def __init__(self, preprocessing: Preprocessing, image: TensorSpec) -> None:
        self._colour, self._planar = preprocessing.colour, preprocessing.layout == "nchw"
        self._dtype, self._axes = image.dtype, len(image.shape)
        self._is_float32 = self._dtype == np.float32
        tables = real_values(preprocessing)
        slopes = (tables[:, 255] - tables[:, 0]) / 255
        starts = tables[:, 0]
        integers = np.issubdtype(self._dtype, np.integer)
        if integers:
            tables = quantize(tables, image)
        count = 1 if (tables == tables[0]).all() else len(tables)  # one table may do for all channels
        self._tables, slopes = tables[:count].astype(self._dtype), slopes[:count]
        self._added = _added(self._tables)
        self._plain = count == 1 and self._colour == "rgb" and not self._planar  # the channels can stay as they are
        self._limited = False
        self._spread: tuple[int, Tensor | None, Tensor | None] | None = None
        self._line: Tensor | None = None
        if self._is_float32:
            line = np.stack([-starts[:count] / slopes, slopes]).astype(np.float32)
            errors = np.abs(_on_line_of_bytes(line) - tables[:count]).max(axis=1)
            units = np.spacing(np.abs(tables[:count]).max(axis=1).astype(np.float32))
            self._line = line if (errors <= _MOST_UNITS * units).all() else None
        elif integers and self._dtype.itemsize == 1 and self._added is None:
            self._fit(tables[:count] - np.iinfo(self._dtype).min, slopes / (image.scale or 1.0))

    def __call__(self, photos: Pixels, out: Tensor | None = None) -> Tensor:
        """Converts photos.

        Args:
            photos: uint8 (N, height, width, 3), RGB.
            out: where to write the result: contiguous, with the dtype and the axes of the input.

        Returns:
            ``out``, or a contiguous array of its own.
        """
        pixels = photos if self._plain else self._arranged(photos)
        buffer = out if out is None or out.shape == pixels.shape else out.reshape(pixels.shape)
        if self._added is not None:
            if (
                out is not None and buffer is not None
            ):  # few calls: after a run of the model, each starts with cold caches
                np.add(pixels, self._added, out=buffer.view(np.uint8))
                return out
            tensor = pixels + self._added if self._added else pixels
        elif self._line is not None:
            tensor = self._on_line(pixels, self._line, buffer)
            if tensor is buffer and out is not None:
                return out
        else:
            tensor = self._looked_up(pixels)
        tensor = np.ascontiguousarray(tensor).view(self._dtype)
        if out is not None:
            np.copyto(out, tensor.reshape(out.shape))
            return out
        count, height, width, _ = photos.shape
        lengths: tuple[int, ...] = (-1, height, width) if self._planar else (height, width, -1)
        if self._axes < 4:
            lengths = (height, width) if self._axes == 3 else (-1,)
        return tensor.reshape(count, *lengths)

    def _arranged(self, photos: Pixels) -> Pixels:
        """Returns the channels in the model's order, (N, channels, height, width) or (N, height, width * channels)."""
        count, height, width, _ = photos.shape
        if self._colour == "grey":
            return grey(photos)
        if self._planar:
            planes = photos.transpose(0, 3, 1, 2)
            return np.ascontiguousarray(planes[:, ::-1] if self._colour == "bgr" else planes)
        if self._colour == "bgr":
            turned = np.empty(photos.shape, np.uint8)
            for channel in range(3):  # faster than a copy of photos[..., ::-1]
                turned[..., channel] = photos[..., 2 - channel]
            photos = turned
        return np.ascontiguousarray(photos).reshape(count, height, width * 3)

    def _on_line(self, pixels: Pixels, line: Tensor, buffer: Tensor | None) -> Tensor:
        last = pixels.shape[-1]
        if self._spread is None or self._spread[0] != last:
            centres, slopes = (self._repeat(numbers, last) for numbers in line)
            self._spread = (last, centres if line[0].any() else None, slopes if (line[1] != 1).any() else None)
        _, subtracted, factors = self._spread
        if buffer is None or not self._is_float32:
            buffer = np.empty(pixels.shape, np.float32)
        values = buffer
        values[...] = pixels
        if subtracted is not None:
            values -= subtracted
        if factors is not None:
            values *= factors
        if self._is_float32:
            return values
        if self._limited:
            np.minimum(np.maximum(values, 0, out=values), 255, out=values)
        bytes_ = values.astype(np.uint8)
        return bytes_ if self._dtype == np.uint8 else bytes_ + _SIGN

    def _repeat(self, numbers: Tensor, last: int) -> Tensor:
        """Repeats one number per channel such that NumPy's inner loop is long."""
        if len(numbers) == 1:
            return numbers
        return numbers[:, np.newaxis, np.newaxis] if self._planar else np.tile(numbers, last // 3)

    def _looked_up(self, pixels: Pixels) -> Tensor:
        if len(self._tables) == 1:
            return np.take(self._tables[0], pixels, mode="clip")
        tensor = np.empty(pixels.shape, self._dtype)
        for channel, table in enumerate(self._tables):
            where = np.s_[:, channel] if self._planar else np.s_[..., channel::3]
            tensor[where] = table.take(pixels[where], mode="clip")
        return tensor

    def _fit(self, wanted: Table, slopes: Table) -> None:
        """Sets the line whose values, limited to 0..255 and truncated, are ``wanted`` (channels, 256), if there is one.

        A line may be above its integers by 0 to 1, and is put half-way where it can be moved.
        """
        gaps = wanted - slopes[:, np.newaxis] * _VALUES
        inner = (wanted > 0) & (wanted < 255)
        most, least = gaps.max(axis=1, where=inner, initial=-np.inf), gaps.min(axis=1, where=inner, initial=np.inf)
        if not inner.any(axis=1).all():
            return
        line = np.stack([-(most + least + 1) / 2 / slopes, slopes]).astype(np.float32)
        values = _on_line_of_bytes(line)
        if (np.trunc(values.clip(0, 255)) == wanted).all():
            self._line, self._limited = line, bool((values < 0).any() or (values >= 256).any())


def real_values(preprocessing: Preprocessing) -> Table:
    """Returns the real value of each pixel value, by the formula of ``core.preprocessing``: float64 (channels, 256)."""
    low, high = preprocessing.input_range
    means = preprocessing.mean or (0.0,) * preprocessing.channels
    deviations = preprocessing.std or (1.0,) * preprocessing.channels
    values = low + (high - low) * _VALUES / 255
    return np.stack([(values - mean) / deviation for mean, deviation in zip(means, deviations, strict=True)])


def quantize(values: Table, image: TensorSpec) -> Table:
    """Returns the integers that represent real values; without a scale, the values rounded.

    Half-way cases are rounded away from zero before the zero point is added, as TFLite's QUANTIZE does (LiteRT,
    ``kernels/internal/reference/quantize.h``). But where the bytes themselves are as near as any other integers, they
    are taken: -1..1 at a scale of 1/127.5 is half-way everywhere, and means the bytes.

    Args:
        values: float64 (channels, 256), of the pixel values in order.
        image: the tensor.

    Returns:
        float64 (channels, 256), whole numbers within the range of its dtype.
    """
    bounds = np.iinfo(image.dtype)
    steps = values / (image.scale or 1.0)
    raw = _VALUES + bounds.min
    if bounds.bits == 8 and (np.abs(steps + image.zero_point - raw) <= 0.5 + _TIE).all():
        return np.broadcast_to(raw.astype(np.float64), values.shape)
    integers: Table = np.trunc(steps + np.copysign(0.5 + _TIE, steps)) + image.zero_point
    return integers.clip(bounds.min, bounds.max)


def grey(photos: Pixels) -> Pixels:
    """Returns the luminance of RGB photos: uint8 (N, height, width), the same as Pillow's ``convert("L")``.

    Exact in float32, since all sums are multiples of 2^-16 below 2^8.
    """
    total = np.full(photos.shape[:3], 0.5, np.float32)
    for channel, weight in enumerate(_GREY):
        total += photos[..., channel].astype(np.float32) * weight
    return total.astype(np.uint8)


def _on_line_of_bytes(line: Tensor) -> Tensor:
    """Returns the float32 numbers (channels, 256) that a line gives for the pixel values."""
    numbers: Tensor = (_VALUES.astype(np.float32) - line[0][:, np.newaxis]) * line[1][:, np.newaxis]
    return numbers


def _added(tables: Tensor) -> np.uint8 | None:
    """Returns the number to add to each pixel, modulo 256, if that gives the table of an 8-bit integer."""
    if tables.dtype not in (np.uint8, np.int8) or len(tables) != 1:
        return None
    added = tables[0].view(np.uint8) - _VALUES.astype(np.uint8)
    return np.uint8(added[0]) if (added == added[0]).all() else None
