"""Training batches that are decoded and augmented in parallel, ahead of the device. Imports Keras."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock

import keras
import numpy as np

from tledge.core.errors import TledgeError
from tledge.core.images import Pixels
from tledge.train.data.training_batches import Floats, Indices, TrainingBatches

AHEAD = 2
"""Batches that are loaded ahead of the one that Keras reads."""

Batch = tuple[Floats, Floats, Floats]


class LoadedBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches by index; those of the next steps are loaded meanwhile.

    Each item is (float32 (n, height, width, 3) RGB pixel values 0 to 255, float32 (n, classes) one-hot labels, float32
    (n,) weights). Batches are read by epoch and index, not from a stream, because Keras reads some more than once.

    Attributes:
        epoch: the epoch whose batches are read, from 0.
        failure: why a batch could not be loaded.
    """

    def __init__(self, batches: TrainingBatches, pool: ThreadPoolExecutor) -> None:
        super().__init__(workers=1)
        self.epoch = 0
        self.failure: TledgeError | None = None
        self._batches = batches
        self._labels = np.array([sample.label for sample in batches.splits.train])
        self._pool = pool
        self._lock = Lock()
        self._started: dict[tuple[int, int], tuple[Indices, list[Future[Pixels]]]] = {}

    def __len__(self) -> int:
        return self._batches.steps

    def __getitem__(self, index: int) -> Batch:
        wanted = self.epoch, index
        with self._lock:
            for ahead in range(AHEAD + 1):
                epochs, later = divmod(index + ahead, len(self))
                self._start(self.epoch + epochs, later)
            indices, futures = self._started.pop(wanted)
        try:
            pixels = np.stack([future.result() for future in futures]).astype(np.float32)
        except TledgeError as error:
            self.failure = error
            raise
        labels = self._labels[indices]
        weights = self._batches.class_weights
        return pixels, np.eye(len(weights), dtype=np.float32)[labels], weights[labels]

    def _start(self, epoch: int, step: int) -> None:
        if (epoch, step) not in self._started:
            indices = self._batches.indices(epoch, step)
            futures = [self._pool.submit(self._batches.load, epoch, int(index)) for index in indices]
            self._started[epoch, step] = indices, futures
