"""``tledge bench``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tledge.bench.results.bench_options import GROUPS, AttackOptions, BenchOptions, MeasurementOptions, SelectionOptions
from tledge.cli.bench_table import attack_table, bench_table, corruption_table, profile_table
from tledge.cli.command_builder import Given, Json, build_command
from tledge.cli.comparison_table import comparison_table
from tledge.cli.execution import executing
from tledge.cli.messages import translate
from tledge.cli.shell_text import shell_word
from tledge.cli.terminal import Terminal
from tledge.core.errors import OptionError, RunError
from tledge.core.options import as_tuple, option_names
from tledge.core.run_directory import DEFAULT_RUNS, find_run

if TYPE_CHECKING:
    from tledge.bench import BenchRecord
    from tledge.bench.earlier.repeated_benchmark import Repetition

GATE_BROKEN = 3
"""The exit code if a condition of --fail-on holds."""


@build_command("bench", BenchOptions, groups=GROUPS)
def run(
    given: Given,
    *,
    repeat: Annotated[
        Path | None,
        typer.Option(
            help="Repeat the benchmark of this results.jsonl or folder, with its recorded options.  [default: none]",
            show_default=False,
            rich_help_panel="Comparison",
        ),
    ] = None,
    export: Annotated[
        list[str] | None,
        typer.Option(
            help="Also write the measurements as csv or parquet; may be repeated.  [default: none]",
            show_default=False,
            rich_help_panel="Output",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Measure a run's artifacts, or model files, on this machine.

    Measures test accuracy, agreement with the Keras model, latency, throughput, memory and start-up time of each
    artifact on each target, in fresh processes that take turns, with the code that runs on the device. Writes
    bench/results.jsonl, bench/report.html and bench/report.md into the run.
    """
    with executing(given.command, json) as terminal:
        from tledge.bench.earlier.repeated_benchmark import read_repetition
        from tledge.bench.results.table_files import check_export, write_table

        options = given.values()
        for name in export or ():
            check_export(name)
        repetition = None
        if repeat is not None:
            _check_repeatable(given)
            repetition = read_repetition(repeat, terminal.progress())
            options |= repetition.arguments
        if not options.get("files"):
            with suppress(RunError):  # which bench() reports, after wrong options
                directory = find_run(options.get("run"), Path(options.get("runs", DEFAULT_RUNS)), terminal.progress())
                terminal.log_to = directory.logs / "bench.log"
        record = run_benchmark(terminal, **options)
        tables = [write_table(record.measurements, name, record.folder.path, record.skipped) for name in export or ()]
        show_benchmark(terminal, record)
        _show_tables(terminal, record, tables)
        if repetition is not None:
            _show_differences(terminal, repetition, record)
        _show_comparison(terminal, record, conditions=len(as_tuple(options.get("fail_on", ()))))
        if any(item.failed for item in record.skipped):
            raise typer.Exit(1)
        if not record.gate.passed:
            raise typer.Exit(GATE_BROKEN)
        _print_next(terminal, record)


def run_benchmark(terminal: Terminal, **options: Any) -> BenchRecord:
    """Benchmarks with the options of ``bench()``; after Ctrl-C it prints the results until then."""
    from tledge.bench import BenchInterrupted, bench

    try:
        return bench(**options, progress=terminal.progress())
    except BenchInterrupted as interrupt:
        show_benchmark(terminal, interrupt.record)
        raise


def _check_repeatable(given: Given) -> None:
    """Raises OptionError for an option that contradicts the recorded ones."""
    recorded = option_names(MeasurementOptions, AttackOptions, SelectionOptions) | {"output", "runs"}
    if flags := given.flags(recorded):
        raise OptionError(f"--repeat takes these options from the earlier benchmark; leave out: {', '.join(flags)}")


def _show_tables(terminal: Terminal, record: BenchRecord, tables: Sequence[Path]) -> None:
    """Prints where the tables are, or everything as JSON."""
    for path in tables:
        terminal.print(f"Table: {path}")
    comparison = None if record.comparison is None else record.comparison.to_dict()
    more = {"exports": tables, "comparison": comparison, "gate": vars(record.gate)}
    terminal.print_json({**to_json(record), **more})


def _show_differences(terminal: Terminal, repetition: Repetition, record: BenchRecord) -> None:
    for line in repetition.differences(record.settings) or ["with the same files and photos"]:
        terminal.print(f"Repeated: {line}")


def _show_comparison(terminal: Terminal, record: BenchRecord, *, conditions: int) -> None:
    """Prints the comparison with an earlier benchmark, and the result of the conditions."""
    if record.comparison is not None:
        terminal.print(comparison_table(record.comparison, terminal.width))
    gate = record.gate
    for line in (*gate.violations, *gate.unjudged):
        terminal.print(f"Failed: {line}")
    for line in gate.unsure:
        terminal.print(f"Not significant: {line}")
    if conditions and gate.passed:
        terminal.print(f"Gate: passed; {gate.checked} rows checked against {conditions} conditions")


def _print_next(terminal: Terminal, record: BenchRecord) -> None:
    exported = [row for row in record.rows if not row.target.startswith("keras")]
    if exported and record.settings.run:
        row = record.recommendation.chosen or min(exported, key=lambda row: row.value("latency_p50") or 0)
        path = record.folder.path.parent / "artifacts" / row.artifact
        terminal.print_command(f"tledge predict {shell_word(str(path))} PHOTO...")


def to_json(record: BenchRecord) -> dict[str, Any]:
    """Returns the results of a benchmark as a dictionary for JSON."""
    return {
        "results": record.results,
        "report": record.report,
        "recommendation": record.recommendation.to_dict(),
        "rows": [row.to_dict() for row in record.rows],
        "conclusions": record.conclusions,
        "skipped": [vars(item) for item in record.skipped],
        "profiles": [item.to_dict() for item in record.profiles],
    }


def show_benchmark(terminal: Terminal, record: BenchRecord) -> None:
    """Prints the results of a benchmark."""
    from tledge.bench.results.flags import MEANINGS

    rows, card = record.rows, record.card
    terminal.heading(card.title)
    if card.figures:
        terminal.print(" · ".join(f"{item.heading} {item.value}" for item in card.figures))
    for sentence in filter(None, (*card.why, card.rule)):
        terminal.print_sentence(sentence)
    terminal.print()
    terminal.print(bench_table(rows, terminal.width))
    for table in (corruption_table(rows, terminal.width), attack_table(rows, terminal.width)):
        if table is not None:
            terminal.print(table)
    for flag in sorted({flag for row in rows for flag in row.flags}):
        terminal.print_sentence(f"⚠ {flag.replace('_', ' ')}: {MEANINGS.get(flag, 'flagged')}")
    for sentence in record.conclusions:
        terminal.print_sentence(translate(sentence, "adopt"))  # whose parameters suggestions name
    for item in record.skipped:
        where = f"{item.artifact} on {item.target}" if item.target else item.artifact
        terminal.print(f"Not measured: {where}: {item.reason}")
    for found in record.profiles:
        terminal.heading(f"{found.artifact} on {found.target}")
        terminal.print(profile_table(found, terminal.width))
    if record.folder.adversarial.exists():
        terminal.print(f"Attacked photos: {record.folder.adversarial}")
    terminal.print(f"\nReport: {record.report}")
