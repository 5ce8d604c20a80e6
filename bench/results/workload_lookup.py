"""The workload that the options of ``bench()`` name: artifacts of a run, or model files."""

from __future__ import annotations

from pathlib import Path

from tledge.bench.results.bench_options import DEFAULT_OUTPUT, BenchOptions, SelectionOptions
from tledge.bench.results.workload import Workload, workload_of_files, workload_of_run
from tledge.core.errors import OptionError
from tledge.core.options import as_tuple, check_used, given_options, option_names
from tledge.core.progress import Progress
from tledge.core.run_directory import find_model_file, find_run
from tledge.edge_runtime.description import read_size

OF_FILES = ("data", "seen_photos", "output", "input_size")
"""Options that a run does not take."""


def find_workload(options: BenchOptions, progress: Progress) -> Workload:
    """Returns what is benchmarked. Raises TledgeError if the options name nothing, or contradict each other."""
    given = given_options(options)
    if options.files:
        return _of_files(options, given, progress)
    for name in OF_FILES:
        if name in given:
            raise OptionError(f"`{name}='{given[name]}'` needs model files; a run is measured on its own test split")
    run = find_run(options.run, Path(options.runs), progress)
    return workload_of_run(run, progress, artifacts=as_tuple(options.artifacts), skip=as_tuple(options.skip))


def _of_files(options: BenchOptions, given: dict[str, object], progress: Progress) -> Workload:
    if options.run is not None:
        raise OptionError(f"both `files` and `run='{options.run}'` were given; leave out one of them")
    for name in sorted(option_names(SelectionOptions)):
        if name in given:
            raise OptionError(
                f"`{name}` chooses among the artifacts of a run, but `files` names model files; leave it out"
            )
    folder = DEFAULT_OUTPUT if options.output is None else Path(options.output)
    if folder.exists() and not folder.is_dir():
        raise OptionError(f"`output='{folder}'` is not a folder; name one for the results")
    if options.data is None and "seen_photos" in given:
        raise OptionError(f"`seen_photos='{options.seen_photos}'` is about labelled photos; name them with `data`")
    files = []
    for path in map(Path, as_tuple(options.files)):
        found = find_model_file(path, Path(options.runs))
        if found != path:
            progress.note("File", f"{path} is '{found}'")
        files.append(found)
    if files == [Path(path) for path in as_tuple(options.files)]:
        check_used(options, ("runs",), "with `files`, whose results go to `output`")
    data = None if options.data is None else Path(options.data)
    size = () if options.input_size is None else read_size(options.input_size)
    return workload_of_files(files, data, folder, progress, size, seen_photos=options.seen_photos)
