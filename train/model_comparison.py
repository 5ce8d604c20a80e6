"""Compares a converted model with its original, also before a softmax or sigmoid at the end, which hides differences.

Works on models of Keras 2 and 3, and imports neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

LARGEST_DIFFERENCE = 1e-5
"""Largest allowed difference of a probability, or of a logit as a fraction of the largest one, or of 1 if larger."""

Values = npt.NDArray[np.float32]

_ENDS = ("softmax", "sigmoid")


def probe_images(shape: tuple[int, ...], low: float, high: float) -> Values:
    """Returns images of several kinds, float32 (N, *shape) from low to high: noise, faint noise, gradients and grey."""
    rng = np.random.default_rng(0)
    faint = [level + 0.05 * (rng.random(shape) - 0.5) for level in (0.25, 0.75)]
    gradients = [
        np.broadcast_to(np.linspace(0, 1, length).reshape(-1, *(1,) * (len(shape) - axis - 1)), shape)
        for axis, length in enumerate(shape[:2])
    ]
    images = np.stack([*rng.random((4, *shape)), *faint, *gradients, np.full(shape, 0.5)])
    return (low + (high - low) * images).astype(np.float32)


@contextmanager
def end_removed(model: Any) -> Iterator[bool]:
    """Makes a model return what a softmax or sigmoid at its end takes. Yields whether there is one."""
    layer = model
    while getattr(layer, "layers", None) and getattr(layer, "outputs", None):
        layer = layer.outputs[0]._keras_history[0]
    name = getattr(getattr(layer, "activation", None), "__name__", "")
    kind = getattr(layer, "symbol", type(layer).__name__).rpartition(".")[2].lower()  # TFOpLambda has a symbol
    changed = "activation" if name in _ENDS else "call" if kind in _ENDS else ""
    before = vars(layer).get(changed)
    if changed:
        vars(layer)[changed] = lambda inputs, *_, **__: inputs
    try:
        yield bool(changed)
    finally:
        if changed:
            del vars(layer)[changed]
        if before is not None:
            vars(layer)[changed] = before


def find_difference(found: Values, expected: Values) -> float:
    """Returns the largest difference of two arrays as a fraction of the largest expected value, or of 1 if larger."""
    return float(np.abs(found - expected).max() / max(1.0, float(np.abs(expected).max())))
