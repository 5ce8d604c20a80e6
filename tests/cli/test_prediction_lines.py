"""Lines of predictions: columns of a terminal, and names that are data."""

import pytest

from tledge.cli.interrupts import Interrupts
from tledge.cli.library_log import LibraryLog
from tledge.cli.prediction_lines import PredictionLines
from tledge.cli.terminal import Terminal
from tledge.edge_runtime.classifier import Prediction
from tledge.edge_runtime.prediction_stream import FrameResult

pytestmark = pytest.mark.unit


def printed(capfd: pytest.CaptureFixture[str], classes: tuple[str, ...], photos: tuple[str, ...]) -> list[str]:
    log = LibraryLog()
    try:
        lines = PredictionLines(Terminal(log, False, Interrupts(), "predict"), classes, 10)
        for photo in photos:
            for index, label in enumerate(classes):
                lines.show(FrameResult(photo, (Prediction(index=index, label=label, score=0.5),), 1.0))
    finally:
        log.close(None)
    return capfd.readouterr().out.splitlines()


def test_wide_names_keep_the_columns(capfd: pytest.CaptureFixture[str]) -> None:
    lines = printed(capfd, ("cat", "猫", "cafe\u0301"), ("a.jpg", "写真.jpg"))
    assert [line[: line.index(" 0.500")] for line in lines] == [
        "a.jpg        cat ",
        "a.jpg        猫  ",
        "a.jpg        cafe\u0301",
        "写真.jpg     cat ",
        "写真.jpg     猫  ",
        "写真.jpg     cafe\u0301",
    ]


def test_names_are_on_one_line_and_cannot_be_obeyed(capfd: pytest.CaptureFixture[str]) -> None:
    (line,) = printed(capfd, ("red\x1b[31m\n",), ("\u202egpj.exe",))
    assert line.startswith(r"\u202egpj.exe   red\x1b[31m\n 0.500   ")
