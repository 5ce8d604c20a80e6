"""Progress as lines and as bars, with a clock that the test sets."""

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tledge.cli import progress_display
from tledge.cli.interrupts import Interrupts
from tledge.cli.library_log import LibraryLog
from tledge.cli.progress_display import TimeLeft, _StepBar
from tledge.cli.terminal import Terminal, wrap
from tledge.core.worker import read_reply

pytestmark = pytest.mark.unit


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress_display, "TimeLeft", lambda total, long: TimeLeft(total, clock, long=long))
    return clock


@contextmanager
def terminal() -> Iterator[Terminal]:
    log = LibraryLog()
    try:
        yield Terminal(log, False, Interrupts(), "bench")
    finally:
        log.close(None)


def test_time_left_follows_the_units_and_runs_down_between_them() -> None:
    clock = Clock()
    time = TimeLeft(10, clock)
    assert time.left is None
    time.expect(6.0)
    assert time.left == pytest.approx(60)
    clock.now += 6
    assert time.left == pytest.approx(54)
    clock.now += 6
    assert time.left == pytest.approx(9 * 6), "others are not expected to be late because this one is"
    clock.now += 0.1
    assert time.left is None, "it takes more than twice as long as expected"
    clock.now += 7.9
    time.advance(1)
    assert time.left == pytest.approx(9 * 20)
    clock.now += 5
    time.advance(1)  # the next one 5 s: the first includes a start-up
    assert time.left == pytest.approx(8 * 5)
    clock.now += 3
    assert time.left == pytest.approx(37)
    clock.now += 5
    assert time.left == pytest.approx(7 * 5), "the others are yet to come"
    time.advance(8)
    assert time.left is None


def test_time_left_is_that_of_this_unit_and_of_those_after_it() -> None:
    clock = Clock()
    time = TimeLeft(25, clock)
    time.expect(60.0, 40.0)
    clock.now += 50
    assert time.left == pytest.approx(50)
    clock.now += 70
    assert time.left == pytest.approx(40)
    clock.now += 1
    assert time.left is None
    time.advance(1)
    time.expect(2.0, 38.0)
    assert time.left == pytest.approx(40), "the first unit says nothing about the others"


def test_artifacts_differ_so_much_that_no_time_left_is_shown(clock: Clock) -> None:
    with terminal() as shown:
        bar = _StepBar(shown, "Export", 4, "artifacts")
        clock.now += 8
        bar.advance(1)
        bar.begin("int8.tflite")
        clock.now += 67
        assert "1/4 artifacts  1:15 so far  int8.tflite" in bar.line(80).plain


def test_units_of_an_earlier_training_say_nothing_about_the_time() -> None:
    clock = Clock()
    time = TimeLeft(1000, clock, long=False)
    time.advance(500)
    assert (time.rate, time.left) == (None, None)
    clock.now += 10
    time.advance(100)
    assert time.left == pytest.approx(40)


def test_each_round_has_a_line_that_names_it_when_it_begins(clock: Clock, capfd: pytest.CaptureFixture[str]) -> None:
    with terminal() as shown, shown.progress().step("Benchmark", 3, "rounds") as step:
        for _ in range(3):
            step.begin("int8.tflite on litert:cpu:2", 50.0)
            clock.now += 100
            step.advance()
    assert capfd.readouterr().err.splitlines() == [
        "Benchmark: round 1/3, int8.tflite on litert:cpu:2, about 2 min left",
        "Benchmark: 1/3 rounds, about 3 min left".replace("1/3 rounds", "int8.tflite on litert:cpu:2, 1/3 rounds"),
        "Benchmark: round 2/3, int8.tflite on litert:cpu:2, about 3 min left",
        "Benchmark: int8.tflite on litert:cpu:2, 2/3 rounds, about 2 min left",
        "Benchmark: round 3/3, int8.tflite on litert:cpu:2, about 2 min left",
        "Benchmark: 3 rounds in 5 min",
    ]


def test_each_epoch_has_one_line(clock: Clock, capfd: pytest.CaptureFixture[str]) -> None:
    with terminal() as shown, shown.progress().step("Fine-tune", 200, "photos") as step:
        for epoch in (1, 2):
            step.begin(f"epoch {epoch}/2")
            for _ in range(10):
                clock.now += 0.5
                step.advance(10)
            step.mark("loss 0.100  val top-1 0.900")
    assert capfd.readouterr().err.splitlines() == [
        "Fine-tune: epoch 1/2",
        "Fine-tune: epoch 1/2, loss 0.100  val top-1 0.900, about 5 s left",
        "Fine-tune: epoch 2/2, loss 0.100  val top-1 0.900",
        "Fine-tune: 200 photos in 10 s",
    ]


def test_photos_have_a_line_every_ten_seconds_and_later_every_minute(
    clock: Clock, capfd: pytest.CaptureFixture[str]
) -> None:
    with terminal() as shown, shown.progress().step("Check photos", 7200, "photos") as step:
        for _ in range(7200):
            clock.now += 1
            step.advance()
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == "Check photos: 10/7,200 photos, about 2 h 0 min left"
    assert lines[1].startswith("Check photos: 20/7,200 photos")
    assert lines[-1] == "Check photos: 7,200 photos in 2 h 0 min"
    numbers = [int(line.split()[2].split("/")[0].replace(",", "")) for line in lines[:-1]]
    pauses = [after - before for before, after in itertools.pairwise(numbers)]
    assert (pauses[0], max(pauses)) == (10, 60)
    assert len(lines) < 200


@pytest.mark.parametrize("width", [40, 60, 80, 100, 130])
def test_a_bar_fits_and_never_cuts_the_time(clock: Clock, width: int) -> None:
    with terminal() as shown:
        bar = _StepBar(shown, "Fine-tune", 11_200, "photos")
        bar.begin("epoch 5/8")
        for _ in range(2):
            clock.now += 100
            bar.advance(1400)
        bar.mark("loss 0.081  val top-1 0.987 ▁▄▆▇█")
        line = bar.line(width).plain
        assert len(line) <= width
        assert "2,800/11,200 photos  " + ("14 img/s  " if width >= 110 else "") + "10:00 left" in line
        assert ("epoch 5/8" in line) == (width >= 80)
        assert ("val top-1 0.987" in line) == (width >= 80), "the main figure is whole, or left out"
        assert ("loss 0.081" in line) == (width >= 100)
        assert ("━" in line) == (width in (60, 130)), "the bar is left out before a figure"
        assert "…" not in line.removeprefix("Fine-t…")
        bar.finish("stopped early after epoch 4  best val top-1 0.983")
        bar.ended = True
        line = bar.line(width).plain
        assert len(line) <= width
        assert "in 3:20" in line
        assert ("stopped early after epoch 4  best val top-1 0.983" in line) == (width >= 80)
        assert ("best val top-1 0.983" in line) == (width >= 60)
        assert "─" not in line
        assert "11,200" not in line, "what was not trained is not missing"


@pytest.mark.parametrize(
    ("label", "shown_label"), [("Train", "Train  "), ("Fine-tune", "Fine-t…"), ("写真を読む", "写真を…")]
)
def test_a_narrow_terminal_cuts_no_label_that_fits(clock: Clock, label: str, shown_label: str) -> None:
    with terminal() as shown:
        bar = _StepBar(shown, label, 11_200, "photos")
        for _ in range(2):
            clock.now += 100
            bar.advance(1400)
        line = bar.line(40)
        assert line.plain == f"{shown_label}  2,800/11,200 photos  10:00 left"
        assert line.cell_len == 40


@pytest.mark.parametrize("message", ["fail", "error"])
def test_a_step_that_failed_has_no_last_line(clock: Clock, capfd: pytest.CaptureFixture[str], message: str) -> None:
    lines = ['["step", "Check", 9, "photos"]\n', '["advance", 3, ""]\n', f'["{message}", "no luck"]\n']
    with terminal() as shown:
        read_reply(lines, shown.progress())
    assert capfd.readouterr().err == ""


def test_texts_wrap_between_words_and_paths_stay_whole() -> None:
    path = "/home/me/photos/a-folder-with-a-long-name/runs/20261129-141329-mobilenet_v2-digits/report.html"
    wrapped = wrap(f"Report: {path}", 60)
    assert wrapped.splitlines() == ["Report:", path]
    text = "Flagged noisy: int8.tflite on litert:cpu:2 and 3 others. Use a quiet-machine for better results."
    lines = wrap(text, 50, indent="  ").splitlines()
    assert all(len(line) <= 50 for line in lines)
    assert re.sub(r"\n +", " ", "\n".join(lines)) == text
