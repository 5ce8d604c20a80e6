"""Classifies one frame after the other while the next ones are decoded, in constant memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, Semaphore, Thread
from types import TracebackType
from typing import Self

from tledge.core.cores import usable_cores
from tledge.core.errors import ImageError
from tledge.core.images import Pixels
from tledge.edge_runtime.classifier import Classifier, Prediction
from tledge.edge_runtime.sources.frame import Frame, Source

AHEAD = 4
"""Frames that are decoded, or being decoded, while one is classified."""

MOST_THREADS = 2
"""Threads that decode, on however many cores: each may hold a large photo."""

PATIENCE = 0.2
"""Seconds between two looks at whether to go on waiting."""


@dataclass(frozen=True)
class Answer:
    """What became of a frame.

    Attributes:
        name: of the frame.
        predictions: the most probable classes, best first; none where the frame could not be read.
        milliseconds: what the model took, from the pixels of its size to the predictions; other frames are decoded
            meanwhile.
        error: why the frame could not be read; empty where it could.
        dropped: how many frames of its source had been dropped before it; None where none ever is.
    """

    name: str
    predictions: tuple[Prediction, ...] = ()
    milliseconds: float = 0.0
    error: str = ""
    dropped: int | None = None


def predict(
    classifier: Classifier,
    source: Source,
    *,
    top: int,
    stop: Callable[[], bool] = lambda: False,
    ahead: int = AHEAD,
) -> Iterator[Answer]:
    """Classifies the frames of a source, in their order.

    Args:
        classifier: what answers, in the calling thread.
        source: gives the frames, in a thread of its own.
        top: classes an answer, at most.
        stop: whether to end early; looked at before each frame and while none is there.
        ahead: frames that may wait, decoded, or be decoded, while one is classified. At 1, a live source's frame is the
            newest when its turn comes.

    Yields:
        An answer for each frame, also for those that cannot be read.

    Raises:
        SourceError: no further frame can be had, once all the earlier ones are answered.
    """
    with _Decoding(source, classifier.input_size, classifier.sidecar.resize, ahead) as decoding:
        while not stop():
            decoded = decoding.take()
            if decoded is _Waiting:
                continue
            if not isinstance(decoded, _Decoded):
                return
            frame = decoded.frame
            try:
                pixels = decoded.pixels.result()
            except ImageError as error:
                yield Answer(frame.name, error=str(error), dropped=frame.dropped)
                continue
            finally:
                decoding.make_room()
            began = time.perf_counter()
            predictions = tuple(classifier.classify(pixels, top=top))
            yield Answer(frame.name, predictions, (time.perf_counter() - began) * 1e3, dropped=frame.dropped)


@dataclass(frozen=True)
class _Decoded:
    frame: Frame
    pixels: Future[Pixels]


class _Waiting:
    """Stands for a frame that is not there yet."""


class _Decoding:
    """A thread that takes frames from their source, and others that decode them; both wait while enough are ready."""

    def __init__(self, source: Source, size: tuple[int, int], rule: str, ahead: int) -> None:
        self._source = source
        self._size = size
        self._rule = rule
        self._room = Semaphore(ahead)
        self._ready: SimpleQueue[_Decoded | Exception | None] = SimpleQueue()
        self._ended = Event()
        self._pool = ThreadPoolExecutor(min(ahead, MOST_THREADS, usable_cores()), "decoding")
        # A daemon: what a source waits for may never come, and must not keep the process.
        self._feeder = Thread(target=self._feed, name="source", daemon=True)

    def take(self) -> _Decoded | type[_Waiting] | None:
        """The next frame; None at the end. Raises what the source raised."""
        try:
            found = self._ready.get(timeout=PATIENCE)
        except Empty:
            return _Waiting
        if isinstance(found, Exception):
            raise found
        return found

    def make_room(self) -> None:
        """A frame has been taken: another one may be decoded."""
        self._room.release()

    def _feed(self) -> None:
        frames = self._source.frames(self._ended)
        try:
            while True:
                self._room.acquire()  # first, so that a live source's frame is not old when its turn comes
                frame = None if self._ended.is_set() else next(frames, None)
                if frame is None or self._ended.is_set():
                    break
                self._ready.put(_Decoded(frame, self._pool.submit(frame.load, self._size, self._rule)))
            self._ready.put(None)
        except Exception as error:  # noqa: BLE001 - raised where the frames are taken
            self._ready.put(error)
        finally:
            close = getattr(frames, "close", None)
            if close is not None:
                close()

    def __enter__(self) -> Self:
        self._feeder.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._room.release()
        self._feeder.join(3.0)
        self._pool.shutdown(wait=False, cancel_futures=True)
