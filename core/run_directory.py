"""Run directories, which training, export and benchmarks share.

runs/20261123-101500-mobilenet_v2-cats_vs_dogs/
  run.json  splits.json  model.keras  history.csv  evaluation.json  model_card.md  figures/
  artifacts/  bench/  visualize/  logs/
runs/latest -> the newest finished run
runs/.cache/ features and data sets shared by runs
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tledge.core import atomic, sidecar_storage
from tledge.core.bounded_json import parse_json
from tledge.core.errors import ArtifactError, RunError
from tledge.core.folder_contents import finish_replacement
from tledge.core.manifest import RunManifest
from tledge.core.progress import Progress
from tledge.core.regular_file import read_bounded
from tledge.core.splits import Splits
from tledge.core.temporary_files import discard, lock_of, remove_litter, temporary_file, temporary_folder

LATEST = "latest"
DEFAULT_RUNS = Path("runs")

MOST_BEGUN_BYTES = 64 << 20
"""Of the file that holds what a run was started with: it lists all photos that were skipped."""

_RUN_NAME = re.compile(r"\d{8}-\d{6}-")
"""How the names of run directories start; see :func:`create_run`."""


class _Entry:
    """The path of a file or folder of a run directory, as an attribute."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, run: RunDirectory, owner: type[RunDirectory]) -> Path:
        return run.path / self._name


@dataclass(frozen=True)
class RunDirectory:
    """The paths of one run.

    Attributes:
        path: of the run directory.
        evaluation: the results on the test split, by class.
        last_good_model: the best weights of a failed training.
        checkpoints: the state of an unfinished training; removed when it is finished.
        begun: what an unfinished training was started with; without it a training cannot be resumed.
        in_progress_path: locked by the process that makes the run, while it does.
        data: the images of the built-in data set, if the run was trained on it.
    """

    path: Path

    manifest_path = _Entry("run.json")
    splits_path = _Entry("splits.json")
    model = _Entry("model.keras")
    history = _Entry("history.csv")
    evaluation = _Entry("evaluation.json")
    model_card = _Entry("model_card.md")
    figures = _Entry("figures")
    last_good_model = _Entry("last_good.keras")
    checkpoints = _Entry("checkpoints")
    begun = _Entry("checkpoints/begun.json")
    in_progress_path = _Entry(".in-progress")
    tensorboard = _Entry("tensorboard")
    data = _Entry("data")
    artifacts = _Entry("artifacts")
    bench = _Entry("bench")
    visualize = _Entry("visualize")
    logs = _Entry("logs")

    @property
    def cache(self) -> Path:
        """Files shared by the runs of a folder; safe to delete."""
        return self.path.parent / ".cache"

    def manifest(self) -> RunManifest:
        """Reads ``run.json``. Raises RunError."""
        return RunManifest.load(self.manifest_path)

    def splits(self, progress: Progress | None = None) -> Splits:
        """Reads ``splits.json``. Raises RunError."""
        return Splits.load(self.splits_path, progress)

    def check_records(self) -> None:
        """Checks ``run.json`` and ``splits.json``, but not whether the photos are there. Raises RunError."""
        self.manifest()
        Splits.check_record(self.splits_path)

    def exported(self) -> list[Path]:
        """Returns the exported files by format, the largest first. Raises ArtifactError if there are none."""
        formats = sidecar_storage.FORMATS
        paths = self.artifacts.iterdir() if self.artifacts.is_dir() else ()
        found = [path for path in paths if path.suffix[1:] in formats and not path.name.startswith(".")]
        if not found:
            raise ArtifactError(f"no artifacts in '{self.artifacts}': create some with `export(quantize='int8')`")
        return sorted(found, key=lambda path: (formats.index(path.suffix[1:]), -path.stat().st_size, path.name))

    def check_model(self, sha256: str) -> None:
        """Raises RunError unless ``sha256`` is that of the model that this run trained."""
        if self.manifest().model_sha256 != sha256:
            raise RunError(f"'{self.model}' is not the model that this run trained; restore that one or train again")

    def mark_latest(self) -> None:
        """Points the ``latest`` link beside this run to it."""
        atomic.point_link(self.path.parent / LATEST, self.path.name)


@contextmanager
def create_run(runs: Path, backbone: str, data_name: str, now: datetime) -> Iterator[RunDirectory]:
    """Creates an empty run directory, named after the time, the backbone and the data.

    It is marked as one that this process makes: if it is killed in the ``with`` block, others can tell.
    """
    slug = re.sub(r"[^\w-]+", "_", data_name).strip("_") or "data"
    base = f"{now:%Y%m%d-%H%M%S}-{backbone}-{slug}"
    runs.mkdir(parents=True, exist_ok=True)
    # Marked before it has its name: no other process ever finds a run without its mark.
    with temporary_folder(runs / base) as fresh, temporary_file(fresh, "run") as locked:
        locked.replace(RunDirectory(fresh).in_progress_path)
        fresh.chmod(0o777 & ~atomic.umask())
        run = RunDirectory(_move_to_free_name(fresh, runs / base))
        try:
            yield run
        finally:
            run.in_progress_path.unlink(missing_ok=True)


def _move_to_free_name(fresh: Path, base: Path) -> Path:
    for attempt in range(1, 1000):
        path = base if attempt == 1 else base.with_name(f"{base.name}-{attempt}")
        if os.path.lexists(path):
            continue
        try:
            return fresh.rename(path)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise
    raise RunError(f"cannot create a run directory: '{base}' and 998 more exist; clean up '{base.parent}'")


@contextmanager
def in_progress(run: RunDirectory) -> Iterator[None]:
    """Marks an existing run as one that this process makes, as :func:`create_run` does.

    Raises:
        RunError: another process makes it.
    """
    with ExitStack() as stack:
        in_use = False
        with suppress(OSError):  # without locks, nobody can tell
            handle = lock_of(run.path)
            if handle is not None:
                stack.callback(os.close, handle)
            in_use = handle is None or is_made_now(run)
        if in_use:
            raise RunError(f"'{run.path}' is in use by another process; wait until it ends, or train a new run")
        locked = stack.enter_context(temporary_file(run.path, "run"))
        locked.replace(run.in_progress_path)  # so it is never there without its lock
        try:
            yield
        finally:
            run.in_progress_path.unlink(missing_ok=True)


def is_made_now(run: RunDirectory) -> bool:
    """Returns whether a live process makes the run; False if that cannot be told, for lack of locks or permissions."""
    with suppress(OSError):
        handle = lock_of(run.in_progress_path)
        if handle is None:
            return True
        os.close(handle)
    return False


def tidy_runs(runs: Path, progress: Progress | None = None, *, unmarked: bool = False) -> list[RunDirectory]:
    """Finishes or removes the runs that killed processes left half made, reports it, and returns those it finished.

    A training that was killed at its very end is finished: ``latest`` names it. What cannot be resumed and is not
    finished is removed. Runs that can be resumed stay, as do those of live processes, and all runs on a read-only disk.

    Args:
        runs: the folder of runs.
        progress: reports what was finished or removed.
        unmarked: also remove runs of earlier versions, which did not mark the runs that they made.
    """
    remove_litter(runs)
    paths = sorted(runs.iterdir()) if runs.is_dir() else []
    found = (RunDirectory(path) for path in paths if not path.is_symlink() and path.is_dir())
    return [run for run in found if _tidy(run, progress or Progress(), unmarked=unmarked)]


def _tidy(run: RunDirectory, progress: Progress, *, unmarked: bool = False) -> bool:
    """Finishes, removes or keeps a run if its process was killed; returns whether it is finished now."""
    with suppress(OSError):  # without locks, nobody can tell whether it was
        marked = run.in_progress_path.exists()
        if not (marked or (unmarked and _is_abandoned(run))):
            return False
        handle = lock_of(run.in_progress_path if marked else run.path)
        if handle is None:
            return False
        try:
            return _finish_or_remove(run, progress)
        finally:
            os.close(handle)
    return False


def _finish_or_remove(run: RunDirectory, progress: Progress) -> bool:
    if _is_abandoned(run):
        progress.note("Removed", f"'{run.path}', which was killed before it could be resumed")
        discard(run.path)
        return False
    finished = run.manifest_path.exists()
    if finished:
        latest = run.path.parent / LATEST
        if not latest.is_symlink() or latest.readlink().name < run.path.name:  # names start with the time
            run.mark_latest()
        shutil.rmtree(run.checkpoints, ignore_errors=True)
        progress.note("Finished", f"'{run.path}', which was killed when it was complete")
    run.in_progress_path.unlink()
    return finished


def _is_abandoned(run: RunDirectory) -> bool:
    """Returns whether a run is neither finished nor resumable, and holds nothing that should be kept.

    A folder without the mark is a run of an earlier version, or none at all. It holds nothing of a user if all names in
    it are those of a run that has just begun.
    """
    if run.manifest_path.exists() or run.last_good_model.exists() or _can_be_resumed(run):
        return False
    if run.in_progress_path.exists():
        return True
    names = {path.name for path in run.path.iterdir() if not path.name.startswith(".")}
    early = {path.name for path in (run.splits_path, run.data, run.checkpoints, run.logs, run.tensorboard)}
    return _RUN_NAME.match(run.path.name) is not None and names <= early


def _can_be_resumed(run: RunDirectory) -> bool:
    """Returns whether a run has a checkpoint, or what it was started with, which a power failure may have cut off."""
    held = run.checkpoints.iterdir() if run.checkpoints.is_dir() else ()
    if any(path.suffix == ".npz" and not path.name.startswith(".") for path in held):
        return True
    try:
        parse_json(read_bounded(run.begun, MOST_BEGUN_BYTES, "record"))
    except ValueError:
        return False
    except OSError:  # if it is there but cannot be read, it is kept
        return run.begun.exists()
    return True


def find_model_file(path: Path, runs: Path = DEFAULT_RUNS) -> Path:
    """Returns a model file; a bare name that is not a file here is looked up in the newest finished run.

    Args:
        path: a model file, or the name of one: "int8.tflite".
        runs: the folder of runs.

    Returns:
        The file of the run; ``path`` itself if it exists or has a folder, or if there is no run.

    Raises:
        ArtifactError: the newest run has no such file.
    """
    link = runs / LATEST
    if path.name != str(path) or path.suffix[1:] not in sidecar_storage.FORMATS or path.exists() or not link.exists():
        return path
    run = RunDirectory(runs / link.readlink() if link.is_symlink() else link)
    if path.name == run.model.name:
        return run.model
    names = [found.name for found in run.exported()]
    if path.name not in names:
        raise ArtifactError(f"no model file '{path}', neither here nor in '{run.path}', which has {', '.join(names)}")
    return run.artifacts / path.name


def find_run(
    run: str | Path | None = None, runs: Path = DEFAULT_RUNS, progress: Progress | None = None
) -> RunDirectory:
    """Returns a finished run. What killed processes left half done in it is finished or removed first.

    Args:
        run: a run directory, its name within ``runs``, or None for the newest finished one.
        runs: the folder of runs.
        progress: reports what was finished or removed.

    Raises:
        RunError: there is no such run, or it is not finished.
    """
    tidy_runs(runs, progress)
    if run is None or str(run) == LATEST:
        link = runs / LATEST
        if not link.exists():
            raise RunError(f"no finished run in '{runs}': create one with 'tledge train', or name one with `run`")
        path = runs / link.readlink() if link.is_symlink() else link
    else:
        path = Path(run) if Path(run).is_dir() else runs / run
        if not path.is_dir():
            raise RunError(f"no run '{run}': neither a folder nor a name in '{runs}'; 'tledge train' creates one")
    directory = RunDirectory(path)
    _tidy(directory, progress or Progress())
    if not directory.manifest_path.exists():
        raise RunError(f"'{path}' is not a finished run: it has no run.json; 'tledge train' creates one")
    for folder in (directory.path, directory.artifacts, directory.logs):
        remove_litter(folder)
    for folder in (directory.bench, directory.visualize):
        finish_replacement(folder, progress)
    return directory
