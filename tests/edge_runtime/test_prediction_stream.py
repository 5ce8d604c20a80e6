"""Frames to results: in order, read ahead of the model within bounds, and stopped on request."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from support import random_images

from tledge.core import sidecar_storage
from tledge.core.artifact import read_artifact
from tledge.core.checksum import check_file
from tledge.core.cores import usable_cores
from tledge.core.errors import SourceError
from tledge.core.images import Pixels
from tledge.edge_runtime import Classifier
from tledge.edge_runtime.prediction_stream import load_classifiers, predict
from tledge.edge_runtime.sources.frame import BrokenFrame, DecodedImage, Frame


@dataclass
class Listed:
    """Frames that are there already; counts what was asked of it, and may fail at the end or wait for ever."""

    given: list[Frame]
    error: Exception | None = None
    waits: bool = False
    taken: int = 0
    closed: Event = field(default_factory=Event)
    width: int = 8

    def frames(self, ended: Event) -> Iterator[Frame]:
        try:
            for frame in self.given:
                self.taken += 1
                yield frame
            if self.waits:
                ended.wait(60)
            if self.error:
                raise self.error
        finally:
            self.closed.set()


@pytest.fixture(scope="module")
def classifier(tiny_artifacts: Path) -> Classifier:
    return Classifier(tiny_artifacts / "float32.tflite", target="litert:cpu:1")


def images(count: int) -> list[Pixels]:
    return list(random_images(count, 16))


def listed(count: int) -> list[Frame]:
    return [DecodedImage(f"{number}", pixels) for number, pixels in enumerate(images(count))]


def test_every_frame_is_classified_in_order_as_the_classifier_does(classifier: Classifier) -> None:
    frames = listed(40)
    frames[7] = BrokenFrame("7", "not a readable frame: '7'")
    source = Listed(frames)
    results = list(predict([classifier], source, top=2))
    assert [result.name for result in results] == [str(number) for number in range(40)]
    assert results[7].error == "not a readable frame: '7'"
    assert results[7].predictions == ()
    for result, pixels in zip(results, images(40), strict=True):
        if not result.error:
            assert list(result.predictions) == classifier.classify(pixels, top=2)
            assert result.milliseconds > 0
    assert source.closed.is_set()


def test_a_source_that_fails_does_so_after_its_last_frame(classifier: Classifier) -> None:
    results = predict([classifier], Listed(listed(6), SourceError("gone")), top=1)
    assert [next(results).name for _ in range(6)] == list("012345")
    with pytest.raises(SourceError, match="gone"):
        next(results)


@pytest.mark.parametrize("ahead", [0, 4])
def test_no_more_are_taken_than_may_wait(classifier: Classifier, ahead: int) -> None:
    source = Listed(listed(500))
    results = predict([classifier], source, top=1, ahead=ahead)
    workers = min(2, usable_cores())
    for consumed in range(19):
        next(results)
        assert source.taken <= consumed + workers + ahead
    results.close()  # type: ignore[attr-defined]
    assert source.closed.wait(10)


def test_it_ends_while_it_waits_for_a_frame(classifier: Classifier) -> None:
    asked = Event()
    source = Listed(listed(2), waits=True)
    results = predict([classifier], source, top=1, stop=asked.is_set)
    assert [next(results).name, next(results).name] == ["0", "1"]
    asked.set()
    assert list(results) == []
    assert source.closed.wait(10)


def test_it_leaves_no_thread(classifier: Classifier) -> None:
    before = set(threading.enumerate())
    results = predict([classifier], Listed(listed(300)), top=1)
    next(results)
    results.close()  # type: ignore[attr-defined]
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()


def test_an_error_that_is_no_images_fault_is_not_swallowed(classifier: Classifier) -> None:
    class Wrong(DecodedImage):
        def load(self, size: tuple[int, int], rule: str) -> Pixels:
            raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError, match="a bug"):
        list(predict([classifier], Listed([Wrong("x", np.zeros((4, 4, 3), np.uint8))]), top=1))


def test_the_bytes_of_a_file_are_checked_once_for_all_classifiers(
    tiny_artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[Path] = []

    def check(path: Path) -> bool:
        checked.append(path)
        return check_file(path)

    monkeypatch.setattr(sidecar_storage, "check_file", check)
    with ExitStack() as stack:
        classifiers = load_classifiers(read_artifact(tiny_artifacts / "float32.tflite"), stack)
        assert {item.artifact.path for item in classifiers} == {tiny_artifacts / "float32.tflite"}
    assert checked == [tiny_artifacts / "float32.tflite"]
