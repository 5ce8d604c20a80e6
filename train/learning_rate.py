"""The learning rate of each step: a linear warm-up, then a cosine decay to 0."""

from __future__ import annotations

from typing import Any


def warm_up_steps(steps: int, fraction: float) -> int:
    """Returns the number of warm-up steps; at least one step is left for the decay."""
    return min(round(fraction * steps), steps - 1)


def cosine_schedule(peak: float, *, steps: int, warm_up: float) -> Any:
    """Returns a Keras schedule that rises from 0 to ``peak``, then decays to 0. Imports Keras.

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
