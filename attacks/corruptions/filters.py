"""Blurs and warps of one image; beyond its edges, the image is mirrored."""

from __future__ import annotations

import functools
import math
from typing import cast

import numpy as np
import numpy.typing as npt
from PIL import Image

from tledge.attacks.corruptions.pixels import Values

_TRUNCATE = 4.0  # sigmas at which a Gaussian is cut off
_MULTIPLE = 16  # of the lengths of Fourier transforms


@functools.lru_cache(maxsize=128)
def _gaussian_matrix(length: int, sigma: float) -> Values:
    """Returns the Gaussian blur of a line of pixels, mirrored at both ends, as a matrix whose rows sum to 1."""
    reach = math.ceil(_TRUNCATE * sigma)
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    weights /= weights.sum()
    mirrored = (np.arange(length)[:, None] + offsets) % (2 * length)
    mirrored = np.minimum(mirrored, 2 * length - 1 - mirrored)
    matrix = np.zeros((length, length))
    np.add.at(matrix, (np.arange(length)[:, None], mirrored), weights)
    return matrix.astype(np.float32)


def gaussian_blur(image: Values, sigma: float) -> Values:
    """Blurs an image, float32 (height, width) or (height, width, channels), by a Gaussian of ``sigma`` pixels."""
    planes = image[..., None] if image.ndim == 2 else image
    down = _gaussian_matrix(planes.shape[0], sigma)
    across = _gaussian_matrix(planes.shape[1], sigma)
    blurred = np.matmul(np.matmul(down, planes.transpose(2, 0, 1)), across.T).transpose(1, 2, 0)
    return cast(Values, blurred[..., 0] if image.ndim == 2 else blurred)


def convolve(image: Values, kernel: Values) -> Values:
    """Convolves an image, float32 (height, width) or (height, width, channels), with a kernel (2 r + 1, 2 r + 1)."""
    planes = image[..., None] if image.ndim == 2 else image
    height, width = planes.shape[:2]
    reach = kernel.shape[0] // 2
    padded = np.pad(planes.transpose(2, 0, 1), ((0, 0), (reach, reach), (reach, reach)), mode="symmetric")
    # Fourier transforms are fast for lengths with small prime factors.
    size = tuple(math.ceil(side / _MULTIPLE) * _MULTIPLE for side in padded.shape[1:])
    spectrum = np.fft.rfft2(padded, s=size, axes=(1, 2)) * np.fft.rfft2(kernel, s=size, axes=(0, 1))
    full = np.fft.irfft2(spectrum, s=size, axes=(1, 2))
    valid = full[:, 2 * reach : 2 * reach + height, 2 * reach : 2 * reach + width].astype(np.float32)
    return cast(Values, valid[0] if image.ndim == 2 else valid.transpose(1, 2, 0))


def path_kernel(
    rows: npt.NDArray[np.float64], columns: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]
) -> Values:
    """Returns the kernel of a point that is exposed at several positions.

    Args:
        rows, columns: (K,) offsets down and to the right, pixels.
        weights: (K,) the exposure at each.

    Returns:
        float32 (2 r + 1, 2 r + 1) that sums to 1; each position is divided among the four pixels around it.
    """
    reach = int(max(np.abs(rows).max(), np.abs(columns).max())) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    down, right = rows - top, columns - left
    for row, row_share in ((top, 1 - down), (top + 1, down)):
        for column, column_share in ((left, 1 - right), (left + 1, right)):
            np.add.at(kernel, (row + reach, column + reach), weights * row_share * column_share)
    kernel /= kernel.sum()
    return kernel.astype(np.float32)


def trail_kernel(radius: float, sigma: float, angle: float) -> Values:
    """Returns the kernel of a straight motion that fades out: half a Gaussian, from the pixel in one direction.

    Args:
        radius: the trail is 2 ``radius`` + 1 pixels long.
        sigma: of the Gaussian, in pixels.
        angle: of the direction, in radians.
    """
    steps = np.arange(0.0, 2 * radius + 1, 0.5)
    weights = np.exp(-0.5 * (steps / sigma) ** 2)
    return path_kernel(steps * math.sin(angle), steps * math.cos(angle), weights)


def sample(image: Values, rows: Values, columns: Values) -> Values:
    """Samples an image between its pixels, bilinearly.

    Args:
        image: float32 (height, width, channels).
        rows, columns: float32 (H, W), the source of each new pixel; beyond the edges, the image is mirrored.

    Returns:
        float32 (H, W, channels).
    """
    height, width, channels = image.shape
    top, down = _folded(rows, height)
    left, right = _folded(columns, width)
    flat = np.ascontiguousarray(image).reshape(-1, channels)
    below, beside = np.minimum(top + 1, height - 1) * width, np.minimum(left + 1, width - 1)
    above = top * width
    upper = flat[above + left] * (1 - right) + flat[above + beside] * right
    lower = flat[below + left] * (1 - right) + flat[below + beside] * right
    sampled: Values = upper * (1 - down) + lower * down
    return sampled


def _folded(positions: Values, length: int) -> tuple[npt.NDArray[np.intp], Values]:
    """Returns the whole parts and fractions (with a channel axis) of positions mirrored into 0 .. length - 1."""
    turned = np.mod(positions + np.float32(0.5), 2 * length)
    inside = np.clip(np.minimum(turned, 2 * length - turned) - np.float32(0.5), 0, length - 1)
    whole = inside.astype(np.intp)
    return whole, (inside - whole).astype(np.float32)[..., None]


def resize_plane(plane: Values, height: int, width: int) -> Values:
    """Resizes one plane, float32 (h, w), bilinearly, antialiased where it shrinks."""
    return np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR), np.float32)
