"""``tledge predict``."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tledge.cli.command_builder import Given, Json, UsageProblem, build_command
from tledge.cli.execution import executing
from tledge.cli.interrupts import Ending
from tledge.cli.messages import translate
from tledge.cli.predict_options import GROUPS, PredictOptions
from tledge.core.errors import OptionError
from tledge.core.number_text import counted

if TYPE_CHECKING:
    from tledge.cli.prediction_lines import PredictionLines
    from tledge.cli.terminal import Terminal
    from tledge.edge_runtime import Classifier
    from tledge.edge_runtime.sources.camera import Camera
    from tledge.edge_runtime.sources.frame import Source
    from tledge.edge_runtime.sources.watched_folder import WatchedFolder


@build_command("predict", PredictOptions, groups=GROUPS)
def run(
    given: Given,
    *,
    json: Json = False,
    systemd: Annotated[
        bool,
        typer.Option(
            "--systemd",
            help="Print a systemd unit that runs this command at boot, and exit.",
            rich_help_panel="Service",
        ),
    ] = False,
    feed: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND",
            help="With --systemd and -: the command whose output the service reads as standard input.  [default: none]",
            show_default=False,
            rich_help_panel="Service",
        ),
    ] = None,
) -> None:
    """Classify photos, videos, a stream or a camera's frames with an artifact.

    Needs neither TensorFlow nor Keras. Images that cannot be read are reported, the others are still classified, and
    the exit code is then 1. With --json, prints one line of JSON per image. Ctrl-C, SIGTERM and SIGHUP stop after the
    current image; with --watch, --camera and -, the exit code is then 0.
    """
    options = _read_options(given)
    if feed is not None and not systemd:
        raise UsageProblem("--feed needs --systemd; otherwise use a pipe: COMMAND | tledge predict ARTIFACT -")
    if systemd:
        _print_unit(given, options, feed)
        return
    with executing(given.command, json) as terminal, (ending := Ending(terminal.interrupts)).heeded():
        lines = _predict(options, terminal, ending)
        goes_on = options.watch is not None or options.camera is not None
        if ending.asked and not (goes_on or _reads_stream(options)):
            raise KeyboardInterrupt("the remaining images were not read")
        if lines.unreadable and not ending.asked and not goes_on:
            raise typer.Exit(1)


def _read_options(given: Given) -> PredictOptions:
    """Returns the options; wrong ones are wrong usage."""
    try:
        options = PredictOptions(**given.values())
    except OptionError as error:
        raise UsageProblem(translate(str(error), given.command)) from error
    if not options.sources and options.watch is None and options.camera is None:
        raise UsageProblem("name a photo, a folder, a video or -, or give --watch or --camera")
    if options.watch is not None and options.camera is not None:
        raise UsageProblem("--watch and --camera both run until stopped; give only one of them")
    return options


def _check_usage(options: PredictOptions) -> None:
    """Raises OptionError or UnknownNameError for options that no file or camera could make right."""
    from tledge.edge_runtime.runtime import RUNTIMES
    from tledge.edge_runtime.sources.camera import check_camera_name
    from tledge.edge_runtime.sources.source_lookup import check_names
    from tledge.edge_runtime.target import Target

    check_names(options.sources)
    if options.camera is not None:
        check_camera_name(options.camera)
    if options.target is not None:
        RUNTIMES.load(Target.parse(options.target).runtime)


def _predict(options: PredictOptions, terminal: Terminal, ending: Ending) -> PredictionLines:
    """Classifies everything that the options name, and prints each prediction as it is made."""
    from tledge.cli.prediction_lines import PredictionLines
    from tledge.core.colour_conversion import describe_mixed_ranges
    from tledge.core.errors import TledgeError
    from tledge.core.photo_listing import describe_left_out
    from tledge.core.run_directory import find_model_file
    from tledge.edge_runtime.prediction_stream import AHEAD, predict
    from tledge.edge_runtime.sources.frame import Chain
    from tledge.edge_runtime.sources.source_lookup import check_every, find_sources

    _check_usage(options)
    artifact = find_model_file(options.artifact)
    if artifact != options.artifact:
        terminal.note(f"{options.artifact} is '{artifact}'")
        options = replace(options, artifact=artifact)
    given = find_sources(options.sources, every=options.every)
    if options.camera is None:
        check_every(options.every, given)
    for text in given.notes:
        terminal.note(text)
    sources: list[Source] = [given]
    watched = None if options.watch is None else _watched(options.watch, terminal)
    if watched is not None:
        sources.append(watched)
    with ExitStack() as stack:
        classifiers = _classifiers(options, stack)
        camera = None if options.camera is None else _open_camera(options.camera, options.every, terminal)
        if camera is not None:
            sources.append(camera)
        source = Chain(tuple(sources))
        lines = PredictionLines(terminal, classifiers[0].class_names, source.width)
        ahead = AHEAD if camera is None else 0
        try:
            for prediction in predict(classifiers, source, top=options.top, stop=lambda: ending.asked, ahead=ahead):
                lines.show(prediction)
        except TledgeError:
            lines.summarize(camera.dropped if camera else None)
            raise
        lines.summarize(camera.dropped if camera else None)
        if mixed := describe_mixed_ranges():
            terminal.warn(mixed)
        if watched is not None and watched.left_out:
            terminal.note(f"'{options.watch}': {describe_left_out(watched.left_out)}")
    return lines


def _watched(folder: Path, terminal: Terminal) -> WatchedFolder:
    from tledge.edge_runtime.sources.watched_folder import WatchedFolder

    watched = WatchedFolder(folder)
    terminal.note(f"watching '{folder}', ignoring {counted(watched.left, 'existing images')}; press Ctrl-C to stop")
    return watched


def _classifiers(options: PredictOptions, stack: ExitStack) -> list[Classifier]:
    """Returns several classifiers for files on all cores, and one where each frame should be classified soonest."""
    from tledge.edge_runtime import Classifier
    from tledge.edge_runtime.prediction_stream import load_classifiers
    from tledge.edge_runtime.tried_artifact import read_tried

    # Read once, since each time its bytes are checked. Without a sidecar, the classifier says what is missing.
    model = read_tried(options.artifact) or options.artifact
    live = options.watch is not None or options.camera is not None or _reads_stream(options)
    if options.target is None and not live:
        return load_classifiers(model, stack)
    return [stack.enter_context(Classifier(model, target=options.target))]


def _reads_stream(options: PredictOptions) -> bool:
    from tledge.edge_runtime.sources.standard_input import STANDARD_INPUT

    return STANDARD_INPUT in options.sources


def _open_camera(name: str, every: int, terminal: Terminal) -> Camera:
    from tledge.edge_runtime.sources.camera import open_camera

    camera = open_camera(name, every=every)
    terminal.note(f"camera {name} via {camera.through}; press Ctrl-C to stop")
    return camera


def _print_unit(given: Given, options: PredictOptions, feed: str | None) -> None:
    """Prints the unit after everything that it needs was checked, so that nothing is printed if it could not work."""
    with executing(given.command, as_json=False) as terminal:
        from tledge.cli.systemd_unit import arguments_given, check_feed, predict_service, unit_text
        from tledge.core.run_directory import find_model_file

        _check_usage(options)
        options = replace(options, artifact=find_model_file(options.artifact))
        given.context.params["artifact"] = options.artifact  # what the unit names
        check_feed(options.sources, feed)
        from tledge.cli.service_check import check_service

        check_service(options, feed or "")
        arguments = arguments_given(given.context, without={"systemd", "feed"}, paths={"sources"})
        camera = options.camera is not None
        service = predict_service(arguments, artifact=options.artifact, camera=camera, feed=feed or "")
        terminal.print_line(*unit_text(service).rstrip("\n").split("\n"))
