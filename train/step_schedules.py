"""What changes over the steps of a training: the learning rate, and the radius within which photos are attacked."""

from __future__ import annotations

from typing import Any

RAMP = 0.4
"""Fraction of all steps in which the radius rises from 0 to its full length. At full length from the first step on, the
model forgets the features that it learned from clean photos."""

LARGEST = 1.5
"""The largest radius that is drawn, in eps. The smallest is 0, so that the model also sees clean photos."""


def warm_up_steps(steps: int, fraction: float) -> int:
    """Returns the number of warm-up steps; at least one step is left for the decay."""
    return min(round(fraction * steps), steps - 1)


def cosine_schedule(peak: float, *, steps: int, warm_up: float) -> Any:
    """Returns a Keras schedule that rises from 0 to ``peak`` in a line, then decays to 0. Imports Keras.

    Source: Loshchilov and Hutter, SGDR, arXiv 1608.03983, equation 5, without restarts.

    Args:
        peak: the highest learning rate.
        steps: steps of the whole training.
        warm_up: the fraction of them in which the learning rate rises; with 0, training starts at ``peak``.
    """
    import keras

    rising = warm_up_steps(steps, warm_up)
    return keras.optimizers.schedules.CosineDecay(
        0.0 if rising else peak,
        decay_steps=steps - rising,
        warmup_target=peak if rising else None,
        warmup_steps=rising,
    )


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
