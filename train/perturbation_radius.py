"""The radius within which each training photo is attacked: drawn at random, and ramped up early in training."""

from __future__ import annotations

from typing import Any

RAMP = 0.4
"""Fraction of all steps in which the radius rises from 0 to its full length. At full length from the first step on, the
model forgets the features that it learned from clean photos."""

LARGEST = 1.5
"""The largest radius that is drawn, in eps. The smallest is 0, so that the model also sees clean photos."""


def ramp_factor(ops: Any, step: Any, steps: int) -> Any:
    """Returns by how much the radius is scaled in a step, 0 to 1.

    Args:
        ops: ``numpy`` or ``keras.ops``.
        step: the number of the step, from 0; a float or a float tensor.
        steps: steps of the whole training.
    """
    return ops.minimum(step / max(RAMP * steps, 1.0), 1.0)


def scale_radius(noise: Any, *, eps: float, factor: Any) -> Any:
    """Returns radii that are uniform between 0 and ``LARGEST`` eps, times ``factor``.

    Args:
        noise: uniform values from -1 to 1, of any shape.
        eps: the radius to train against, in pixel values 0 to 255.
        factor: see :func:`ramp_factor`.
    """
    return LARGEST * eps * factor * (noise + 1) / 2
