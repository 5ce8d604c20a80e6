"""Finds benchmarks: of runs, in folders of results, in results files, and in all folders below a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from tledge.bench.results.results_folder import EARLIER, ResultsFolder
from tledge.bench.results.stored_results import StoredResults, read_stored
from tledge.core.errors import MeasurementError, TledgeError
from tledge.core.folder_contents import ARRIVING, REPLACING
from tledge.core.number_text import abridged
from tledge.core.progress import Progress
from tledge.core.run_directory import RunDirectory


@dataclass(frozen=True, kw_only=True)
class FoundBenchmarks:
    """The benchmarks that were found.

    Attributes:
        results: each benchmark once, in order.
        notes: what was left out, and what is incomplete; a sentence each.
    """

    results: tuple[StoredResults, ...]
    notes: tuple[str, ...] = ()


def find_benchmarks(
    paths: Sequence[Path], runs: Path, *, earlier: bool = False, progress: Progress | None = None
) -> FoundBenchmarks:
    """Reads the benchmarks that paths stand for.

    Args:
        paths: run folders or their names in ``runs``, folders of results, results files, or folders that contain any
            of these at any depth.
        runs: the folder of runs; searched as a whole without paths.
        earlier: also read earlier results.
        progress: reports that an interrupted replacement of results is finished first.

    Raises:
        MeasurementError: a path does not exist, cannot be read or contains no benchmark, or a results file that was
            named, or every one that was found, cannot be read.
    """
    places: dict[Path, bool] = {}  # and whether it was named
    notes: list[str] = []
    for path in paths or [runs]:
        found, unread = _locate(path, runs, earlier=earlier, named=bool(paths))
        notes += unread
        named = len(found) == 1 and bool(paths)
        for place in found:
            if place.resolve() in places and named:
                notes.append(f"'{place}' is given twice and listed once.")
            places[place.resolve()] = named or places.get(place.resolve(), False)
        notes += _without_benchmark(path, found)
    return _read_each(places, notes, progress)


def _locate(path: Path, runs: Path, *, earlier: bool, named: bool) -> tuple[list[Path], list[str]]:
    """Returns the folders of results, or the results file, that a path stands for, and notes on unreadable folders."""
    if not path.exists() and (runs / path).is_dir():
        path = runs / path
    if path.is_file():
        return [path.parent if path == ResultsFolder(path.parent).results else path], []
    if not path.is_dir():
        hint = f" and no run in '{runs}'" if named else "; 'tledge train' creates it"
        raise MeasurementError(f"no file or folder '{path}'{hint}")
    errors: list[OSError] = []
    found = list(_search(path, errors, earlier=earlier))
    unread = [f"cannot read the folder '{error.filename}': {error.strerror}" for error in errors]
    if not found and unread:
        raise MeasurementError(f"{unread[0]}; change its permissions, or name the benchmarks")
    if not found:
        raise MeasurementError(f"no benchmark below '{path}'; 'tledge bench' creates one")
    return found, [f"Left out: {reason}." for reason in unread]


def _search(folder: Path, errors: list[OSError], *, earlier: bool) -> Iterator[Path]:
    """Yields all folders of results below a folder, without following links; ``errors`` gets what cannot be read."""
    for name, folders, _ in os.walk(folder, onerror=errors.append):
        here = Path(name)
        try:
            holds_results = _holds_results(here)
        except OSError as error:  # it can be listed, but nothing in it can be opened
            errors.append(OSError(error.errno, error.strerror, name))
            folders.clear()
            continue
        if holds_results:
            yield here
        left_out = {EARLIER} if holds_results and not earlier else set()
        folders[:] = sorted(item for item in folders if not item.startswith(".") and item not in left_out)


def _holds_results(folder: Path) -> bool:
    """Whether a folder holds results, or did when they were being replaced."""
    return any(ResultsFolder(folder / name).results.is_file() for name in ("", REPLACING, ARRIVING))


def _without_benchmark(path: Path, found: Sequence[Path]) -> list[str]:
    """Names the runs in a folder that were never benchmarked."""
    runs = [run for run in sorted(path.iterdir()) if _is_run(run)] if path.is_dir() else []
    missing = [run.name for run in runs if not any(run in place.parents for place in found)]
    return [f"Runs without a benchmark: {abridged(missing)}."] if missing else []


def _is_run(folder: Path) -> bool:
    with suppress(OSError):  # the search names folders that cannot be read
        return not folder.is_symlink() and RunDirectory(folder).splits_path.is_file()
    return False


def _read_each(places: dict[Path, bool], notes: list[str], progress: Progress | None) -> FoundBenchmarks:
    results: dict[object, StoredResults] = {}
    errors: list[TledgeError] = []
    for place, named in places.items():
        try:
            found = read_stored(place, progress=progress)
        except TledgeError as error:
            if named:
                raise
            errors.append(error)
            continue
        found = replace(found, path=_shown(found.path))
        began = "" if found.settings is None else found.settings.began
        key = (began, tuple((item.artifact, item.target, item.metric, item.value) for item in found.measurements))
        if key in results:
            notes.append(f"'{found.path}' is a copy of '{results[key].path}', which is listed once.")
            continue
        results[key] = found
        if found.settings is not None and found.settings.interrupted:
            notes.append(f"'{found.path}' was interrupted: it has what was measured until then.")
    if not results:
        raise errors[0]
    return FoundBenchmarks(results=tuple(results.values()), notes=(*notes, *(f"Left out: {error}" for error in errors)))


def _shown(path: Path) -> Path:
    """Returns a path relative to the working folder, if it is below it."""
    working = Path.cwd()
    return path.relative_to(working) if path.is_relative_to(working) else path
