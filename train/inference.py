"""A model run over many photos. Imports Keras."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from tledge.core.image_batches import batches
from tledge.core.progress import Step

BATCH_SIZE = 32
"""Photos at a time; larger batches leave the caches of a CPU and are slower there."""


class ResizeRule(TypedDict):
    """How photos get the size that a model takes: (height, width), and one of ``core.images.RESIZE_RULES``."""

    size: tuple[int, int]
    resize: str


def run_over(
    model: Any, paths: Sequence[Path], *, size: tuple[int, int], resize: str, step: Step | None = None
) -> Iterator[npt.NDArray[np.float32]]:
    """Runs a model over photos in order, which are decoded ahead of it.

    Args:
        model: a ``keras.Model`` from pixel values (N, height, width, 3).
        paths: photo files.
        size: (height, width) that photos get.
        resize: the rule by which they get it.
        step: is told of each batch.

    Yields:
        float32 (n, outputs), for the next n photos.
    """
    for pixels in batches(paths, size, resize, BATCH_SIZE):
        batch = np.zeros((BATCH_SIZE, *pixels.shape[1:]), np.float32)  # always the same shape: compiled once
        batch[: len(pixels)] = pixels
        yield np.asarray(model.predict_on_batch(batch), np.float32)[: len(pixels)]
        if step is not None:
            step.advance(len(pixels))
