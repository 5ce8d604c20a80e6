"""The runs that an interrupted training left, and what each was started with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tledge.core.errors import RunError
from tledge.core.field_bounds import IsoTime
from tledge.core.manifest import DataRecord
from tledge.core.number_text import counted
from tledge.core.progress import Progress
from tledge.core.records import Record
from tledge.core.run_directory import MOST_BEGUN_BYTES, RunDirectory, is_made_now, tidy_runs
from tledge.train.train_settings import Settings


@dataclass(frozen=True, kw_only=True)
class UnfinishedRun(
    Record, version=1, error=RunError, remedy="remove its run and train again", most_bytes=MOST_BEGUN_BYTES
):
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


def named_run(runs: Path, name: str | Path) -> RunDirectory:
    """Returns the run that a path or a name within ``runs`` stands for; it need not exist."""
    path = Path(name) if Path(name).is_dir() else runs / name
    return RunDirectory(path.resolve() if path.name in ("", "..") or path.is_symlink() else path)


def find_unfinished(runs: Path, name: str | Path | None, progress: Progress | None = None) -> RunDirectory:
    """Returns the run to resume.

    Args:
        name: a run directory or its name; None for the newest unfinished run that no process is training. Then
            abandoned runs of earlier versions are removed too, see ``tidy_runs``.
        progress: shows what is removed.

    Raises:
        RunError: there is none.
    """
    if name is None:
        return _find_newest(runs, progress or Progress())
    run = named_run(runs, name)
    path = run.path
    if run.manifest_path.exists():
        raise RunError(f"'{path}' is finished: there is nothing to resume; leave out `resume`")
    if not is_unfinished(run):
        raise RunError(f"'{path}' is not an unfinished run: pass one, or leave out `run` to resume the newest")
    return run


def _find_newest(runs: Path, progress: Progress) -> RunDirectory:
    tidy_runs(runs, progress, unmarked=True)
    folders = sorted(runs.iterdir(), reverse=True) if runs.is_dir() else []
    newest, in_use = None, 0
    for run in (RunDirectory(path) for path in folders if not path.is_symlink() and path.is_dir()):
        if run.manifest_path.exists():
            continue
        if is_made_now(run):
            in_use += 1
        elif is_unfinished(run):
            newest = newest or run
    if newest is None:
        others = f" but {counted(in_use, 'runs')} of other processes" if in_use else ""
        raise RunError(f"no unfinished run in '{runs}'{others}: there is nothing to resume; leave out `resume`")
    return newest
