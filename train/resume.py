"""The runs that an interrupted training left, and what each was started with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tledge.core.errors import RunError
from tledge.core.manifest import DataRecord
from tledge.core.records import Record
from tledge.core.run_directory import RunDirectory
from tledge.train.train_settings import Settings


@dataclass(frozen=True, kw_only=True)
class UnfinishedRun(Record, version=1, error=RunError, remedy="remove its run and train again"):
    """What a run was started with.

    Attributes:
        data: the photos, as ``run.json`` will record them.
        created: when it was started, ISO 8601 with offset.
        backend: the backend of Keras, "tensorflow" or "jax".
    """

    settings: Settings
    data: DataRecord
    created: str
    backend: str


def unfinished_path(run: RunDirectory) -> Path:
    """Returns the file that marks a run as one that can be resumed, an :class:`UnfinishedRun` as JSON."""
    return run.checkpoints / "begun.json"


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
