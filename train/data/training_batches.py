"""Training batches from photo files, decoded and augmented in parallel, ahead of the device. Imports Keras."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

import keras
import numpy as np
import numpy.typing as npt

from tledge.core import images
from tledge.core.cores import usable_cores
from tledge.core.errors import TledgeError
from tledge.core.images import Pixels
from tledge.core.splits import Splits
from tledge.train.data.augmentation import UNCHANGED, Augmentation

AHEAD = 2
"""Batches that are worked on beyond the one that is asked for."""

Floats = npt.NDArray[np.float32]
Batch = tuple[Floats, Floats, Floats]


@dataclass(frozen=True, kw_only=True)
class TrainingBatches:
    """Batches of the training split: each epoch is shuffled anew and augmented anew.

    What an epoch holds depends on the seed, the epoch and the photo alone: not on which thread is first, nor on whether
    the epochs before it ran in this process. Every batch is full; photos that are over at the end of an epoch are
    left out of it, other ones each time.

    Attributes:
        splits: the photos.
        size: (height, width).
        resize: the resize rule.
        batch_size: photos a batch, over all hosts; all where there are fewer.
        seed: of the order and the augmentation.
        augmentation: how photos are changed.
        class_weights: (classes,), the weight of a photo of each class.
        host: (index, count) of the hosts that share the batches; each reads its own part of every batch.
        shares: devices of all hosts; each gets as many photos of a batch.
    """

    splits: Splits
    size: tuple[int, int]
    resize: str
    batch_size: int
    seed: int
    augmentation: Augmentation
    class_weights: Floats
    host: tuple[int, int] = (0, 1)
    shares: int = 1

    @property
    def photos(self) -> int:
        """Photos of a batch, over all hosts."""
        return min(self.batch_size, len(self.splits.train)) // self.shares * self.shares

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return len(self.splits.train) // self.photos

    @contextmanager
    def loading(self) -> Iterator[LoadedBatches]:
        """The batches, for Keras to ask for while the block runs.

        Raises:
            ImageError: a photo has become unreadable. It is raised as itself at the end of the block, whatever Keras
                made of it in between.
        """
        pool = ThreadPoolExecutor(usable_cores())
        loaded = LoadedBatches(self, pool)
        try:
            yield loaded
        except Exception as error:
            if loaded.failure is not None:
                raise loaded.failure from error
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def places(self, epoch: int, index: int) -> npt.NDArray[np.intp]:
        """Which photos of the split this host's part of a batch holds."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.splits.train))
        first, hosts = self.host
        return order[index * self.photos : (index + 1) * self.photos][first::hosts]

    def load(self, epoch: int, place: int) -> Pixels:
        """One photo as it is in that epoch, uint8 (height, width, 3)."""
        path = self.splits.root / self.splits.train[place].path
        if self.augmentation == UNCHANGED:
            return images.load_pixels(path, self.size, self.resize)
        rng = np.random.default_rng([self.seed, epoch, place])
        image = images.decode(path, at_least=self.augmentation.least_size(self.size))
        return self.augmentation.apply(image, self.size, self.resize, rng)


class LoadedBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Batches by index, those of the next steps being worked on meanwhile.

    Each item is (float32 (n, height, width, 3) RGB pixel values 0 to 255, float32 (n, classes) one-hot labels, float32
    (n,) weights). They are asked for by epoch and index, not taken from a stream: Keras reads some more than once.

    Attributes:
        epoch: from 0; which epoch's batches are asked for.
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
        self._begun: dict[tuple[int, int], tuple[npt.NDArray[np.intp], list[Future[Pixels]]]] = {}

    def __len__(self) -> int:
        return self._batches.steps

    def __getitem__(self, index: int) -> Batch:
        wanted = self.epoch, index
        with self._lock:
            for step in range(AHEAD + 1):
                epochs, later = divmod(index + step, len(self))
                self._begin(self.epoch + epochs, later)
            places, futures = self._begun.pop(wanted)
        try:
            pixels = np.stack([future.result() for future in futures]).astype(np.float32)
        except TledgeError as error:
            self.failure = error
            raise
        labels = self._labels[places]
        weights = self._batches.class_weights
        return pixels, np.eye(len(weights), dtype=np.float32)[labels], weights[labels]

    def _begin(self, epoch: int, index: int) -> None:
        if (epoch, index) not in self._begun:
            places = self._batches.places(epoch, index)
            futures = [self._pool.submit(self._batches.load, epoch, int(place)) for place in places]
            self._begun[epoch, index] = places, futures
