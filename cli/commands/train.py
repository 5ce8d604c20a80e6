"""``tledge train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tledge.cli.execution import executing
from tledge.cli.options import Json, Runs
from tledge.cli.terminal import Terminal
from tledge.core.manifest import RunManifest
from tledge.core.run_directory import DEFAULT_RUNS, RunDirectory


def run(
    data: Annotated[
        Path | None,
        typer.Option(help="A folder with one folder of photos per class.  [default: built-in handwritten digits]"),
    ] = None,
    backbone: Annotated[str, typer.Option(help="mobilenet_v2, resnet50 or vgg16.")] = "mobilenet_v2",
    weights: Annotated[
        str | None,
        typer.Option(help="imagenet (downloaded), none, or a file.  [default: imagenet; none for the digits]"),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Height and width in pixels.  [default: the backbone's; 32 for the digits]")
    ] = None,
    resize: Annotated[str, typer.Option(help="How photos get that size: crop or stretch.")] = "crop",
    epochs: Annotated[
        int | None, typer.Option(help="The most epochs.  [default: 100 for a linear probe, 15 from random weights]")
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Images a step.")] = 32,
    learning_rate: Annotated[
        float | None,
        typer.Option(help="The highest.  [default: 0.001 for a linear probe, the backbone's own from random weights]"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the splits, the initial weights and the shuffling.")] = 0,
    skip_broken: Annotated[bool, typer.Option("--skip-broken", help="Leave broken photos out.")] = False,
    runs: Runs = DEFAULT_RUNS,
    json: Json = False,
) -> None:
    """Train a classifier on a pretrained backbone.

    With pretrained weights the backbone stays frozen and a linear probe is trained on its features; with
    --weights none every layer is trained. Writes a run directory and makes it the latest.
    """
    with executing(json) as terminal:
        from tledge.train import train

        manifest = train(
            data=data,
            backbone=backbone,
            weights=weights,
            image_size=image_size,
            resize=resize,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            seed=seed,
            skip_broken=skip_broken,
            runs=runs,
            progress=terminal.progress(),
        )
        directory = RunDirectory(runs / manifest.name)
        terminal.log_to = directory.logs / "train.log"
        terminal.print_json({"run": directory.path, **manifest.to_dict()})
        show(terminal, directory, manifest)
        terminal.print_command("tledge export --quantize int8")


def show(terminal: Terminal, directory: RunDirectory, manifest: RunManifest) -> None:
    """Prints what a training reached."""
    top1, low, high = (manifest.metrics[f"test_top1{end}"] for end in ("", "_low", "_high"))
    terminal.print(
        f"\nTest top-1 {top1:.3f} (95% {low:.3f}–{high:.3f}, {manifest.data.splits['test']:,} images)"
        f"   ·   saved {directory.path}"
    )
