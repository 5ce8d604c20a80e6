"""Training batches from image files, decoded ahead of the device. Imports Keras."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tledge.core import images
from tledge.core.loading import usable_cores
from tledge.core.splits import Sample, Splits


class ImageBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Shuffled batches of one split, the order drawn anew each epoch by seed.

    Each item is (float32 (n, height, width, 3) RGB pixel values 0 to 255, int32 (n,) labels).

    Args:
        splits: the images.
        samples: which of them.
        size: (height, width).
        resize: the resize rule.
        batch_size: images a batch.
        seed: of the order.
    """

    def __init__(
        self, splits: Splits, samples: tuple[Sample, ...], *, size: tuple[int, int], resize: str, batch_size: int, seed: int
    ) -> None:
        super().__init__(workers=usable_cores(), use_multiprocessing=False, max_queue_size=2 * usable_cores())
        self._paths = splits.paths(samples)
        self._labels = np.array([sample.label for sample in samples], np.int32)
        self._size = size
        self._resize = resize
        self._batch_size = batch_size
        self._rng = np.random.default_rng(seed)
        self._order = self._rng.permutation(len(samples))

    def __len__(self) -> int:
        return -(-len(self._paths) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        chosen = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        pixels = [images.load(self._paths[place], self._size, self._resize) for place in chosen]
        return np.stack(pixels).astype(np.float32), self._labels[chosen]

    def on_epoch_end(self) -> None:
        self._order = self._rng.permutation(len(self._paths))
