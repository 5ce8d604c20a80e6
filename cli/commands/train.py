"""``tledge train``."""

from __future__ import annotations

from pathlib import Path

from tledge.cli.command_builder import Given, Json, build_command
from tledge.cli.execution import executing
from tledge.cli.terminal import Terminal
from tledge.core.manifest import RunManifest
from tledge.core.number_text import counted
from tledge.core.run_directory import DEFAULT_RUNS, RunDirectory
from tledge.train.train_options import GROUPS, TrainOptions, check_resume


@build_command("train", TrainOptions, groups=GROUPS)
def run(given: Given, *, json: Json = False) -> None:
    """Train a classifier on a pretrained backbone.

    With pretrained weights, trains a linear probe on the features of the frozen backbone, then fine-tunes its upper
    layers, and keeps whichever scores better on validation; with `weights='none'` trains every layer. Writes a run
    directory and makes it the latest.
    """
    with executing(given.command, json) as terminal:
        from tledge.train import train
        from tledge.train.resume import named_run

        options = given.values()
        if options.get("resume"):
            check_resume(given.names)
            if options.get("run") is not None:
                path = named_run(Path(options.get("runs", DEFAULT_RUNS)), options["run"]).path
                options |= {"run": path, "runs": path.parent} if path.is_dir() else {}
        manifest = train(**options, progress=terminal.progress())
        directory = RunDirectory(Path(options.get("runs", DEFAULT_RUNS)) / manifest.name)
        terminal.log_to = directory.logs / "train.log"
        terminal.print_json({"run": directory.path, **manifest.to_dict()})
        if options.get("host", 0) == 0:
            show_training(terminal, directory, manifest)
            terminal.print_command("tledge export --quantize int8")


def show_training(terminal: Terminal, directory: RunDirectory, manifest: RunManifest) -> None:
    """Prints the metrics of a training."""
    top1, low, high = (manifest.metrics[f"test_top1{end}"] for end in ("", "_low", "_high"))
    terminal.print(
        f"\nTest top-1 {top1:.3f} (95% {low:.3f}–{high:.3f}, {counted(manifest.data.splits['test'], 'photos')})"
    )
    terminal.print(f"Saved: {directory.path}")
    if "validation_robust_accuracy" in manifest.metrics:
        clean, robust = (manifest.metrics[f"validation_{name}"] for name in ("top1", "robust_accuracy"))
        terminal.print(
            f"Adversarial: eps {manifest.config['adversarial']}/255, val top-1 {clean:.3f}, under attack {robust:.3f}"
        )
    terminal.print(f"Model card: {directory.model_card}")
