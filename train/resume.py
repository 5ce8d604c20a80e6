"""What an interrupted training resumes from: its settings and the state at the end of its last epoch."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tledge.core import atomic
from tledge.core.errors import RunError
from tledge.core.field_bounds import AnyFloat, Count, IsoTime
from tledge.core.manifest import DataRecord
from tledge.core.records import Record
from tledge.core.run_directory import RunDirectory
from tledge.train.best_weights import BestWeights
from tledge.train.history import Epoch
from tledge.train.train_settings import Settings

Arrays = Sequence[npt.NDArray[np.generic]]


@dataclass(frozen=True, kw_only=True)
class UnfinishedRun(Record, version=1, error=RunError, remedy="remove its run and train again", most_bytes=64 << 20):
    """What a run was started with.

    Attributes:
        data: the photos, as ``run.json`` will record them.
        created: when it was started, ISO 8601 with offset.
        backend: the backend of Keras, "tensorflow" or "jax".
    """

    settings: Settings
    data: DataRecord
    created: IsoTime
    backend: str


def unfinished_path(run: RunDirectory) -> Path:
    """Returns the file that marks a run as one that can be resumed, an :class:`UnfinishedRun` as JSON."""
    return run.begun


def is_unfinished(run: RunDirectory) -> bool:
    """Returns whether a run was started and can be resumed."""
    return unfinished_path(run).exists() and not run.manifest_path.exists()


def find_unfinished(runs: Path, name: str | Path | None) -> RunDirectory:
    """Returns the run to resume.

    Args:
        name: a run directory or its name; None for the newest unfinished run.

    Raises:
        RunError: there is none.
    """
    if name is None:
        folders = sorted(runs.iterdir(), reverse=True) if runs.is_dir() else []
        directories = [RunDirectory(path) for path in folders if not path.is_symlink()]
        newest = next((run for run in directories if is_unfinished(run)), None)
        if newest is None:
            raise RunError(f"no unfinished run in '{runs}': there is nothing to resume; leave out `resume`")
        return newest
    path = Path(name) if Path(name).is_dir() else runs / name
    if path.name in ("", ".."):
        path = path.resolve()
    run = RunDirectory(path)
    if run.manifest_path.exists():
        raise RunError(f"'{path}' is finished: there is nothing to resume; leave out `resume`")
    if not is_unfinished(run):
        raise RunError(f"'{path}' is not an unfinished run: pass one, or leave out `run` to resume the newest")
    return run


@dataclass(frozen=True, kw_only=True)
class CheckpointMetadata(Record, version=1, error=RunError, remedy="remove its run and train again"):
    """What a checkpoint holds besides arrays; see :class:`Checkpoint` and ``BestWeights`` for the fields."""

    history: tuple[Epoch, ...]
    best_epoch: Count
    best_loss: AnyFloat
    start_loss: AnyFloat


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """The state of a training at the end of an epoch; its history includes earlier phases."""

    history: tuple[Epoch, ...]
    weights: Arrays
    optimizer: Arrays
    best: BestWeights

    def save(self, path: Path) -> None:
        """Writes the checkpoint, whole or not at all."""
        best = self.best
        metadata = CheckpointMetadata(
            history=self.history, best_epoch=best.epoch, best_loss=best.loss, start_loss=best.start_loss
        )
        groups = {"weights": self.weights, "optimizer": self.optimizer, "start": best.start, "best": best.weights}
        arrays: dict[str, Any] = {
            f"{name}/{index:05d}": array for name, group in groups.items() for index, array in enumerate(group)
        }
        with atomic.replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, metadata=np.frombuffer(metadata.to_json(), np.uint8), **arrays)

    @classmethod
    def load(cls, path: Path) -> Checkpoint | None:
        """Reads a checkpoint; returns None if there is none yet.

        Raises:
            RunError: it cannot be read, or another version of tledge wrote it.
        """
        if not path.exists():
            return None
        try:
            with np.load(path) as stored:
                name = "metadata" if "metadata" in stored.files else "told"  # its name in earlier versions
                metadata = CheckpointMetadata.from_json(stored[name].tobytes(), path)
                weights, optimizer, start, best = (
                    [stored[key] for key in sorted(stored.files) if key.startswith(f"{name}/")]
                    for name in ("weights", "optimizer", "start", "best")
                )
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise RunError(f"cannot read '{path}': {error}; remove its run and train again") from error
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
