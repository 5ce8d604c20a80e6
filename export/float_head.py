"""The last dense layer, which an 8-bit model keeps in float32 if that costs little.

A head that was fitted to similar features has large weights of both signs, whose products nearly cancel; the rounding
errors of the weights and of the pooled features do not.
"""

from __future__ import annotations

from typing import Any

LARGEST_FRACTION = 0.05
"""Largest size of a float32 head, as a fraction of the size of all other weights in 8 bits."""


def is_small_head(head: int, others: int) -> bool:
    """Returns whether a head adds little to the file in float32.

    Args:
        head: number of its weights, of 4 bytes each.
        others: number of all other weights, of 1 byte each.
    """
    return 4 * head <= LARGEST_FRACTION * others


def float_head(model: Any) -> frozenset[str]:
    """Returns the name of the dense layer that gives a model's logits, if it is small; no name otherwise."""
    import keras

    head = model.layers[-1]
    if type(head) is not keras.layers.Dense:
        return frozenset()
    weights = head.count_params()
    return frozenset({head.name} if is_small_head(weights, model.count_params() - weights) else ())


def float_tail(model: Any) -> frozenset[str]:
    """Returns the names of a head that stays float32 and of the pooling before it, whose means are not rounded then."""
    import keras

    head = float_head(model)
    if not head:
        return head
    before = model.layers[-1].input._keras_history.operation
    while isinstance(before, keras.layers.Dropout):
        before = before.input._keras_history.operation
    pooled = isinstance(before, keras.layers.GlobalAveragePooling2D)
    return head | {before.name} if pooled else head
