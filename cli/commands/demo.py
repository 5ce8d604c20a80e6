"""``tledge demo``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tledge.cli.command_builder import Given, Json, build_command
from tledge.cli.commands import bench as bench_command
from tledge.cli.commands import export as export_command
from tledge.cli.commands import train as train_command
from tledge.cli.execution import executing
from tledge.cli.shell_text import shell_word
from tledge.core.options import option
from tledge.core.run_directory import DEFAULT_RUNS, LATEST, RunDirectory

DEMO_ROUNDS = 3
"""Fewer than the default of a benchmark, to keep the demo short."""


@dataclass(frozen=True, kw_only=True)
class DemoOptions:
    """All options of ``tledge demo``."""

    runs: str | Path = option(DEFAULT_RUNS, "The folder of run directories.", group="Output")


@build_command("demo", DemoOptions, groups=("Output",))
def run(given: Given, *, json: Json = False) -> None:
    """Train, export and benchmark on built-in handwritten digits.

    Needs no download and no arguments. The same as 'tledge train', 'tledge export' and 'tledge bench --rounds 3' in
    sequence.
    """
    runs = Path(given.values().get("runs", DEFAULT_RUNS))
    with executing(given.command, json) as terminal:
        from tledge.export import export
        from tledge.train import train

        terminal.heading("Train: MobileNetV2 from random weights, on handwritten digits")
        manifest = train(runs=runs, progress=terminal.progress())
        directory = RunDirectory(runs / manifest.name)
        terminal.log_to = directory.logs / "demo.log"
        train_command.show_training(terminal, directory, manifest)
        terminal.heading("Export: to TFLite and ONNX, with every recipe except qat")
        exported = export(run=directory.path, runs=runs, progress=terminal.progress())
        export_command.show_export(terminal, directory, exported)
        terminal.heading("Benchmark: every artifact on every target of this machine")
        record = bench_command.run_benchmark(terminal, run=directory.path, rounds=DEMO_ROUNDS, runs=runs)
        bench_command.show_benchmark(terminal, record)
        terminal.print_json(
            {
                "train": {"run": directory.path, **manifest.to_dict()},
                "export": exported.to_dict(),
                "bench": bench_command.to_json(record),
            }
        )
        latest = RunDirectory(runs / LATEST)
        photo = min((latest.data / "7").glob("*.png"))
        paths = (latest.artifacts / "int8.tflite", photo)
        terminal.print_command(f"tledge predict {' '.join(shell_word(str(path)) for path in paths)}")
