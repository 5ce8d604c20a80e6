"""``tledge train``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from tledge.cli.execution import executing
from tledge.cli.options import Json, Runs
from tledge.cli.terminal import Terminal
from tledge.core.errors import OptionError
from tledge.core.manifest import RunManifest
from tledge.core.run_directory import DEFAULT_RUNS, RunDirectory

WITH_RESUME = {"resume", "run", "runs", "json"}
"""Parameters that go together with ``--resume``; what else a run was told stays as it was."""


def run(
    context: typer.Context,
    data: Annotated[
        str | None,
        typer.Option(
            help="A folder with one folder of photos per class, or train/, val/ and test/ with such folders, or the"
            " Oxford-IIIT Pet layout; or tfds:NAME, a set of tensorflow-datasets."
            "  [default: built-in handwritten digits]"
        ),
    ] = None,
    backbone: Annotated[
        str,
        typer.Option(
            help="mobilenet, mobilenet_v2, mobilenet_v3_small, mobilenet_v3_large, resnet50, resnet101, resnet50_v2,"
            " vgg16 or vgg19."
        ),
    ] = "mobilenet_v2",
    alpha: Annotated[float, typer.Option(help="Width of a MobileNet, as a multiple of its usual one.")] = 1.0,
    weights: Annotated[
        str | None,
        typer.Option(help="imagenet (downloaded), none, or a file.  [default: imagenet; none for the digits]"),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Height and width in pixels.  [default: the backbone's; 32 for the digits]")
    ] = None,
    resize: Annotated[str, typer.Option(help="How photos get that size: crop or stretch.")] = "crop",
    fine_tune: Annotated[
        bool | None,
        typer.Option(
            "--fine-tune/--no-fine-tune",
            help="After the linear probe, let the upper layers learn; kept where it helps."
            "  [default: on, with pretrained weights]",
        ),
    ] = None,
    fine_tune_from: Annotated[
        str | None,
        typer.Option(help="Where the layers that learn begin: a stage, 1 (at the photo) to 5, or a layer's name."),
    ] = None,
    adversarial: Annotated[
        int | None,
        typer.Option(
            metavar="EPS",
            help="Fine-tune on photos that are changed against the model, each pixel value of 0 to 255 by up to EPS (1"
            " to 16): it stands up to attacks, at a cost in accuracy.",
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="The most, of fine-tuning and of training from random weights.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(help="Epochs without a better validation result, after which training stops.")
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(help="Photos a step, over all devices and hosts.  [default: 32; 8 with --adversarial]"),
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="The highest, of fine-tuning and of training from random weights.")
    ] = None,
    warm_up: Annotated[float, typer.Option(help="The share of all steps in which the learning rate rises.")] = 0.1,
    weight_decay: Annotated[float, typer.Option(help="Of AdamW.")] = 1e-4,
    label_smoothing: Annotated[
        float | None, typer.Option(help="How much of a label is spread over all classes.")
    ] = None,
    probe_epochs: Annotated[int, typer.Option(help="The most passes of the linear probe for each penalty.")] = 100,
    augment: Annotated[bool, typer.Option(help="Change training photos at random.")] = True,
    flip: Annotated[bool | None, typer.Option(help="Mirror every second photo.  [default: on; off for digits]")] = None,
    crop: Annotated[
        float | None,
        typer.Option(help="The least share of a photo's side that is kept.  [default: 0.7; 0.9 for digits]"),
    ] = None,
    rotation: Annotated[
        float | None, typer.Option(help="The largest angle, degrees.  [default: 10; 0 for digits]")
    ] = None,
    colour: Annotated[
        float | None,
        typer.Option(help="Most change of brightness, contrast and saturation.  [default: 0.2; 0 for digits]"),
    ] = None,
    class_weights: Annotated[bool, typer.Option(help="Let photos of rare classes weigh more.")] = True,
    validation_fraction: Annotated[
        float, typer.Option(help="Of the photos of each class, where the data has no validation split.")
    ] = 0.15,
    test_fraction: Annotated[float, typer.Option(help="Likewise, where the data has no test split.")] = 0.15,
    precision: Annotated[str, typer.Option(help="float32, mixed_bfloat16 or mixed_float16.")] = "float32",
    devices: Annotated[
        int | None, typer.Option(help="How many share each batch.  [default: every GPU, or one CPU]")
    ] = None,
    hosts: Annotated[int, typer.Option(help="Hosts that train together (KERAS_BACKEND=jax).")] = 1,
    host: Annotated[int, typer.Option(help="Which of them this is, from 0; the first writes the run.")] = 0,
    coordinator: Annotated[str | None, typer.Option(help="ADDRESS:PORT of the first of them.")] = None,
    seed: Annotated[int, typer.Option(help="Of the splits, the initial weights, the order and the changes.")] = 0,
    skip_broken: Annotated[bool, typer.Option("--skip-broken", help="Leave broken photos out.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Also write logs for TensorBoard.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the newest run that was interrupted, as it was begun.")
    ] = False,
    run: Annotated[str | None, typer.Option(help="Another run to go on with, with --resume.")] = None,
    runs: Runs = DEFAULT_RUNS,
    json: Json = False,
) -> None:
    """Train a classifier on a pretrained backbone.

    With pretrained weights, a linear probe is trained on the features of the frozen backbone, then its upper layers are
    fine-tuned; with --weights none every layer is trained. Writes a run directory and makes it the latest.
    """
    with executing(json) as terminal:
        from tledge.train import train

        options = {name: value for name, value in context.params.items() if name not in WITH_RESUME}
        if resume:
            from tledge.train.resume import find_unfinished

            _refuse_options(context, options)
            unfinished = find_unfinished(runs, run)
            run, runs = str(unfinished.path), unfinished.path.parent
        elif run is not None:
            raise OptionError("--run names the run to go on with; give it together with --resume")
        manifest = train(
            resume=resume,
            run=run,
            runs=runs,
            progress=terminal.progress(),
            **({} if resume else options),
        )
        directory = RunDirectory(runs / manifest.name)
        terminal.log_to = directory.logs / "train.log"
        terminal.print_json({"run": directory.path, **manifest.to_dict()})
        if host == 0:
            show(terminal, directory, manifest)
            terminal.print_command("tledge export --quantize int8")


def _refuse_options(context: typer.Context, options: Mapping[str, object]) -> None:
    given = [name for name in options if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"]
    if given:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise OptionError(f"--resume goes on with a run as it was begun; leave out {named}")


def show(terminal: Terminal, directory: RunDirectory, manifest: RunManifest) -> None:
    """Prints what a training reached."""
    top1, low, high = (manifest.metrics[f"test_top1{end}"] for end in ("", "_low", "_high"))
    terminal.print(
        f"\nTest top-1 {top1:.3f} (95% {low:.3f}–{high:.3f}, {manifest.data.splits['test']:,} photos)"
        f"   ·   saved {directory.path}"
    )
    if "validation_robust_accuracy" in manifest.metrics:
        clean, robust = (manifest.metrics[f"validation_{name}"] for name in ("top1", "robust_accuracy"))
        terminal.print(
            f"Adversarial: eps {manifest.config['adversarial']}/255, val top-1 {clean:.3f}, under attack {robust:.3f}"
        )
    terminal.print(f"By class, curves, limits: {directory.model_card}")
