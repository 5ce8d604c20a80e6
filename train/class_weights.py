"""How much a photo of each class weighs in the loss."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tledge.core.splits import Splits

Floats = npt.NDArray[np.float32]


def compute_class_weights(splits: Splits, *, balanced: bool) -> Floats:
    """Returns the weight of a photo of each class, 1 on average over the training photos.

    Args:
        splits: their training split is counted.
        balanced: give each class the same total weight; without it, every photo weighs 1.

    Returns:
        float32 (classes,).
    """
    counts = np.bincount([sample.label for sample in splits.train], minlength=len(splits.class_names))
    weights = counts.sum() / (len(counts) * counts) if balanced else np.ones(len(counts))
    return weights.astype(np.float32)
