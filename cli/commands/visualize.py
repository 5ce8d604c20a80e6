"""``tledge visualize``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tledge.cli.execution import executing
from tledge.cli.options import Json, Run, Runs
from tledge.cli.terminal import Terminal
from tledge.core.run_directory import DEFAULT_RUNS, find_run

if TYPE_CHECKING:
    from tledge.visualize import VisualizeRecord


def run(
    kinds: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KIND]...",
            help="features, ideal, adversarial, saliency, confusions, embedding.  [default: all]",
        ),
    ] = None,
    photo: Annotated[
        list[Path] | None,
        typer.Option(help="A photo to look at; may be repeated.  [default: test photos of the run]"),
    ] = None,
    class_name: Annotated[
        list[str] | None,
        typer.Option(
            "--class", help="ideal: the class to climb to; of photos: test photos of this class; may be repeated."
        ),
    ] = None,
    images: Annotated[int | None, typer.Option(help="How many test photos.  [default: features 1, else 4]")] = None,
    target: Annotated[
        str | None,
        typer.Option(help="adversarial: the class to be taken for.  [default: each photo's second]"),
    ] = None,
    max_eps: Annotated[
        int | None, typer.Option(help="adversarial: the largest eps that is tried, in 1/255.  [default: 16]")
    ] = None,
    artifact: Annotated[
        list[str] | None,
        typer.Option(help="An artifact of the run, or a file; may be repeated.  [default: all of the run]"),
    ] = None,
    layer: Annotated[
        list[str] | None,
        typer.Option(help="features, saliency: a layer by name; may be repeated.  [default: the last of each size]"),
    ] = None,
    channels: Annotated[
        int | None, typer.Option(help="features: channels of each layer that are shown.  [default: 32]")
    ] = None,
    patch: Annotated[
        int | None,
        typer.Option(help="saliency: side of the square that is covered, in pixels.  [default: a fifth of the photo]"),
    ] = None,
    tiles: Annotated[
        int | None, typer.Option(help="confusions: photos shown of an artifact's errors.  [default: 10]")
    ] = None,
    points: Annotated[int | None, typer.Option(help="embedding: how many test photos.  [default: 1000]")] = None,
    method: Annotated[str | None, typer.Option(help="embedding: pca or tsne.  [default: pca]")] = None,
    tv: Annotated[
        float | None,
        typer.Option(help="ideal: weight of the total-variation term; more is smoother.  [default: 0.3]"),
    ] = None,
    l2: Annotated[float | None, typer.Option(help="ideal: pull toward middle grey.  [default: 0.01]")] = None,
    jitter: Annotated[
        int | None, typer.Option(help="ideal: pixels that the image is moved about by.  [default: 8]")
    ] = None,
    scales: Annotated[
        int | None, typer.Option(help="ideal: how often the image doubles its size on the way.  [default: 4]")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps along the gradient.  [default: ideal 192; adversarial 20]")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of photos, noise and starts.  [default: 0]")] = None,
    backbone: Annotated[
        str | None, typer.Option(help="Instead of a run, a plain network of Keras: vgg16, mobilenet_v2, …")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(help="With --backbone: imagenet, none, or a file, with its 1,000-class head or without."),
    ] = None,
    image_size: Annotated[
        int | None, typer.Option(help="With --backbone: height and width of its images.  [default: 224]")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="With --backbone: a file of class names, one a line.  [default: ImageNet's, or numbers]"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="The folder to write to.  [default: visualize/ in the run]")
    ] = None,
    run: Run = None,
    runs: Runs = DEFAULT_RUNS,
    json: Json = False,
) -> None:
    """Show what the network sees.

    features: what layers make of a photo. ideal: the image that a class would like best, with and without the
    total-variation term. adversarial: the smallest change that turns a photo into another class, and which artifacts it
    fools. saliency: where the model and each artifact look. confusions: what an artifact gets wrong. embedding: a map
    of the test photos. Writes PNG and GIF files, visualize.json, and visualize.html with everything inside.
    """
    with executing(json) as terminal:
        from tledge.visualize import visualize

        asked: dict[str, Any] = {
            "photos": photo,
            "classes": class_name,
            "images": images,
            "target": target,
            "max_eps": max_eps,
            "artifacts": artifact,
            "layers": layer,
            "channels": channels,
            "patch": patch,
            "tiles": tiles,
            "points": points,
            "method": method,
            "tv": tv,
            "l2": l2,
            "jitter": jitter,
            "scales": scales,
            "steps": steps,
            "seed": seed,
        }
        options = {name: value for name, value in asked.items() if value not in (None, [])}
        if backbone is None:
            terminal.log_to = find_run(run, runs).logs / "visualize.log"
        record = visualize(
            kinds or (),
            run=run,
            runs=runs,
            backbone=backbone,
            weights=weights,
            image_size=image_size,
            labels=labels,
            output=output,
            progress=terminal.progress(),
            **options,
        )
        _show(terminal, record)


def _show(terminal: Terminal, record: VisualizeRecord) -> None:
    terminal.print_json(record.to_dict())
    for name, section in record.sections.items():
        terminal.heading(f"{section.title} ({name})")
        for sentence in section.sentences:
            terminal.print_sentence(sentence)
    for name, reason in record.left_out.items():
        terminal.print(f"Left out: {name}: {reason}")
    terminal.print(f"\n{len(record.files)} pictures in {record.folder}")
    terminal.print(f"Page: {record.page}")
