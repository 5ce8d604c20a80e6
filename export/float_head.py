"""The last dense layer, which an 8-bit model keeps in float32 where that costs little. Imports Keras.

A head that was fitted to features that are much alike has large weights of both signs, whose sums nearly cancel. The
errors of the weights, half a step of the largest, do not; nor do those of pooled features, of which most are small.
"""

from __future__ import annotations

from typing import Any

import keras

LARGEST_SHARE = 0.05
"""Of the size of all other weights in 8 bits; a larger head in float32 would show in the size of the file."""


def float_head(model: Any) -> frozenset[str]:
    """The name of the dense layer that gives the logits, if it is small; no name otherwise.

    Args:
        model: a ``keras.Model`` to logits.
    """
    head = model.layers[-1]
    if type(head) is not keras.layers.Dense:
        return frozenset()
    others = model.count_params() - head.count_params()
    return frozenset({head.name} if 4 * head.count_params() <= LARGEST_SHARE * others else ())


def float_tail(model: Any) -> frozenset[str]:
    """The names of a head that stays float32 and of the pooling before it, whose means then need not be rounded.

    Args:
        model: a ``keras.Model`` to logits.
    """
    head = float_head(model)
    if not head:
        return head
    before = model.layers[-1].input._keras_history.operation
    while isinstance(before, keras.layers.Dropout):
        before = before.input._keras_history.operation
    pooled = isinstance(before, keras.layers.GlobalAveragePooling2D)
    return head | {before.name} if pooled else head
