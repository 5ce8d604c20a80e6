"""The state of a training at the end of an epoch, and the two files that hold the latest ones."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tledge.core import atomic
from tledge.core.array_file import open_arrays
from tledge.core.errors import RunError
from tledge.core.field_bounds import AnyFloat, Count
from tledge.core.progress import Progress
from tledge.core.records import Record
from tledge.core.sealed_file import is_intact, is_sealed, remove_path, seal
from tledge.train.best_weights import BestWeights
from tledge.train.history import FINE_TUNE, FULL, PROBE, Epoch

Arrays = Sequence[npt.NDArray[np.generic]]

REMEDY = "remove its run and train again"

_LABEL = "checkpoint"


@dataclass(frozen=True, kw_only=True)
class CheckpointMetadata(Record, version=1, error=RunError, remedy=REMEDY):
    """What a checkpoint holds besides arrays; see :class:`Checkpoint` and ``BestWeights`` for the fields.

    Attributes:
        sealed: whether the file ends with a hash of its content; those of earlier versions do not.
    """

    history: tuple[Epoch, ...]
    best_epoch: Count
    best_loss: AnyFloat
    start_loss: AnyFloat
    sealed: bool = False

    def __post_init__(self) -> None:
        if not self.history:
            raise ValueError("it has no epochs")
        count = 0
        for row, before in zip(self.history, (None, *self.history), strict=False):
            count = count + 1 if before is not None and row.phase == before.phase else 1
            if row.phase not in (PROBE, FINE_TUNE, FULL) or row.epoch != count:
                raise ValueError(f"epoch {row.epoch} of '{row.phase}' is not the next one")
            if not all(math.isfinite(value) for value in vars(row).values() if isinstance(value, float)):
                raise ValueError(f"a figure of epoch {row.epoch} is not finite")
        if not 0 <= self.best_epoch <= count:
            raise ValueError(f"the best epoch is {self.best_epoch}, of {count}")
        if math.isnan(self.start_loss) or math.isnan(self.best_loss):
            raise ValueError("a loss is not a number")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The state of a training at the end of an epoch; its history includes earlier phases."""

    history: tuple[Epoch, ...]
    weights: Arrays
    optimizer: Arrays
    best: BestWeights

    def save(self, path: Path) -> None:
        """Writes the checkpoint, whole or not at all."""
        with atomic.replacing(path) as temporary:
            self.write(temporary)

    def write(self, path: Path) -> None:
        """Writes the checkpoint to a file that is not used until it is whole."""
        best = self.best
        metadata = CheckpointMetadata(
            history=self.history, best_epoch=best.epoch, best_loss=best.loss, start_loss=best.start_loss, sealed=True
        )
        groups = {"weights": self.weights, "optimizer": self.optimizer, "start": best.start, "best": best.weights}
        arrays: dict[str, Any] = {
            f"{name}/{index:05d}": array for name, group in groups.items() for index, array in enumerate(group)
        }
        # Of random weights the loss is infinite: Python's JSON holds that, unlike the standard's.
        content = json.dumps(metadata.to_dict()).encode()
        with path.open("wb") as file:
            np.savez(file, metadata=np.frombuffer(content, np.uint8), **arrays)
        seal(path, _LABEL)

    @classmethod
    def load(cls, path: Path) -> Checkpoint | None:
        """Reads a checkpoint; returns None if there is none yet.

        Raises:
            RunError: it cannot be read, is damaged, or another version of tledge wrote it.
        """
        if not path.exists():
            return None
        sealed = False
        try:
            if not path.is_file():
                raise ValueError("it is not a file")
            sealed = is_sealed(path)
            if sealed and not is_intact(path, _LABEL):
                raise ValueError("its content has changed since it was written")
            return cls._read(path, sealed)
        except RunError:
            raise
        except MemoryError as error:
            if sealed:
                raise
            raise RunError(f"cannot read '{path}': its arrays do not fit in memory; {REMEDY}") from error
        except Exception as error:  # NumPy and zipfile raise errors of a dozen types for damaged files
            raise RunError(f"cannot read '{path}': {error or type(error).__name__}; {REMEDY}") from error

    @classmethod
    def _read(cls, path: Path, sealed: bool) -> Checkpoint:
        with open_arrays(path) as stored:
            name = "metadata" if "metadata" in stored else "told"  # its name in earlier versions
            metadata = CheckpointMetadata.from_json(stored[name].tobytes(), path)
            if metadata.sealed and not sealed:
                raise ValueError("its end is missing")
            weights, optimizer, start, best = (
                [stored[key] for key in sorted(stored) if key.startswith(f"{name}/")]
                for name in ("weights", "optimizer", "start", "best")
            )
        return cls(
            history=metadata.history,
            weights=weights,
            optimizer=optimizer,
            best=BestWeights(
                start=start,
                start_loss=metadata.start_loss,
                weights=best,
                epoch=metadata.best_epoch,
                loss=metadata.best_loss,
            ),
        )

    def check_fits(self, weights: Arrays, phase: str) -> None:
        """Raises RunError if a training cannot continue from this checkpoint.

        Args:
            weights: those of the model to train, for their shapes and dtypes.
            phase: the phase that continues.
        """
        if self.history[-1].phase != phase:
            raise RunError(f"it is one of the {self.history[-1].phase}, not of the {phase}; {REMEDY}")
        for group in (self.weights, self.best.start, self.best.weights):
            check_arrays(group, weights, "its weights do not fit the model")
        check_finite(self.optimizer)


def check_arrays(found: Arrays, expected: Sequence[Any], problem: str) -> None:
    """Raises RunError unless arrays have the expected shapes and dtypes, and finite values."""
    if len(found) != len(expected):
        raise RunError(f"{problem}: {len(expected)} arrays expected, {len(found)} received; {REMEDY}")
    for array, other in zip(found, expected, strict=True):
        if array.shape != tuple(other.shape) or array.dtype != other.dtype:
            raise RunError(
                f"{problem}: expected {other.dtype} {tuple(other.shape)},"
                f" received {array.dtype} {array.shape}; {REMEDY}"
            )
    check_finite(found)


def check_finite(arrays: Arrays) -> None:
    """Raises RunError if a value is infinite or NaN, or no number."""
    for array in arrays:
        if array.dtype.kind not in "fiub" or not np.isfinite(array).all():
            raise RunError(f"it holds values that are not finite; {REMEDY}")


class CheckpointFiles:
    """The two latest checkpoints of a run, so that a damaged one leaves the one before.

    Args:
        folder: the checkpoints of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.latest = folder / "epoch.npz"
        self.previous = folder / "epoch-before.npz"

    def save(self, checkpoint: Checkpoint) -> None:
        """Adds a checkpoint; the one before the latest is replaced. A kill at any moment leaves a whole one."""
        with atomic.replacing(self.latest) as temporary:
            checkpoint.write(temporary)
            if self.latest.exists():
                self.latest.replace(self.previous)

    def load(self, weights: Arrays, phase: str, progress: Progress) -> Checkpoint | None:
        """Reads the latest checkpoint that is intact and fits; returns None if there is none yet.

        Args:
            weights, phase: see :meth:`Checkpoint.check_fits`.
            progress: warns of a damaged checkpoint, which is removed if the one before can be used.

        Raises:
            RunError: there are checkpoints, and none can be used.
        """
        problem: RunError | None = None
        for path in (self.latest, self.previous):
            try:
                found = self._load(path, weights, phase)
            except RunError as error:
                problem = problem or error
                continue
            if found is None:
                continue
            if problem is not None:
                reason = str(problem).removesuffix(f"; {REMEDY}")
                progress.warn(f"{reason}; continuing from the checkpoint before it, epoch {found.history[-1].epoch}")
                remove_path(self.latest)
            return found
        if problem is not None:
            raise problem
        return None

    @staticmethod
    def _load(path: Path, weights: Arrays, phase: str) -> Checkpoint | None:
        found = Checkpoint.load(path)
        if found is not None:
            try:
                found.check_fits(weights, phase)
            except RunError as error:
                raise RunError(f"cannot use '{path}': {error}") from error
        return found
