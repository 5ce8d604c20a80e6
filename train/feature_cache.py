"""A cache on disk for the features of a frozen backbone.

Features are stored in files of 2,048 photos each, in the order of the samples. So memory does not grow with the number
of photos, and a run that was interrupted continues at the first missing file. Each file ends with a hash of its
content: one that is damaged is discarded and computed again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tledge.core import atomic
from tledge.core.array_file import load_array
from tledge.core.images import DECODING
from tledge.core.progress import Step
from tledge.core.sealed_file import is_intact, remove_path, seal
from tledge.core.splits import Sample, Splits
from tledge.train.evaluation import predict_photos

SHARD = 2048
"""Photos of a file."""

KEPT = 8
"""Sets of features that are kept; the least recently used ones are removed."""

Features = npt.NDArray[np.float32]
Labels = npt.NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class FeatureKey:
    """Everything that the features of a split depend on.

    Attributes:
        data: the fingerprint of the split; see :func:`fingerprint_of`.
        weights: SHA-256 of the backbone's weights.
        backend: "tensorflow" or "jax"; their features differ slightly.
        decoding: the version of the image decoder, ``core.images.DECODING``.
        storage: the version of the files.
    """

    data: str
    backbone: str
    alpha: float
    weights: str
    image_size: int
    resize: str
    backend: str
    decoding: int = DECODING
    storage: int = 2

    @property
    def name(self) -> str:
        """The name of the folder of these features."""
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()
        return f"{self.backbone}-{self.image_size}-{digest[:16]}"


def fingerprint_of(samples: Sequence[Sample]) -> str:
    """Returns the fingerprint of a split: the SHA-256 of its photos' contents, in order."""
    return hashlib.sha256("".join(sample.sha256 for sample in samples).encode()).hexdigest()


@dataclass(frozen=True)
class FeatureSet:
    """The features of some samples, in files.

    Attributes:
        files: each holds float32 (n, channels).
        labels: (photos,) of all of them.
    """

    files: tuple[Path, ...]
    labels: Labels

    def parts(self) -> Iterator[tuple[Features, Labels]]:
        """Yields the features and labels of each file."""
        done = 0
        for path in self.files:
            features = load_array(path)
            yield features, self.labels[done : done + len(features)]
            done += len(features)


class FeatureCache:
    """Sets of features below one folder, each named by its :class:`FeatureKey`.

    Attributes:
        discarded: how many damaged files were removed so far.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._intact: set[Path] = set()
        self.discarded = 0

    def missing(self, key: FeatureKey, samples: Sequence[Sample]) -> int:
        """Returns how many samples are not in the cache; damaged files are removed from it."""
        paths = self._paths(key, len(samples))
        return sum(min(SHARD, len(samples) - start) for start, path in paths if not self._holds(path))

    def compute(
        self,
        key: FeatureKey,
        samples: Sequence[Sample],
        *,
        backbone: Any,
        splits: Splits,
        step: Step,
    ) -> FeatureSet:
        """Returns the features of samples; those that are not in the cache are computed.

        Args:
            key: what the features depend on.
            backbone: a ``keras.Model`` from pixel values to features (N, channels).
            splits: the splits that the samples belong to.
            step: counts the photos that are not in the cache.
        """
        size = key.image_size, key.image_size
        files = []
        for start, path in self._paths(key, len(samples)):
            if not self._holds(path):
                photos = splits.paths(tuple(samples[start : start + SHARD]))
                found = predict_photos(backbone, photos, size=size, resize=key.resize, step=step)
                features = np.concatenate(list(found))
                with atomic.replacing(path) as temporary:
                    np.save(temporary, features)
                    seal(temporary, _label(path))
            files.append(path)
        (self._folder / key.name).touch()
        return FeatureSet(tuple(files), np.array([sample.label for sample in samples], np.intp))

    def prune(self) -> None:
        """Removes all but the most recently used sets."""
        sets = sorted((path for path in self._folder.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
        for path in sets[:-KEPT]:
            remove_path(path)

    def _holds(self, path: Path) -> bool:
        """Returns whether a file is there and intact; whatever else is in its place, or in its folder's, is removed."""
        if path in self._intact:
            return True
        if is_intact(path, _label(path)):
            self._intact.add(path)
            return True
        if path.exists() or path.is_symlink():
            self.discarded += 1
            remove_path(path)
        elif path.parent.is_symlink() or path.parent.is_file():
            remove_path(path.parent)
        return False

    def _paths(self, key: FeatureKey, count: int) -> list[tuple[int, Path]]:
        starts = range(0, count, SHARD)
        return [(start, self._folder / key.name / f"{number:05d}.npy") for number, start in enumerate(starts)]


def _label(path: Path) -> str:
    """Returns what a file is: the files of a set, and of two sets, may not stand in for one another."""
    return f"{path.parent.name}/{path.name}"
