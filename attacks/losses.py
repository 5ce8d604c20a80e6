"""What attacks maximize, as functions of the logits; written once for NumPy and for Keras' operations.

Each takes ``ops``, the module that computes: ``numpy``, or ``keras.ops`` within a compiled step. Classes are given
one-hot, as float32 (N, classes).
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
"""What is taken off the logit of a class that must not be the largest."""

TINY = 1e-12


def cross_entropy(ops: Any, logits: Any, classes: Any) -> Any:
    """-log softmax of a class: (N,)."""
    largest = ops.max(logits, axis=-1, keepdims=True)
    total = ops.log(ops.sum(ops.exp(logits - largest), axis=-1))
    return total + largest[:, 0] - ops.sum(logits * classes, axis=-1)


def margin(ops: Any, logits: Any, classes: Any) -> Any:
    """The logit of a class less the largest of the others: (N,), positive where the class is the answer."""
    return ops.sum(logits * classes, axis=-1) - ops.max(logits - FAR * classes, axis=-1)


def dlr(ops: Any, logits: Any, labels: Any) -> Any:
    """Difference of logits ratio: (N,), no matter how the logits are scaled or shifted. Needs 3 classes.

    Source: Croce and Hein, arXiv 2003.01690, equation (6).
    """
    ordered = ops.sort(logits, axis=-1)
    return -margin(ops, logits, labels) / (ordered[:, -1] - ordered[:, -3] + TINY)


def targeted_dlr(ops: Any, logits: Any, labels: Any, targets: Any) -> Any:
    """The same toward a class: (N,). Needs 4 classes.

    Source: Croce and Hein, arXiv 2003.01690, equation (7).
    """
    ordered = ops.sort(logits, axis=-1)
    scale = ordered[:, -1] - (ordered[:, -3] + ordered[:, -4]) / 2 + TINY
    return -ops.sum(logits * (labels - targets), axis=-1) / scale


def objective(ops: Any, loss: str, logits: Any, labels: Any, targets: Any | None) -> Any:
    """What rises as the goal comes nearer: (N,).

    Args:
        ops: ``numpy`` or ``keras.ops``.
        loss: one of ``LOSSES``.
        logits: (N, classes).
        labels: the photos' classes.
        targets: the classes that they are to be taken for; None to leave their own.
    """
    if loss == DLR:
        return dlr(ops, logits, labels) if targets is None else targeted_dlr(ops, logits, labels, targets)
    return cross_entropy(ops, logits, labels) if targets is None else -cross_entropy(ops, logits, targets)


def check_loss(loss: str, classes: int, targeted: bool) -> None:
    """Raises UnknownNameError for an unknown loss, OptionError for one that so few classes do not have."""
    if loss not in LOSSES:
        raise UnknownNameError("loss function", loss, LOSSES)
    needed = 4 if targeted else 3
    if loss == DLR and classes < needed:
        raise OptionError(
            f"the {'targeted ' if targeted else ''}DLR loss needs {needed} classes or more; this model has {classes}:"
            f" use '{CROSS_ENTROPY}'"
        )


def one_hot(classes: npt.NDArray[np.integer[Any]], count: int) -> npt.NDArray[np.float32]:
    """(N,) indices as float32 (N, count)."""
    rows: npt.NDArray[np.float32] = np.eye(count, dtype=np.float32)[classes]
    return rows
