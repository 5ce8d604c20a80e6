"""A camera: through OpenCV by number or device file, or a Raspberry Pi's own through picamera2.

A thread reads it continuously, so a frame is never older than one prediction. Frames for which the model has no time
are dropped and counted.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from threading import Condition, Event, Thread
from typing import Any, Generic, Protocol, TypeVar

from tledge.core.errors import MissingExtraError, OptionError, SourceError
from tledge.core.extras import is_installed
from tledge.core.images import Pixels
from tledge.edge_runtime.sources.frame import PATIENCE, BrokenFrame, DecodedImage, Frame
from tledge.edge_runtime.sources.opencv import frame_to_rgb, load_opencv

MOST_FAILURES = 5
"""Consecutive frames that may fail before the camera counts as disconnected."""

PAUSE = 0.1
"""Seconds to wait after a frame that failed."""

SIZE = (640, 480)
"""(width, height) to request from picamera2; OpenCV uses the size that the camera's driver prefers."""

SILENCE = 10.0
"""Seconds that picamera2 may take for a frame; OpenCV has the same limit."""

_PICAMERA = re.compile(r"picamera(?::(\d+))?")

T = TypeVar("T")


class Capture(Protocol):
    """An open camera."""

    @property
    def through(self) -> str:
        """What reads it ("OpenCV (V4L2)")."""

    def read(self) -> Pixels | None:
        """Waits for a frame: uint8 (height, width, 3), RGB; None if it is broken or the camera was disconnected."""

    def close(self) -> None:
        """Releases the camera."""


class Latest(Generic[T]):
    """A bounded queue between two threads: if it is full, a new item replaces the oldest.

    Args:
        capacity: the most items it holds.

    Attributes:
        dropped: number of items dropped so far.
    """

    def __init__(self, capacity: int = 2) -> None:
        self._items: deque[T] = deque(maxlen=capacity)
        self._changed = Condition()
        self._error: Exception | None = None
        self._finished = False
        self.dropped = 0

    def put(self, item: T) -> None:
        """Adds an item without waiting."""
        with self._changed:
            self.dropped += len(self._items) == self._items.maxlen
            self._items.append(item)
            self._changed.notify()

    def finish(self, error: Exception | None = None) -> None:
        """Marks the end of the items, with the error that caused it, if any."""
        with self._changed:
            self._finished = True
            self._error = error
            self._changed.notify()

    def take(self, ended: Event) -> T | None:
        """Waits for the oldest item and returns it; None at the end or when ``ended`` is set.

        Raises:
            Exception: the error passed to :meth:`finish`, once all items are taken.
        """
        with self._changed:
            while not self._items:
                if ended.is_set():
                    return None
                if self._finished:
                    if self._error is not None:
                        raise self._error
                    return None
                self._changed.wait(PATIENCE)
            return self._items.popleft()


class Camera:
    """The newest frames of a camera, until it is disconnected.

    Args:
        name: its name in the names of frames ("0").
        capture: the open camera; this object closes it.
        every: yield only every n-th frame.
    """

    def __init__(self, name: str, capture: Capture, *, every: int = 1) -> None:
        self._name = f"camera {name}"
        self._capture = capture
        self._every = every
        self._latest: Latest[DecodedImage | BrokenFrame] = Latest()
        self._closing = Event()

    @property
    def through(self) -> str:
        """What reads it."""
        return self._capture.through

    @property
    def dropped(self) -> int:
        """Number of frames dropped so far because the model had no time for them."""
        return self._latest.dropped

    @property
    def width(self) -> int:
        """The length of a name in the first hours, in characters."""
        return len(f"{self._name} frame 100000")

    def frames(self, ended: Event) -> Iterator[Frame]:
        """Yields the newest frames, numbered from 1 over all frames of the camera; those in between were dropped.

        Raises:
            SourceError: the camera was disconnected.
        """
        reader = Thread(target=self._read, name=self._name, daemon=True)
        reader.start()
        try:
            while (frame := self._latest.take(ended)) is not None:
                yield replace(frame, dropped=self.dropped)
        finally:
            self._closing.set()
            reader.join(2.0)  # a hanging driver must not keep the process alive

    def _read(self) -> None:
        number = failed = 0
        try:
            while not self._closing.is_set():
                pixels = self._capture.read()
                number += 1
                name = f"{self._name} frame {number}"
                if pixels is None:
                    failed += 1
                    if failed == MOST_FAILURES:
                        whole = number - failed
                        raise SourceError(
                            f"{self._name} was disconnected after {whole:,} frame{'s'[: whole != 1]};"
                            " check its cable and power"
                        )
                    self._closing.wait(PAUSE)
                    continue
                for earlier in range(number - failed, number):  # the frames were broken, not the camera
                    broken = f"{self._name} frame {earlier}"
                    self._latest.put(BrokenFrame(broken, f"not a readable frame: '{broken}'"))
                failed = 0
                if (number - 1) % self._every == 0:
                    self._latest.put(DecodedImage(name, pixels))
            self._latest.finish()
        except Exception as error:  # noqa: BLE001 - raised where the frames are taken
            self._latest.finish(error)
        finally:
            self._capture.close()


class OpenCVCapture:
    """A camera that OpenCV has opened."""

    def __init__(self, capture: Any) -> None:
        self._capture = capture
        self.through = f"OpenCV ({capture.getBackendName()})"

    def read(self) -> Pixels | None:
        good, image = self._capture.read()
        return frame_to_rgb(image) if good and image is not None else None

    def close(self) -> None:
        self._capture.release()


class PicameraCapture:
    """A camera on the Raspberry Pi's camera connector, through libcamera.

    Source: the Picamera2 manual: arrays of the format "BGR888" have red first.
    """

    through = "picamera2"

    def __init__(self, number: int) -> None:
        from picamera2 import Picamera2

        cameras = Picamera2.global_camera_info()
        if number >= len(cameras):
            raise SourceError(f"no camera {number}: picamera2 found {len(cameras)}; check the ribbon cable")
        self._camera = Picamera2(number)
        try:
            self._camera.configure(
                self._camera.create_video_configuration(main={"format": "BGR888", "size": SIZE}, buffer_count=3)
            )
            self._camera.start()
        except Exception:
            self._camera.close()
            raise

    def read(self) -> Pixels | None:
        try:
            pixels: Pixels = self._camera.capture_array("main", wait=SILENCE)
        except (TimeoutError, RuntimeError):
            return None
        return pixels

    def close(self) -> None:
        self._camera.close()


def check_camera_name(text: str) -> None:
    """Raises OptionError if no camera can have that name; looks for no camera."""
    if not (_PICAMERA.fullmatch(text) or re.fullmatch(r"\d{1,4}|/dev/.*", text)):
        raise OptionError(f"`camera` must be a number, picamera, picamera:1 or a device file; received '{text}'")


def open_camera(text: str, *, every: int = 1) -> Camera:
    """Opens a camera.

    Args:
        text: "0", OpenCV's first camera, or picamera2's first if OpenCV is not installed or finds none; "picamera" or
            "picamera:1", a Raspberry Pi's own; "/dev/video2", a device file.
        every: see :class:`Camera`.

    Raises:
        OptionError: ``text`` has another form.
        SourceError: there is no such camera, or another program uses it.
        MissingExtraError: neither library is installed.
    """
    check_camera_name(text)
    own = _PICAMERA.fullmatch(text)
    if own:
        if not is_installed("picamera2"):
            raise SourceError(
                "picamera2 is not installed here: sudo apt install python3-picamera2, and create the virtual"
                " environment with --system-site-packages"
            )
        return Camera(text, _open_picamera(int(own[1] or 0)), every=every)
    number = None if text.startswith("/dev/") else int(text)
    also_picamera = number is not None and is_installed("picamera2")
    if is_installed("cv2"):
        cv2 = load_opencv()
        opened = cv2.VideoCapture(text if number is None else number)
        if opened.isOpened() and opened.read()[0]:  # other devices of a board open but give no frames
            return Camera(text, OpenCVCapture(opened), every=every)
        opened.release()
    elif not also_picamera:
        raise MissingExtraError(["opencv-python-headless"], "camera", f"`camera='{text}'`")
    if number is not None and also_picamera:
        return Camera(text, _open_picamera(number), every=every)
    raise SourceError(
        f"OpenCV cannot read camera '{text}': it does not exist, another program uses it, or this user lacks permission"
        " (group 'video'); a Raspberry Pi's own camera needs picamera2 (sudo apt install python3-picamera2)"
    )


def _open_picamera(number: int) -> PicameraCapture:
    try:
        return PicameraCapture(number)
    except (RuntimeError, IndexError, ImportError, OSError) as error:
        raise SourceError(f"picamera2 cannot open camera {number}: {error}") from error
