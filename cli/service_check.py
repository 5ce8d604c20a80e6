"""Checks that a service would start, before its unit is printed: a unit that cannot work is found out at boot."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tledge.cli.predict_options import PredictOptions
from tledge.core.errors import MissingExtraError, OptionError, SourceError
from tledge.core.extras import is_installed, require
from tledge.edge_runtime import Classifier
from tledge.edge_runtime.sources.frame import Source
from tledge.edge_runtime.sources.source_lookup import EmptySource, PhotoFiles, check_every, find_sources
from tledge.edge_runtime.sources.standard_input import STANDARD_INPUT
from tledge.edge_runtime.sources.video import Video
from tledge.edge_runtime.sources.watched_folder import WatchedFolder
from tledge.edge_runtime.tried_artifact import read_tried

_PLAIN = re.compile(r"[\w./+][\w./+-]*")
"""The name of a program, as the first word of a shell command."""


def check_service(options: PredictOptions, feed: str) -> None:
    """Checks what a service will need: the model, its target, the sources and the programs.

    A camera is not opened: it may be connected later, and the service waits for it.

    Args:
        options: of ``tledge predict``.
        feed: a shell command whose output is read as standard input; empty without one.

    Raises:
        TledgeError: the model cannot be loaded on its target, a file or folder is absent, or a library is missing.
        OptionError: the feed is not a shell command, or its program does not exist.
    """
    sources = [name if name == STANDARD_INPUT else str(Path(name).absolute()) for name in options.sources]
    found = find_sources(sources, every=options.every)
    check_sources(found.sources)
    if options.watch is not None:
        WatchedFolder(options.watch)
    if options.camera is not None:
        _check_camera_library(options.camera)
    else:
        check_every(options.every, found)
    if feed:
        _check_feed(feed)
    Classifier(read_tried(options.artifact) or options.artifact, target=options.target).close()


def check_sources(sources: Sequence[Source]) -> None:
    """Raises SourceError for the first file that does not exist or cannot be read."""
    for source in sources:
        if isinstance(source, EmptySource):
            raise SourceError(source.reason)
        paths = source.paths if isinstance(source, PhotoFiles) else [source.path] if isinstance(source, Video) else []
        for path in paths:
            if not path.is_file():
                raise SourceError(f"no file '{path}': a service that reads it would fail; copy it here first")
            if not os.access(path, os.R_OK):
                raise SourceError(f"'{path}' cannot be read by this user, as whom the service would run")


def _check_camera_library(name: str) -> None:
    if name.startswith("picamera") and not is_installed("picamera2"):
        raise SourceError(
            "picamera2 is not installed here: sudo apt install python3-picamera2, and create the virtual environment"
            " with --system-site-packages"
        )
    if not (is_installed("cv2") or is_installed("picamera2")):
        raise MissingExtraError(["opencv-python-headless"], "camera", f"`camera='{name}'`")
    if name.startswith("/dev/"):
        require("cv2", extra="camera", purpose=f"`camera='{name}'`")


def _check_feed(feed: str) -> None:
    """Raises OptionError for text that is no shell command, or names a program that does not exist."""
    parsed = subprocess.run(["/bin/sh", "-n", "-c", feed], capture_output=True, text=True, check=False)
    if parsed.returncode != 0:
        reason = (parsed.stderr.strip().splitlines() or ["a syntax error"])[-1]
        raise OptionError(f"--feed '{feed}' is not a shell command: {reason}")
    try:
        program = next(iter(shlex.split(feed)), "")
    except ValueError:  # quotes that only a shell understands
        return
    if _PLAIN.fullmatch(program):
        found = subprocess.run(["/bin/sh", "-c", 'command -v "$1"', "sh", program], capture_output=True, check=False)
        if found.returncode != 0:
            raise OptionError(f"--feed '{feed}' starts '{program}', which is not installed here; install it first")
