"""Classifies the frames of a source in order, in parallel and with bounded memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Semaphore, Thread
from typing import Self

from tledge.core.artifact import Artifact, read_artifact
from tledge.core.cores import usable_cores
from tledge.core.errors import ImageError
from tledge.edge_runtime.classifier import Classifier, Prediction
from tledge.edge_runtime.runtime import default_target
from tledge.edge_runtime.sources.frame import PATIENCE, Frame, Source

AHEAD = 4
"""Frames that wait, decoded or not, besides those being processed."""

MOST_WORKERS = 4
"""The most frames to process at once, on any number of cores: each may be a large photo."""

SHARED_MEMORY = 64e6
"""Bytes of model files that several classifiers may load in total; each takes about twice its file's size."""


@dataclass(frozen=True)
class FrameResult:
    """The predictions for a frame, or why it could not be read.

    Attributes:
        name: the frame's name.
        predictions: the most probable classes, best first; empty if the frame could not be read.
        milliseconds: the model's time from resized pixels to predictions, on the threads of one classifier. Other
            frames are decoded and classified at the same time.
        error: why the frame could not be read; empty if it could.
        dropped: frames of its source dropped so far; None for a source that never drops any.
    """

    name: str
    predictions: tuple[Prediction, ...] = ()
    milliseconds: float = 0.0
    error: str = ""
    dropped: int | None = None


def load_classifiers(artifact: Path | Artifact, stack: ExitStack) -> list[Classifier]:
    """Loads as many classifiers as are fastest for many photos: a single-threaded one per core, if memory allows.

    A single model on all cores leaves them idle between its layers and while photos are decoded.

    Args:
        artifact: a model file, or the artifact that was read from it.
        stack: closes the classifiers.

    Raises:
        ArtifactError, MissingExtraError: see :class:`Classifier`.
    """
    read = artifact if isinstance(artifact, Artifact) else read_artifact(artifact)
    cores = usable_cores()
    count = max(1, min(cores, MOST_WORKERS, int(SHARED_MEMORY // max(read.size, 1))))
    target = default_target(read.format)
    if target.threads is None:  # the runtime distributes work to cores itself
        return [stack.enter_context(Classifier(read, target=target))]
    target = replace(target, threads=cores // count)
    return [stack.enter_context(Classifier(read, target=target)) for _ in range(count)]


def predict(
    classifiers: Sequence[Classifier],
    source: Source,
    *,
    top: int,
    stop: Callable[[], bool] = lambda: False,
    ahead: int = AHEAD,
) -> Iterator[FrameResult]:
    """Classifies the frames of a source, in order.

    Args:
        classifiers: of one artifact; each classifies one frame at a time.
        source: the source of frames, read in its own thread.
        top: number of classes per frame, at most.
        stop: whether to end early; checked before each frame and while waiting for one.
        ahead: frames that wait besides those being processed. With 0, a frame of a live source is always the newest.

    Yields:
        A result for each frame, also for those that cannot be read.

    Raises:
        SourceError: the source failed; raised after the results of all earlier frames.
    """
    with _Pipeline(classifiers, source, top, ahead) as pipeline:
        while not stop():
            try:
                result = pipeline.ready.get(timeout=PATIENCE)
            except Empty:
                continue
            if isinstance(result, Exception):
                raise result
            if result is None:
                return
            yield result.result()
            pipeline.room.release()


class _Pipeline:
    """A thread that reads the source and others that classify its frames; all wait while enough results are ready.

    Attributes:
        ready: the future results in the order of the frames, then what the source raised, or None at its end.
        room: the number of frames that the source may still give; released after each result that was consumed.
    """

    def __init__(self, classifiers: Sequence[Classifier], source: Source, top: int, ahead: int) -> None:
        self._source = source
        self._top = top
        self._size, self._rule = classifiers[0].input_size, classifiers[0].sidecar.resize
        self._free: SimpleQueue[Classifier] = SimpleQueue()
        for classifier in classifiers:
            self._free.put(classifier)
        workers = max(len(classifiers), min(2, usable_cores()))  # one decodes while another classifies
        self.room = Semaphore(workers + ahead)
        self.ready: SimpleQueue[Future[FrameResult] | Exception | None] = SimpleQueue()
        self._ended = Event()
        self._pool = ThreadPoolExecutor(workers, "classify")
        # A daemon: a source may wait forever, and must not keep the process alive.
        self._feeder = Thread(target=self._feed, name="source", daemon=True)

    def _classify(self, frame: Frame) -> FrameResult:
        try:
            pixels = frame.load(self._size, self._rule)
        except ImageError as error:
            return FrameResult(frame.name, error=str(error), dropped=frame.dropped)
        classifier = self._free.get()
        try:
            start = time.perf_counter()
            predictions = tuple(classifier.classify(pixels, top=self._top))
            return FrameResult(frame.name, predictions, (time.perf_counter() - start) * 1e3, dropped=frame.dropped)
        finally:
            self._free.put(classifier)

    def _feed(self) -> None:
        frames = self._source.frames(self._ended)
        try:
            while True:
                self.room.acquire()  # first, so that a frame of a live source is not old when it is classified
                frame = None if self._ended.is_set() else next(frames, None)
                if frame is None or self._ended.is_set():
                    break
                self.ready.put(self._pool.submit(self._classify, frame))
            self.ready.put(None)
        except Exception as error:  # noqa: BLE001 - raised by predict()
            self.ready.put(error)
        finally:
            close = getattr(frames, "close", None)
            if close is not None:
                close()

    def __enter__(self) -> Self:
        self._feeder.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.room.release()
        self._feeder.join(3.0)
        self._pool.shutdown(wait=True, cancel_futures=True)  # before the classifiers are closed
