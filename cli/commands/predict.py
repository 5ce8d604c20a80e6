"""``tledge predict``."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from tledge.cli.execution import executing
from tledge.cli.interrupts import Ending
from tledge.cli.options import Json

TOP = 3


def run(
    context: typer.Context,
    artifact: Annotated[Path, typer.Argument(help="A model file of 'tledge export' or described by 'tledge adopt'.")],
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE...",
            help="Photos, folders of them, globs ('photos/**/*.jpg'), video files, or - for standard input.",
        ),
    ] = None,
    watch: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Classify what is dropped into this folder, until stopped.")
    ] = None,
    camera: Annotated[
        str | None,
        typer.Option(help="Classify what a camera sees, until stopped: 0, /dev/video2, picamera, picamera:1."),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="runtime:device:threads.  [default: the CPU, all cores of this process]")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many classes to show.")] = TOP,
    every: Annotated[
        int, typer.Option(min=1, metavar="N", help="Of a video, a stream or a camera, every N-th frame only.")
    ] = 1,
    json: Json = False,
    systemd: Annotated[
        bool, typer.Option("--systemd", help="Print a systemd unit that does this from boot on, and do nothing else.")
    ] = False,
    feed: Annotated[
        str, typer.Option(metavar="COMMAND", help="With --systemd and -: what writes to the service's standard input.")
    ] = "",
) -> None:
    """Classify photos, videos, a stream or what a camera sees, with an artifact.

    Needs neither TensorFlow nor Keras. What cannot be read is named and the others are still classified; the
    exit code is then 1. With --json, one line of JSON per image. SIGTERM ends it after the photo at hand, with exit
    code 0; so does Ctrl-C with --watch and --camera.
    """
    if not sources and watch is None and camera is None:
        raise typer.BadParameter("name a photo, a folder, a video or -, or give --watch or --camera")
    if watch is not None and camera is not None:
        raise typer.BadParameter("--watch and --camera both go on until stopped; give one of them")
    if feed and not systemd:
        raise typer.BadParameter("--feed goes with --systemd; else use a pipe: COMMAND | tledge predict ARTIFACT -")
    if systemd:
        _print_unit(context, artifact, camera is not None, feed)
        return
    ending = Ending()
    with executing(json) as terminal, ending.heeded():
        from tledge.cli.prediction_lines import PredictionLines
        from tledge.core.errors import TledgeError
        from tledge.edge_runtime import Classifier
        from tledge.edge_runtime.prediction_stream import AHEAD, load_classifiers, predict
        from tledge.edge_runtime.sources.frame import Chain, Source
        from tledge.edge_runtime.sources.source_lookup import find_sources
        from tledge.edge_runtime.sources.standard_input import STANDARD_INPUT

        found: list[Source] = [find_sources(sources or (), every=every)]
        live = None
        if watch is not None:
            from tledge.edge_runtime.sources.watched_folder import WatchedFolder

            watched = WatchedFolder(watch)
            found.append(watched)
        with ExitStack() as stack:
            if target is None and watch is None and camera is None and STANDARD_INPUT not in (sources or ()):
                classifiers = load_classifiers(artifact, stack)
            else:  # where frames come one by one, each is to be answered soonest
                classifiers = [stack.enter_context(Classifier(artifact, target=target))]
            if camera is not None:
                from tledge.edge_runtime.sources.camera import open_camera

                live = open_camera(camera, every=every)
                found.append(live)
                terminal.note(f"camera {camera} through {live.through}; Ctrl-C ends it")
            if watch is not None:
                terminal.note(f"watching '{watch}': {watched.left:,} images that are there are left; Ctrl-C ends it")
            source = Chain(tuple(found))
            lines = PredictionLines(terminal, classifiers[0].class_names, source.width)
            ahead = AHEAD if live is None else 0
            try:
                for answer in predict(classifiers, source, top=top, stop=lambda: ending.asked, ahead=ahead):
                    lines.show(answer)
            except TledgeError:
                lines.summarize(live.dropped if live else None)
                raise
            lines.summarize(live.dropped if live else None)
        goes_on = watch is not None or live is not None
        if ending.by_ctrl_c and not goes_on:
            raise KeyboardInterrupt("the images that follow were not read")
        if lines.unreadable and not ending.asked and not goes_on:
            raise typer.Exit(1)


def _print_unit(context: typer.Context, artifact: Path, camera: bool, feed: str) -> None:
    with executing(as_json=False):
        from tledge.cli.systemd_unit import arguments_given, predict_service, unit_text

        given = arguments_given(context, without={"systemd", "feed"}, paths={"sources"})
        unit = unit_text(predict_service(given, artifact=artifact, camera=camera, feed=feed))
    typer.echo(unit, nl=False)
