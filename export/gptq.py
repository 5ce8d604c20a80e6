"""Rounds weights to an integer grid so that each layer's outputs change as little as possible.

Source: Frantar et al., GPTQ, arXiv 2210.17323 (equations 2 and 3 and section 3.3, step 3), after Optimal Brain
Quantization, arXiv 2208.11580.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

DAMPING = 0.01
"""Added to the diagonal of the correlation matrix, as a fraction of its mean."""

Floats = npt.NDArray[np.float64]


def damped(correlation: Floats) -> Floats:
    """Returns correlation matrices with a raised diagonal, so that they can be inverted.

    Args:
        correlation: (groups, fan-in + 1, fan-in + 1), changed in place; the last input is the bias's constant 1.
    """
    inputs = np.arange(correlation.shape[1] - 1)
    mean = correlation[:, inputs, inputs].mean(axis=1, keepdims=True)
    correlation[:, inputs, inputs] += DAMPING * mean + np.finfo(np.float32).tiny
    return correlation


def round_weights(weights: Floats, correlation: Floats, levels: int) -> tuple[Floats, Floats]:
    """Rounds weights to an integer grid, those of the largest inputs first.

    The weights that follow, and finally the bias, compensate the error of each.

    Args:
        weights: (groups, fan-in, out).
        correlation: (groups, fan-in + 1, fan-in + 1), of the inputs and the constant 1 that the bias multiplies.
        levels: the largest integer of the grid.

    Returns:
        The rounded weights, and what to add to the bias, (groups, out).
    """
    groups, fan_in, out = weights.shape
    every = np.arange(groups)[:, np.newaxis]
    order = np.argsort(-np.diagonal(correlation, axis1=1, axis2=2)[:, :fan_in], axis=1, kind="stable")
    with_bias = np.concatenate([order, np.full((groups, 1), fan_in)], axis=1)
    ordered = correlation[every[..., np.newaxis], with_bias[:, :, np.newaxis], with_bias[:, np.newaxis]]
    inverse = np.linalg.inv(ordered)
    upper = np.linalg.cholesky((inverse + inverse.transpose(0, 2, 1)) / 2).transpose(0, 2, 1)
    remaining = np.concatenate([weights[every, order], np.zeros((groups, 1, out))], axis=1)
    scale = np.maximum(np.abs(weights).max(axis=1) / levels, np.finfo(np.float32).tiny)
    # The largest weight of a channel defines its grid and does not change. Zeros stay zero: pruning has set them.
    largest = np.arange(fan_in)[:, np.newaxis] == np.abs(remaining[:, :fan_in]).argmax(axis=1)[:, np.newaxis]
    zeros = remaining[:, :fan_in] == 0
    ends = np.sign(remaining[:, :fan_in]) * levels
    rounded = np.empty_like(weights)
    for index in range(fan_in):
        integers = np.clip(np.rint(remaining[:, index] / scale), -levels, levels)
        integers = np.where(largest[:, index], ends[:, index], integers)
        integers = np.where(zeros[:, index], 0, integers)
        rounded[every[:, 0], order[:, index]] = integers * scale
        error = (remaining[:, index] - integers * scale) / upper[:, index, index, np.newaxis]
        remaining[:, index + 1 :] -= upper[:, index, index + 1 :, np.newaxis] * error[:, np.newaxis]
    return rounded, remaining[:, -1]
