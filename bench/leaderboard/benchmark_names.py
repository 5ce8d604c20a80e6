"""Names of benchmarks in a leaderboard: the shortest ones that set them apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tledge.bench.results.stored_results import StoredResults


def started(benchmark: StoredResults) -> str:
    """Returns when a benchmark began: "2026-11-24 10:00"; empty if it is not recorded."""
    return "" if benchmark.settings is None else benchmark.settings.began[:16].replace("T", " ")


def run_name(benchmark: StoredResults) -> str:
    """Returns the run of a benchmark, or the folder of its results."""
    run = "" if benchmark.settings is None else benchmark.settings.run
    return run or benchmark.folder.path.resolve().name


def names_of(benchmark: StoredResults, model: str) -> tuple[str, ...]:
    """Returns what a benchmark can be called, the shortest first: by its model, its run, with its time, by its path.

    Args:
        benchmark: what to name.
        model: the model that its files come from; empty if it is not known.
    """
    run, time = run_name(benchmark), started(benchmark)
    return model, run, f"{run}, {time}" if time else "", str(benchmark.path)


def shortest_names(names: Sequence[Sequence[str]], sets_apart: Callable[[Sequence[str]], bool]) -> list[str]:
    """Returns a name for each of several things: the first of each that together set the things apart.

    Args:
        names: of each thing, as many for each; an empty one is not usable.
        sets_apart: whether names, one for each thing, are enough; the last ones are taken if none are.
    """
    of_all = [list(found) for found in zip(*names, strict=True)]
    return next((found for found in of_all if all(found) and sets_apart(found)), of_all[-1])
