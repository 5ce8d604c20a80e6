"""Logits of many images, computed in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from tledge.core.images import Pixels
from tledge.core.progress import Step
from tledge.edge_runtime.tensor import Logits

LogitsFn = Callable[[Pixels], Logits]
"""A model as a function: uint8 (n, height, width, 3) to float32 (n, classes), such as ``Classifier.logits``."""

BATCH_SIZE = 32


def batched_logits(
    model: LogitsFn, images: Pixels | Iterable[Pixels], *, batch_size: int = BATCH_SIZE, step: Step | None = None
) -> Logits:
    """Runs a model on many images, one batch at a time.

    Args:
        model: the model, such as ``Classifier.logits``.
        images: uint8 (N, height, width, 3), at least one image; or the batches themselves, as ``core.image_batches``
            decodes them.
        batch_size: images per call where ``images`` is one array.
        step: advances by the number of images after each batch.

    Returns:
        float32 (N, classes).
    """
    if isinstance(images, np.ndarray):
        images = [images[begin : begin + batch_size] for begin in range(0, len(images), batch_size)]
    parts = []
    for batch in images:
        parts.append(np.asarray(model(batch), np.float32))
        if step is not None:
            step.advance(len(batch))
    return np.concatenate(parts)
