"""``tledge predict``."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from tledge.cli.execution import executing
from tledge.cli.options import Json
from tledge.core.errors import DataError, ImageError

FULL_LABEL_WIDTH = 24


def run(
    artifact: Annotated[Path, typer.Argument(help="A model file of 'tledge export' or described by 'tledge adopt'.")],
    sources: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Photos, or folders of them.")],
    target: Annotated[
        str | None, typer.Option(help="runtime:device:threads.  [default: the CPU, all cores of this process]")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many classes to show.")] = 2,
    json: Json = False,
) -> None:
    """Classify photos with an artifact.

    Needs neither TensorFlow nor Keras. A photo that cannot be read is named and the others are still
    classified; the exit code is then 1. With --json, one line of JSON per photo.
    """
    with executing(json) as terminal:
        from tledge.edge_runtime import Classifier

        paths = list(_expand(sources))
        unreadable = 0
        with Classifier(artifact, target=target) as classifier:
            width = max(len(str(path)) for path in paths)
            label_width = min(max(map(len, classifier.class_names)), FULL_LABEL_WIDTH)
            for path in paths:
                try:
                    pixels = classifier.load(path)
                except ImageError as error:
                    unreadable += 1
                    terminal.print_json({"image": path, "error": str(error)})
                    terminal.print(str(error))
                    continue
                began = time.perf_counter()
                predictions = classifier.classify(pixels, top=top)
                milliseconds = (time.perf_counter() - began) * 1e3
                terminal.print_json(
                    {"image": path, "predictions": [vars(item) for item in predictions], "ms": round(milliseconds, 3)}
                )
                scores = "   ".join(f"{item.label:<{label_width}} {item.score:.3f}" for item in predictions)
                terminal.print(f"{path!s:<{width}}   {scores}   {milliseconds:6.1f} ms")
        read = len(paths) - unreadable
        terminal.print(f"{read:,} image{'s'[: read != 1]}" + (f", {unreadable:,} unreadable" if unreadable else ""))
        if unreadable:
            raise typer.Exit(1)


def _expand(sources: Iterable[Path]) -> Iterator[Path]:
    """The files named, and the images in the folders named."""
    from tledge.core import images

    for source in sources:
        if not source.is_dir():
            yield source
            continue
        found = images.images_below(source)
        if not found:
            raise DataError(f"no images in folder '{source}'; expected .jpg, .png, .webp or .bmp files")
        yield from found
