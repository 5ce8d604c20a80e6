"""The options of ``compare()``, declared once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tledge.core.metric_catalogue import METRICS
from tledge.core.options import ARGUMENTS, Choices, check_options, option
from tledge.core.progress import Progress
from tledge.core.run_directory import DEFAULT_RUNS

GROUPS = ("Benchmarks", "Output")

DEFAULT_FOLDER = Path("compare")
"""Where a leaderboard is written."""

STANDING, MODEL = "standing", "model"

ORDERS: Mapping[str, str] = {
    STANDING: "",
    MODEL: "",
    **{
        metric.key or name: name
        for name, metric in METRICS.items()
        if metric.better and metric.heading and metric.brief
    },
}
"""The metric of each order of rows; empty for those that are not of a metric."""


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """All options of ``compare()``. Raises UnknownNameError if ``sort`` is not an order."""

    benchmarks: Sequence[Path | str] = option(
        (),
        "Runs, folders of results, results.jsonl files, or folders to search for benchmarks.",
        group=ARGUMENTS,
        default_text="all runs",
        metavar="[PATH]...",
    )
    budget: str | Sequence[str] = option(
        (),
        "A limit that the recommended file of each machine has to meet: 'p90_ms <= 20', 'size_mb <= 5' or"
        " 'top1 >= 0.95'; may be repeated. Budgets of the benchmarks are not applied.",
        group="Benchmarks",
        default_text="none",
    )
    earlier: bool = option(False, "Also compare earlier results, which bench/earlier keeps.", group="Benchmarks")
    runs: str | Path = option(DEFAULT_RUNS, "The folder of run directories.", group="Benchmarks")
    sort: str = option(
        STANDING,
        f"Order of the rows: {STANDING} (the recommended file, the Pareto front, the others, each by p90 with less"
        f" accurate files last), {', '.join(name for name in ORDERS if name != STANDING)}.",
        group="Output",
        allowed=Choices("order", tuple(ORDERS)),
    )
    csv: bool = option(False, "Also write leaderboard.csv.", group="Output")
    output: Path | str = option(DEFAULT_FOLDER, "The folder for the leaderboard.", group="Output")
    progress: Progress | None = option(None, "Receives notes and warnings.", default_text="lines in a notebook")

    def __post_init__(self) -> None:
        check_options(self)
