"""The options of ``tledge predict``, declared once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tledge.core.options import ARGUMENTS, REQUIRED, Limits, check_options, option

GROUPS = ("Input", "Prediction", "Output", "Service")


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """All options of ``tledge predict``. Raises OptionError if a number is out of range."""

    artifact: Path = option(
        REQUIRED,
        "A model file of 'tledge export', or one described by 'tledge adopt'.",
        group=ARGUMENTS,
        metavar="ARTIFACT",
    )
    sources: Sequence[str] = option(
        (),
        "Photos, folders of photos, globs ('photos/**/*.jpg'), video files, or - for standard input.",
        group=ARGUMENTS,
        metavar="SOURCE...",
    )
    watch: Path | None = option(
        None, "Classify new images in this folder until stopped.", group="Input", default_text="none", metavar="DIR"
    )
    camera: str | None = option(
        None,
        "Classify what a camera sees until stopped: 0, /dev/video2, picamera, picamera:1.",
        group="Input",
        default_text="none",
    )
    every: int = option(
        1,
        "Classify every N-th frame of a video, a stream or a camera.",
        group="Input",
        allowed=Limits(least=1),
        metavar="N",
    )
    target: str | None = option(
        None, "runtime:device:threads.", group="Prediction", default_text="the CPU, all cores of this process"
    )
    top: int = option(3, "Number of classes to show.", group="Output", allowed=Limits(least=1))

    def __post_init__(self) -> None:
        check_options(self)
