"""Loss functions that attacks maximize, written once for NumPy and for Keras.

Each takes ``ops``, the module that computes: ``numpy``, or ``keras.ops`` inside a compiled step. Classes are one-hot,
float32 (N, classes).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tledge.core.errors import OptionError, UnknownNameError

CROSS_ENTROPY = "cross-entropy"
DLR = "dlr"
LOSSES = (CROSS_ENTROPY, DLR)

FAR = 1e9
"""Subtracted from the logit of a class that must not be the largest."""

TINY = 1e-12
"""Keeps a denominator above 0."""


def cross_entropy(ops: Any, logits: Any, classes: Any) -> Any:
    """Returns -log softmax of a class: (N,)."""
    largest = ops.max(logits, axis=-1, keepdims=True)
    total = ops.log(ops.sum(ops.exp(logits - largest), axis=-1))
    return total + largest[:, 0] - ops.sum(logits * classes, axis=-1)


def margin(ops: Any, logits: Any, classes: Any) -> Any:
    """Returns the logit of a class minus the largest of the others: (N,), positive where the class is predicted."""
    return ops.sum(logits * classes, axis=-1) - ops.max(logits - FAR * classes, axis=-1)


def dlr(ops: Any, logits: Any, labels: Any) -> Any:
    """Returns the difference of logits ratio: (N,), invariant to scale and shift of the logits. Needs 3 classes.

    Source: Croce and Hein, arXiv 2003.01690, equation (6).
    """
    ordered = ops.sort(logits, axis=-1)
    return -margin(ops, logits, labels) / (ordered[:, -1] - ordered[:, -3] + TINY)


def targeted_dlr(ops: Any, logits: Any, labels: Any, target_classes: Any) -> Any:
    """Returns the targeted difference of logits ratio: (N,). Needs 4 classes.

    Source: Croce and Hein, arXiv 2003.01690, equation (7).
    """
    ordered = ops.sort(logits, axis=-1)
    scale = ordered[:, -1] - (ordered[:, -3] + ordered[:, -4]) / 2 + TINY
    return -ops.sum(logits * (labels - target_classes), axis=-1) / scale


def objective(ops: Any, loss: str, logits: Any, labels: Any, target_classes: Any | None) -> Any:
    """Returns the value that an attack maximizes: (N,).

    Args:
        ops: ``numpy`` or ``keras.ops``.
        loss: one of ``LOSSES``.
        logits: (N, classes).
        labels, target_classes: as in ``Goal``, one-hot.
    """
    if loss == DLR:
        return dlr(ops, logits, labels) if target_classes is None else targeted_dlr(ops, logits, labels, target_classes)
    if target_classes is None:
        return cross_entropy(ops, logits, labels)
    return -cross_entropy(ops, logits, target_classes)


def check_loss(loss: str, classes: int, targeted: bool) -> None:
    """Raises UnknownNameError for an unknown loss, OptionError for one that needs more classes."""
    if loss not in LOSSES:
        raise UnknownNameError("loss function", loss, LOSSES)
    needed = 4 if targeted else 3
    if loss == DLR and classes < needed:
        raise OptionError(
            f"the {'targeted ' if targeted else ''}DLR loss needs {needed} classes or more; this model has {classes}:"
            f" use '{CROSS_ENTROPY}'"
        )


def one_hot(classes: npt.NDArray[np.integer[Any]], count: int) -> npt.NDArray[np.float32]:
    """Returns class indices (N,) as float32 (N, count)."""
    rows: npt.NDArray[np.float32] = np.eye(count, dtype=np.float32)[classes]
    return rows
