"""Training batches: which photos each one holds, and how each photo is augmented and weighted."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tledge.core import images
from tledge.core.cores import usable_cores
from tledge.core.errors import OptionError
from tledge.core.images import Pixels
from tledge.core.splits import Splits
from tledge.train.data.augmentation import UNCHANGED, Augmentation

if TYPE_CHECKING:
    from tledge.train.data.loaded_batches import LoadedBatches

Indices = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class TrainingBatches:
    """Batches of the training split: each epoch is shuffled and augmented anew.

    The content of an epoch depends only on the seed, the epoch and the photo, not on the order of threads or on whether
    earlier epochs ran in this process. Every batch is full: the photos left over at the end of an epoch are dropped,
    different ones each time.

    Attributes:
        size: (height, width) of the images.
        batch_size: photos a batch, over all hosts; all training photos if there are fewer.
        seed: the seed of the order and the augmentation.
        class_weights: (classes,), the weight of a photo of each class.
        host: (index, count) of the hosts that share the batches; each reads its own part of every batch.
        shares: devices of all hosts; each gets the same number of photos of a batch.
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
        """Yields the batches for Keras to read while the block runs. Imports Keras.

        Raises:
            ImageError: a photo has become unreadable. It is raised at the end of the block, in place of the error that
                Keras raises.
        """
        from tledge.train.data.loaded_batches import LoadedBatches

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

    def indices(self, epoch: int, step: int) -> Indices:
        """Returns the indices of the training photos in this host's part of a batch."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.splits.train))
        first, hosts = self.host
        return order[step * self.photos : (step + 1) * self.photos][first::hosts]

    def load(self, epoch: int, index: int) -> Pixels:
        """Returns a training photo as it is augmented in an epoch, uint8 (height, width, 3)."""
        path = self.splits.root / self.splits.train[index].path
        if self.augmentation == UNCHANGED:
            return images.load_pixels(path, self.size, self.resize)
        rng = np.random.default_rng([self.seed, epoch, index])
        image = images.decode(path, at_least=self.augmentation.minimum_size(self.size))
        return self.augmentation.apply(image, self.size, resize=self.resize, rng=rng)


def compute_class_weights(splits: Splits, *, balanced: bool) -> Floats:
    """Returns how much a photo of each class weighs in the loss, (classes,); 1 on average over the training photos.

    Args:
        splits: their training split is counted.
        balanced: give each class the same total weight; without it, every photo weighs 1.
    """
    counts = np.bincount([sample.label for sample in splits.train], minlength=len(splits.class_names))
    weights = counts.sum() / (len(counts) * counts) if balanced else np.ones(len(counts))
    return weights.astype(np.float32)


def check_shares(shares: int, *, batch_size: int, photos: int) -> None:
    """Raises OptionError unless batches of ``batch_size`` of the ``photos`` can be divided among ``shares`` devices."""
    if batch_size % shares:
        raise OptionError(
            f"`batch_size={batch_size}` cannot be divided among {shares} devices: choose a multiple, or fewer `devices`"
        )
    if photos < shares:
        raise OptionError(f"{photos} training photos cannot be divided among {shares} devices: choose fewer `devices`")
