"""Classifies the frames of a source, several at once where that is faster, in their order and in constant memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Semaphore, Thread
from types import TracebackType
from typing import Self

from tledge.core.artifact import read_artifact
from tledge.core.cores import usable_cores
from tledge.core.errors import ImageError
from tledge.edge_runtime.classifier import Classifier, Prediction
from tledge.edge_runtime.runtime import default_target
from tledge.edge_runtime.sources.frame import Frame, Source

AHEAD = 4
"""Frames that wait, decoded or not, beside those that are worked on."""

MOST_WORKERS = 4
"""Frames that are worked on at once, on however many cores: each may be a large photo."""

SHARED_MEMORY = 64e6
"""Bytes of model files that several classifiers may load together; each takes about twice its file's size."""

PATIENCE = 0.2
"""Seconds between two looks at whether to go on waiting."""


@dataclass(frozen=True)
class FrameResult:
    """What became of a frame.

    Attributes:
        name: of the frame.
        predictions: the most probable classes, best first; none where the frame could not be read.
        milliseconds: what the model took, from the pixels of its size to the predictions, on the threads of its
            classifier; other frames are decoded, and classified where there are several classifiers, meanwhile.
        error: why the frame could not be read; empty where it could.
        dropped: how many frames of its source had been dropped before it; None where none ever is.
    """

    name: str
    predictions: tuple[Prediction, ...] = ()
    milliseconds: float = 0.0
    error: str = ""
    dropped: int | None = None


def load_classifiers(artifact: Path, stack: ExitStack) -> list[Classifier]:
    """As many classifiers as answer many photos fastest: one for each core, each on one thread, where memory allows.

    One model on all cores leaves them idle between its layers, and while photos are decoded.

    Args:
        artifact: a model file.
        stack: closes them.

    Raises:
        ArtifactError, MissingExtraError: see :class:`Classifier`.
    """
    read = read_artifact(artifact)
    cores = usable_cores()
    count = max(1, min(cores, MOST_WORKERS, int(SHARED_MEMORY // max(read.size, 1))))
    target = default_target(read.format)
    if target.threads is None:  # a runtime that shares out cores by itself
        return [stack.enter_context(Classifier(artifact, target=target))]
    target = replace(target, threads=cores // count)
    return [stack.enter_context(Classifier(artifact, target=target)) for _ in range(count)]


def predict(
    classifiers: Sequence[Classifier],
    source: Source,
    *,
    top: int,
    stop: Callable[[], bool] = lambda: False,
    ahead: int = AHEAD,
) -> Iterator[FrameResult]:
    """Classifies the frames of a source, in their order.

    Args:
        classifiers: of one artifact; each answers one frame at a time.
        source: gives the frames, in a thread of its own.
        top: classes an answer, at most.
        stop: whether to end early; looked at before each frame and while none is there.
        ahead: frames that wait beside those that are worked on. At 0, a live source's frame is the newest when its
            turn comes.

    Yields:
        An answer for each frame, also for those that cannot be read.

    Raises:
        SourceError: no further frame can be had, once all the earlier ones are answered.
    """
    with _Working(classifiers, source, top, ahead) as working:
        while not stop():
            answer = working.take()
            if answer is _Waiting:
                continue
            if not isinstance(answer, Future):
                return
            yield answer.result()
            working.make_room()


class _Waiting:
    """Stands for a frame that is not there yet."""


class _Working:
    """A thread that takes frames from their source, and others that answer them; all wait while enough are ready."""

    def __init__(self, classifiers: Sequence[Classifier], source: Source, top: int, ahead: int) -> None:
        self._source = source
        self._top = top
        self._size, self._rule = classifiers[0].input_size, classifiers[0].sidecar.resize
        self._free: SimpleQueue[Classifier] = SimpleQueue()
        for classifier in classifiers:
            self._free.put(classifier)
        workers = max(len(classifiers), min(2, usable_cores()))  # one decodes while another classifies
        self._room = Semaphore(workers + ahead)
        self._ready: SimpleQueue[Future[FrameResult] | Exception | None] = SimpleQueue()
        self._ended = Event()
        self._pool = ThreadPoolExecutor(workers, "answering")
        # A daemon: what a source waits for may never come, and must not keep the process.
        self._feeder = Thread(target=self._feed, name="source", daemon=True)

    def take(self) -> Future[FrameResult] | type[_Waiting] | None:
        """The answer of the next frame, or what it will be; None at the end. Raises what the source raised."""
        try:
            found = self._ready.get(timeout=PATIENCE)
        except Empty:
            return _Waiting
        if isinstance(found, Exception):
            raise found
        return found

    def make_room(self) -> None:
        """An answer has been taken: another frame may be."""
        self._room.release()

    def _answer(self, frame: Frame) -> FrameResult:
        try:
            pixels = frame.load(self._size, self._rule)
        except ImageError as error:
            return FrameResult(frame.name, error=str(error), dropped=frame.dropped)
        classifier = self._free.get()
        try:
            began = time.perf_counter()
            predictions = tuple(classifier.classify(pixels, top=self._top))
            return FrameResult(frame.name, predictions, (time.perf_counter() - began) * 1e3, dropped=frame.dropped)
        finally:
            self._free.put(classifier)

    def _feed(self) -> None:
        frames = self._source.frames(self._ended)
        try:
            while True:
                self._room.acquire()  # first, so that a live source's frame is not old when its turn comes
                frame = None if self._ended.is_set() else next(frames, None)
                if frame is None or self._ended.is_set():
                    break
                self._ready.put(self._pool.submit(self._answer, frame))
            self._ready.put(None)
        except Exception as error:  # noqa: BLE001 - raised where the answers are taken
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
        self._pool.shutdown(wait=True, cancel_futures=True)  # the classifiers are closed next
