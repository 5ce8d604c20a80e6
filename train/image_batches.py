"""Training batches from image files, decoded ahead of the device. Imports Keras."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tledge.core import images
from tledge.core.images import Pixels
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
        seed: of the order and the shifts.
        shift: the most that an image is moved in each direction, as a fraction of its size; its edge is repeated.
    """

    def __init__(
        self,
        splits: Splits,
        samples: tuple[Sample, ...],
        *,
        size: tuple[int, int],
        resize: str,
        batch_size: int,
        seed: int,
        shift: float = 0.0,
    ) -> None:
        super().__init__(workers=usable_cores(), use_multiprocessing=False, max_queue_size=2 * usable_cores())
        self._paths = splits.paths(samples)
        self._labels = np.array([sample.label for sample in samples], np.int32)
        self._size = size
        self._resize = resize
        self._batch_size = batch_size
        self._reach = round(shift * min(size))
        self._rng = np.random.default_rng(seed)
        self._draw()

    def __len__(self) -> int:
        return math.ceil(len(self._paths) / self._batch_size)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        chosen = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        pixels = [images.load(self._paths[place], self._size, self._resize) for place in chosen]
        shifted = [self._shift(image, offset) for image, offset in zip(pixels, self._offsets[chosen], strict=True)]
        return np.stack(shifted).astype(np.float32), self._labels[chosen]

    def on_epoch_end(self) -> None:
        self._draw()

    def _draw(self) -> None:
        """Draws an epoch's order and shifts at once, so that they do not depend on which worker is first."""
        self._order = self._rng.permutation(len(self._paths))
        self._offsets = self._rng.integers(0, 2 * self._reach + 1, (len(self._paths), 2))

    def _shift(self, image: Pixels, offset: npt.NDArray[np.int64]) -> Pixels:
        height, width = self._size
        top, left = offset
        padded = np.pad(image, ((self._reach, self._reach), (self._reach, self._reach), (0, 0)), mode="edge")
        return padded[top : top + height, left : left + width]
