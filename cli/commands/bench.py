"""``tledge bench``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from tledge.cli.bench_table import attack_table, bench_table, corruption_table, profile_table
from tledge.cli.comparison_table import comparison_table
from tledge.cli.execution import executing
from tledge.cli.options import Json, Run, Runs
from tledge.cli.terminal import Terminal
from tledge.core.run_directory import DEFAULT_RUNS, find_run

if TYPE_CHECKING:
    from tledge.bench import BenchRecord

Number = TypeVar("Number", int, float)

GATE_BROKEN = 3
"""The exit code where a condition of --fail-on holds."""


def run(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="Model files to measure.  [default: the artifacts of a run]"),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="With files: photos to judge them by, one folder per class.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="With files: where the results go.  [default: bench-results]")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="runtime:device:threads, as in litert:cpu:2; may be repeated.  [default: all of this machine]"
        ),
    ] = None,
    rigor: Annotated[
        str | None,
        typer.Option(
            help="quick, or mlperf: 60 s and 1,024 queries in each round, as MLPerf Mobile has it.  [default: quick]"
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(help="How long each cell is timed in all, at least.  [default: 2]"),
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(help="In how many fresh processes each cell is timed.  [default: 5; of mlperf, 3]")
    ] = None,
    batch_sizes: Annotated[
        str | None, typer.Option(help="Images a call, of which the throughput is measured.  [default: 1,8]")
    ] = None,
    corruptions: Annotated[
        list[str] | None,
        typer.Option(
            help="Also judge by corrupted photos: all, imagenet-c, edge, or a corruption by name; may be repeated."
        ),
    ] = None,
    corruption_images: Annotated[
        int | None,
        typer.Option(help="How many photos are corrupted, by each at 5 severities.  [default: 100]"),
    ] = None,
    attack: Annotated[
        str | None,
        typer.Option(
            help="Also attack the artifacts: fgsm, pgd or apgd, which need the Keras model, or square, which needs"
            " answers alone; several with commas between.",
        ),
    ] = None,
    eps: Annotated[
        str | None,
        typer.Option(help="The most that an attack may change, in 1/255, as in 1,2.  [default: 1,2,4,8]"),
    ] = None,
    norm: Annotated[
        str | None,
        typer.Option(help="linf: the largest change of one value; l2: the length of all changes.  [default: linf]"),
    ] = None,
    attack_images: Annotated[int | None, typer.Option(help="How many photos are attacked.  [default: 100]")] = None,
    attack_steps: Annotated[
        int | None, typer.Option(help="Steps of an attack with gradients.  [default: its own, 20 of pgd]")
    ] = None,
    attack_queries: Annotated[
        int | None, typer.Option(help="Answers that square asks of an artifact for a photo.  [default: 200]")
    ] = None,
    attack_target: Annotated[
        str | None,
        typer.Option(help="The class that photos of the others are to be taken for.  [default: any wrong one]"),
    ] = None,
    surrogate: Annotated[
        Path | None,
        typer.Option(help="A Keras model of the same classes and size whose gradients are taken instead."),
    ] = None,
    attack_set: Annotated[
        Path | None,
        typer.Option(help="Show the attacked photos of an earlier benchmark: its folder bench/adversarial."),
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="An earlier results.jsonl, or its folder, to compare with, row by row.")
    ] = None,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            help="A condition that ends it with exit code 3: 'top1 < 0.97', 'int8.tflite: p90_ms > 1.1x' (of"
            " --against); may be repeated."
        ),
    ] = None,
    repeat: Annotated[
        Path | None, typer.Option(help="A results.jsonl whose benchmark is to be done again as it was.")
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            help="Where the artifacts run: emulated:pi5 or emulated:pi4, for their answers on ARM; or ssh:pi@HOST, a"
            " board that is reached with your keys.  [default: this machine]",
        ),
    ] = None,
    ssh_config: Annotated[
        Path | None, typer.Option(help="With --on ssh:…: a configuration file of ssh's instead of your own.")
    ] = None,
    export: Annotated[
        list[str] | None, typer.Option(help="Also write the measurements as csv or parquet; may be repeated.")
    ] = None,
    profile: Annotated[bool, typer.Option(help="Also show the slowest operators of each artifact.")] = False,
    run: Run = None,
    runs: Runs = DEFAULT_RUNS,
    json: Json = False,
) -> None:
    """Measure a run's artifacts, or model files, on this machine.

    Test accuracy, agreement with the Keras model, latency, throughput, memory and start of each artifact on each
    target, in fresh processes, all in turn, through the code that runs on the device. Writes bench/results.jsonl,
    bench/report.html and bench/report.md into the run.
    """
    with executing(json) as terminal:
        from tledge.bench import bench
        from tledge.bench.compare.repetition import read_repetition
        from tledge.bench.results.table_files import check_export
        from tledge.bench.results.table_files import write_table as export_table

        asked: dict[str, Any] = {
            "run": run,
            "files": files,
            "data": data,
            "output": output,
            "targets": target,
            "rigor": rigor,
            "seconds": seconds,
            "rounds": rounds,
            "corruptions": corruptions,
            "corruption_images": corruption_images,
            "attack": None if attack is None else tuple(name.strip() for name in attack.split(",")),
            "eps": None if eps is None else parse_numbers("--eps", eps, float, "1,2,4,8"),
            "norm": norm,
            "on": on,
            "attack_images": attack_images,
            "attack_steps": attack_steps,
            "attack_queries": attack_queries,
            "attack_target": attack_target,
            "surrogate": surrogate,
            "attack_set": attack_set,
            "batch_sizes": None if batch_sizes is None else parse_numbers("--batch-sizes", batch_sizes, int, "1,8"),
        }
        for name in export or ():
            check_export(name)
        repetition = None if repeat is None else read_repetition(repeat)
        arguments = {name: value for name, value in asked.items() if value is not None}
        if repetition is not None:
            _check_nothing_else_asked(arguments)
            arguments = dict(repetition.arguments)
        if not arguments.get("files"):
            terminal.log_to = find_run(arguments.get("run"), runs).logs / "bench.log"
        record = bench(
            **arguments,
            ssh_config=ssh_config,
            profile=profile,
            against=against,
            fail_on=fail_on or (),
            runs=runs,
            progress=terminal.progress(),
        )
        tables = [export_table(record.measurements, name, record.folder.path) for name in export or ()]
        show(terminal, record)
        for path in tables:
            terminal.print(f"Table: {path}")
        comparison, gate = record.comparison, record.gate
        told = {"exports": tables, "comparison": comparison and comparison.to_dict(), "gate": vars(gate)}
        terminal.print_json({**to_json(record), **told})
        if repetition is not None:
            for line in repetition.differences(record.settings) or ["the same files and photos as then"]:
                terminal.print(f"Repeated: {line}")
        if comparison is not None:
            terminal.print(comparison_table(comparison, terminal.width))
        for line in (*gate.violations, *gate.unjudged):
            terminal.print(f"Failed: {line}")
        for line in gate.unsure:
            terminal.print(f"Not shown: {line}")
        if fail_on and gate.passed:
            terminal.print(
                f"Gate: {gate.checked} rows held against {len(fail_on)} conditions, none is shown to be beyond its"
                " limit"
            )
        if any(item.failed for item in record.skipped):
            raise typer.Exit(1)
        if not gate.passed:
            raise typer.Exit(GATE_BROKEN)
        _print_next(terminal, record)


def _check_nothing_else_asked(asked: dict[str, Any]) -> None:
    """Raises OptionError where an option would change what --repeat is to repeat."""
    from tledge.core.errors import OptionError

    options = {"files": "FILE", "targets": "--target"}
    given = [options.get(name, f"--{name.replace('_', '-')}") for name in asked]
    if given:
        raise OptionError(f"--repeat takes everything from the earlier benchmark; leave out: {', '.join(given)}")


def _print_next(terminal: Terminal, record: BenchRecord) -> None:
    from tledge.bench import summarize

    exported = [row for row in summarize(record.measurements) if not row.target.startswith("keras")]
    if exported and record.settings.run:
        fastest = record.folder.path.parent / "artifacts" / min(exported, key=lambda row: row.p50 or 0).artifact
        terminal.print_command(f"tledge predict {shlex.quote(str(fastest))} PHOTO...")


def parse_numbers(option: str, text: str, kind: type[Number], example: str) -> tuple[Number, ...]:
    """Numbers with commas between, each once; raises OptionError, which names the option and an example."""
    from tledge.core.errors import OptionError

    try:
        return tuple(dict.fromkeys(kind(part) for part in text.split(",")))
    except ValueError as error:
        whole = "whole numbers" if kind is int else "numbers"
        raise OptionError(f"{option} takes {whole} with commas between, as in {example}; received '{text}'") from error


def to_json(record: BenchRecord) -> dict[str, Any]:
    """What a benchmark measured, for machines."""
    from tledge.bench import summarize

    return {
        "results": record.results,
        "report": record.report,
        "rows": [row.to_dict() for row in summarize(record.measurements)],
        "conclusions": record.conclusions,
        "skipped": [vars(item) for item in record.skipped],
        "profiles": [item.to_dict() for item in record.profiles],
    }


def show(terminal: Terminal, record: BenchRecord) -> None:
    """Prints what a benchmark measured."""
    from tledge.bench import summarize
    from tledge.bench.results.flags import MEANINGS

    rows = summarize(record.measurements)
    terminal.print(bench_table(rows, terminal.width))
    for table in (corruption_table(rows), attack_table(rows)):
        if table is not None:
            terminal.print(table)
    for flag in sorted({flag for row in rows for flag in row.flags}):
        terminal.print_sentence(f"⚠ {flag.replace('_', ' ')}: {MEANINGS[flag]}")
    for sentence in record.conclusions:
        terminal.print_sentence(sentence)
    for item in record.skipped:
        where = f"{item.artifact} on {item.target}" if item.target else item.artifact
        terminal.print(f"Not measured: {where}: {item.reason}")
    for found in record.profiles:
        terminal.print(profile_table(found))
    if record.folder.adversarial.exists():
        terminal.print(f"Attacked photos: {record.folder.adversarial}")
    terminal.print(f"\nReport: {record.report}")
