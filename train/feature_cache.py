"""The frozen backbone's features, computed once and kept on disk. Imports Keras.

They are kept in files of some thousand photos each, in the order of the samples, so that neither writing nor reading
them takes more memory for more photos, and a run that was killed goes on at the file that is missing.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tledge.core import atomic
from tledge.core.images import DECODING
from tledge.core.progress import Step
from tledge.core.splits import Sample, Splits
from tledge.train.inference import run_over
from tledge.train.train_settings import Settings

SHARD = 2048
"""Photos a file."""

KEPT = 8
"""Sets of features that are kept; the one that was not used for longest goes first."""

Features = npt.NDArray[np.float32]
Labels = npt.NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class FeatureKey:
    """All that the features of a split depend on.

    Attributes:
        data: fingerprint of the split: the SHA-256 of its photos, in order.
        backbone, alpha: which network.
        weights: SHA-256 of its weights.
        image_size, resize: how photos get their size.
        backend: "tensorflow" or "jax"; they differ in the last digits.
        decoding: which pixels photos give, ``core.images.DECODING``.
    """

    data: str
    backbone: str
    alpha: float
    weights: str
    image_size: int
    resize: str
    backend: str
    decoding: int = DECODING

    @property
    def name(self) -> str:
        """The name of a folder."""
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()
        return f"{self.backbone}-{self.image_size}-{digest[:16]}"


def fingerprint_of(samples: Sequence[Sample]) -> str:
    """The SHA-256 of a split: of its photos' contents, in order."""
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
        """Features and labels, a file at a time."""
        done = 0
        for path in self.files:
            features = np.load(path)
            yield features, self.labels[done : done + len(features)]
            done += len(features)


class FeatureCache:
    """Sets of features below one folder, named by what they depend on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def missing(self, key: FeatureKey, samples: Sequence[Sample]) -> int:
        """How many samples have to be run through the backbone."""
        paths = self._paths(key, len(samples))
        return sum(min(SHARD, len(samples) - start) for start, path in paths if not path.exists())

    def compute(
        self,
        key: FeatureKey,
        samples: Sequence[Sample],
        *,
        backbone: Any,
        splits: Splits,
        settings: Settings,
        step: Step,
    ) -> FeatureSet:
        """Takes the features of samples from disk, and computes those that are not there.

        Args:
            key: what they depend on.
            samples: whose.
            backbone: a ``keras.Model`` from pixel values to features (N, channels).
            splits: where the photos are.
            settings: of the run.
            step: is told of the photos that have to be computed.
        """
        files = []
        for start, path in self._paths(key, len(samples)):
            if not path.exists():
                photos = splits.paths(tuple(samples[start : start + SHARD]))
                features = np.concatenate(
                    list(run_over(backbone, photos, size=settings.input_size, resize=settings.resize, step=step))
                )
                with atomic.replacing(path) as temporary:
                    np.save(temporary, features)
            files.append(path)
        (self._folder / key.name).touch()
        return FeatureSet(tuple(files), np.array([sample.label for sample in samples], np.intp))

    def prune(self) -> None:
        """Removes the sets that were not used for longest."""
        sets = sorted((path for path in self._folder.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
        for path in sets[:-KEPT]:
            shutil.rmtree(path, ignore_errors=True)

    def _paths(self, key: FeatureKey, count: int) -> list[tuple[int, Path]]:
        starts = range(0, count, SHARD)
        return [(start, self._folder / key.name / f"{number:05d}.npy") for number, start in enumerate(starts)]
