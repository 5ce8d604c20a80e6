"""``tledge bench``."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tledge.cli.execution import executing
from tledge.cli.options import Json, Run, Runs
from tledge.cli.tables import bench_table
from tledge.cli.terminal import Terminal
from tledge.core.run_directory import DEFAULT_RUNS, find_run

if TYPE_CHECKING:
    from tledge.bench import BenchRecord


def run(
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="runtime:device:threads, as in litert:cpu:2; may be repeated.  [default: all of this machine]"
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(help="How long each cell is timed, at least.")] = 2.0,
    run: Run = None,
    runs: Runs = DEFAULT_RUNS,
    json: Json = False,
) -> None:
    """Measure a run's artifacts on this machine.

    Test accuracy, agreement with the Keras model, and latency of each artifact on each target, each in a
    fresh process, through the code that runs on the device. Writes bench/results.jsonl and bench/report.md.
    """
    with executing(json) as terminal:
        from tledge.bench import bench, summarize

        directory = find_run(run, runs)
        terminal.log_to = directory.logs / "bench.log"
        record = bench(
            run=directory.path, targets=target or (), seconds=seconds, runs=runs, progress=terminal.progress()
        )
        terminal.print_json(to_json(record))
        show(terminal, record)
        if any(item.failed for item in record.skipped):
            raise typer.Exit(1)
        exported = [row for row in summarize(record.measurements) if not row.target.startswith("keras")]
        if exported:
            fastest = directory.artifacts / min(exported, key=lambda row: row.p50).artifact
            terminal.print_command(f"tledge predict {shlex.quote(str(fastest))} PHOTO...")


def to_json(record: BenchRecord) -> dict[str, Any]:
    """What a benchmark measured, for machines."""
    from tledge.bench import summarize

    return {
        "results": record.results,
        "rows": [row.to_dict() for row in summarize(record.measurements)],
        "skipped": [vars(item) for item in record.skipped],
    }


def show(terminal: Terminal, record: BenchRecord) -> None:
    """Prints what a benchmark measured."""
    from tledge.bench import summarize

    terminal.print(bench_table(summarize(record.measurements), terminal.width))
    for item in record.skipped:
        where = f"{item.artifact} on {item.target}" if item.target else item.artifact
        terminal.print(f"Not measured: {where}: {item.reason}")
    terminal.print(f"\nReport: {record.report}")
