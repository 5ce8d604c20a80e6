"""A video file, frame by frame, decoded by OpenCV."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from tledge.core.extras import require
from tledge.core.regular_file import open_regular
from tledge.edge_runtime.sources.frame import BrokenFrame, DecodedImage, Frame
from tledge.edge_runtime.sources.opencv import frame_to_rgb, load_opencv

SUFFIXES = frozenset(
    ".3gp .avi .flv .m4v .mjpeg .mjpg .mkv .mov .mp4 .mpeg .mpg .mts .ogv .ts .webm .wmv .h264 .hevc".split()  # noqa: SIM905
)

CUT_OFF = 0.9
"""A file with fewer than this fraction of its announced frames was cut off; the announced number is an estimate."""


def is_video_name(path: Path) -> bool:
    """Whether a file has the suffix of a supported video format."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


@dataclass(frozen=True)
class Video:
    """The frames of a video file; none is dropped.

    Args:
        path: the video file.
        every: yield only every n-th frame, starting with the first.

    Raises:
        MissingExtraError: OpenCV is not installed.
    """

    path: Path
    every: int = 1

    def __post_init__(self) -> None:
        require("cv2", extra="camera", purpose=f"the video '{self.path}'")

    @property
    def width(self) -> int:
        """The length of a name in the first hours, in characters."""
        return len(_name(self.path, 0.0, 10_000))

    def frames(self, ended: Event) -> Iterator[Frame]:
        """Yields frames, named by time and number; the last one is broken if the file was cut off."""
        whole = str(self.path)
        try:
            open_regular(self.path).close()
        except OSError as error:  # OpenCV would not give the reason
            yield BrokenFrame(whole, f"cannot read video '{whole}': {error.strerror or error}")
            return
        cv2 = load_opencv()
        capture = cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG)
        try:
            if not capture.isOpened():
                size = f"{self.path.stat().st_size:,} bytes"
                yield BrokenFrame(
                    whole, f"not a readable video: '{whole}' ({size}) is truncated or has an unknown format"
                )
                return
            announced = capture.get(cv2.CAP_PROP_FRAME_COUNT)
            number = 0
            while not ended.is_set():
                if not capture.grab():
                    if number < CUT_OFF * announced or number == 0:
                        count = f"{number:,} of about {announced:,.0f} frames"
                        yield BrokenFrame(whole, f"not a complete video: '{whole}' ends after {count}")
                    return
                number += 1
                if (number - 1) % self.every:
                    continue
                name = _name(self.path, capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, number)
                good, image = capture.retrieve()
                if good:
                    yield DecodedImage(name, frame_to_rgb(image))
                else:
                    yield BrokenFrame(name, f"not a readable frame: '{name}'")
        finally:
            capture.release()


def _name(path: Path, seconds: float, number: int) -> str:
    minutes, seconds = divmod(max(seconds, 0.0), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{path} {hours}:{minutes:02}:{seconds:06.3f} (frame {number})"
