"""``tledge predict`` as its users run it: real processes, signals, pipes and full disks."""

import io
import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import HEEDING, check_one_line_error, stripes, tledge

MAIN = "from tledge.cli.main import main; main()"

FAKE_CAMERA = """
import time
import numpy as np
import tledge.edge_runtime.sources.camera as camera
class Grabber:
    through = "a stand-in"
    count = 0
    def read(self):
        time.sleep(0.001)
        self.count += 1
        return np.full((48, 64, 3), 100, np.uint8) if self.count <= {frames} else None
    def close(self):
        pass
camera.open_camera = lambda text, every: camera.Camera(text, Grabber(), every=every)
import tledge.edge_runtime.classifier as classifier
quick = classifier.Classifier.classify
def slow(*given, **options):
    time.sleep(0.05)
    return quick(*given, **options)
classifier.Classifier.classify = slow
"""
"""A camera with a frame each millisecond, and a model that takes 50 of them."""


@pytest.fixture(scope="module")
def artifact(tiny_artifacts: Path) -> Path:
    return tiny_artifacts / "float32.tflite"


def photo(shade: int = 100) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), (shade,) * 3).save(stream, "JPEG")
    return stream.getvalue()


class Running:
    """``tledge predict`` while it runs."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self._out = b""

    def feed(self, content: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(content)
        self.process.stdin.flush()

    def line(self) -> str:
        """The next line of its output, waiting for it."""
        assert self.process.stdout is not None
        while b"\n" not in self._out:
            assert select.select([self.process.stdout], [], [], 60)[0], "nothing came"
            piece = os.read(self.process.stdout.fileno(), 1 << 16)
            assert piece, "it has ended"
            self._out += piece
        line, self._out = self._out.split(b"\n", 1)
        return line.decode()

    def note(self) -> str:
        """The next line of what it says on standard error."""
        assert self.process.stderr is not None
        return self.process.stderr.readline().decode().rstrip("\n")

    def end(self, number: int | None = None) -> tuple[int, list[str], str]:
        """Sends a signal, if any; its exit code, the lines that were not read yet, and its standard error."""
        if number is not None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, (self._out + out).decode().splitlines(), err.decode()


@contextmanager
def predicting(*arguments: object, cwd: Path, code: str = "") -> Iterator[Running]:
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", HEEDING + code + MAIN, "predict", *map(str, arguments)],
        cwd=cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield Running(process)
    finally:
        process.kill()
        process.communicate()


def test_one_broken_file_in_a_hundred_is_named_and_all_others_are_classified(artifact: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    broken = {f"{number:03}.jpg" for number in (0, 150, 299)}
    for number in range(300):
        name = f"{number:03}.jpg"
        (folder / name).write_bytes(b"" if name in broken else photo(number % 256))
    done = tledge("predict", artifact, folder, "--json", cwd=tmp_path)
    assert done.code == 1
    assert done.err == ""
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [Path(row["image"]).name for row in rows] == [f"{number:03}.jpg" for number in range(300)]
    assert {Path(row["image"]).name for row in rows if "error" in row} == broken
    for row in rows:
        if "error" in row:
            assert row["error"] == f"not a readable image: '{row['image']}' is empty (0 bytes)"
            assert set(row) == {"image", "error"}
        else:
            assert set(row) == {"image", "predictions", "ms"}
            assert [set(item) for item in row["predictions"]] == [{"label", "index", "score"}] * 3
            assert sum(item["score"] for item in row["predictions"]) == pytest.approx(1, abs=1e-4)
            assert row["ms"] > 0


def test_the_columns_stand_below_one_another(artifact: Path, tmp_path: Path) -> None:
    for name in ("a.png", "a much longer name.png", "b.png"):
        Image.fromarray(stripes(True, len(name))).save(tmp_path / name)
    done = tledge("predict", artifact, "a.png", "b.png", "a much longer name.png", cwd=tmp_path)
    assert done.code == 0, done
    *lines, summary = done.out.splitlines()
    assert summary == "3 images"
    assert len(lines) == 3
    assert len({len(line) for line in lines}) == 1
    assert {tuple(match.start() for match in re.finditer(r"0\.\d{3}", line)) for line in lines} == {(29, 41, 53)}


def test_names_that_a_terminal_would_obey_are_shown_and_found_again(artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "odd").mkdir()
    try:
        for name in (b"\x1b[31mred\n.jpg", b"latin-\xe9.jpg"):
            (tmp_path / "odd" / os.fsdecode(name)).write_bytes(photo())
    except OSError:
        pytest.skip("this file system takes no such name")
    done = tledge("predict", artifact, "odd", cwd=tmp_path)
    assert done.code == 0, done
    assert "odd/\\x1b[31mred\\n.jpg" in done.out
    assert "odd/latin-\\udce9.jpg" in done.out
    assert "\x1b" not in done.out
    rows = [json.loads(line) for line in tledge("predict", artifact, "odd", "--json", cwd=tmp_path).out.splitlines()]
    assert {os.fsencode(row["image"]) for row in rows} == {b"odd/\x1b[31mred\n.jpg", b"odd/latin-\xe9.jpg"}


def test_a_photo_of_100_megapixels(artifact: Path, tmp_path: Path) -> None:
    huge = Image.new("RGB", (10_000, 10_000), (100, 100, 100))
    huge.save(tmp_path / "huge.jpg")
    huge.save(tmp_path / "huge.png", compress_level=1)
    done = tledge("predict", artifact, "huge.png", "huge.jpg", cwd=tmp_path)
    assert done.code == 1
    refused, classified, summary = done.out.splitlines()
    assert refused.startswith("not a readable image: 'huge.png' is too large: 100 megapixels (10,000 x 10,000) take")
    assert re.match(r"huge\.jpg +(cat|dog|emu) +\d\.\d{3}", classified)
    assert summary == "1 image, 1 unreadable"


def test_a_source_that_fails_ends_in_one_line(artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(photo())
    check_one_line_error(tledge("predict", artifact, "*.png", cwd=tmp_path), "matches '*.png'")
    partly = tledge("predict", artifact, "*.png", "a.jpg", cwd=tmp_path)
    assert partly.code == 1
    assert "matches '*.png'" in partly.out
    assert partly.out.endswith("1 image, 1 unreadable\n"), "the others are classified"
    check_one_line_error(tledge("predict", artifact, "a.jpg", "", cwd=tmp_path), "empty name")
    check_one_line_error(tledge("predict", artifact, "--watch", "gone", cwd=tmp_path), "cannot watch folder 'gone'")
    (tmp_path / "cut.tflite").write_bytes(artifact.read_bytes()[: artifact.stat().st_size // 2])
    check_one_line_error(tledge("predict", "cut.tflite", "a.jpg", cwd=tmp_path), "'cut.tflite'")


def test_two_endless_sources_are_wrong_usage(artifact: Path, tmp_path: Path) -> None:
    assert tledge("predict", artifact, "--watch", ".", "--camera", "0", cwd=tmp_path).code == 2
    assert tledge("predict", artifact, "a.jpg", "--every", "0", cwd=tmp_path).code == 2


def test_a_stream_is_classified_while_it_is_open_and_sigterm_ends_it(artifact: Path, tmp_path: Path) -> None:
    with predicting(artifact, "-", "--json", cwd=tmp_path) as running:
        for number in (1, 2, 3):
            running.feed(photo(50 * number))
            assert json.loads(running.line())["image"] == f"- frame {number}"
        running.feed(photo()[:300])
        running.process.send_signal(signal.SIGTERM)
        running.process.wait(60)  # while the pipe is open
        code, rest, err = running.end()
    assert (code, rest, err) == (0, [], "")


def test_a_cut_off_last_frame_is_named(artifact: Path, tmp_path: Path) -> None:
    with predicting(artifact, "-", cwd=tmp_path) as running:
        running.feed(photo(50) + photo(80)[:-20])
        code, (classified, cut, summary), err = running.end()
    assert (code, err) == (1, "")
    assert classified.startswith("- frame 1 ")
    assert cut.startswith("not a readable image: '- frame 2' is a truncated JPEG")
    assert summary == "1 image, 1 unreadable"


def fill_with_photos(folder: Path, count: int) -> None:
    """Links to one photo: more than are classified before a test has seen the first."""
    folder.mkdir()
    one = folder.with_name("one.jpg")
    one.write_bytes(photo())
    for number in range(count):
        (folder / f"{number}.jpg").symlink_to(one)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_finish_the_photo_of_a_folder(artifact: Path, tmp_path: Path, number: int, code: int) -> None:
    fill_with_photos(tmp_path / "many", 4_000)
    with predicting(artifact, "many", cwd=tmp_path) as running:
        running.line()
        ended, rest, err = running.end(number)
    assert ended == code
    assert err == f"tledge: interrupted by {signal.Signals(number).name}; the remaining images were not read\n"
    classified = len(rest)  # with the first line, without the summary
    assert rest[-1] == f"{classified:,} image{'s'[: classified != 1]}"
    assert classified < 4_000
    assert all(line.startswith("many/") and line.endswith(" ms") for line in rest[:-1])


def test_ctrl_c_in_a_folder_is_one_line(artifact: Path, tmp_path: Path) -> None:
    fill_with_photos(tmp_path / "many", 4_000)
    with predicting(artifact, "many", cwd=tmp_path) as running:
        running.line()
        code, rest, err = running.end(signal.SIGINT)
    assert (code, err) == (130, "tledge: interrupted; the remaining images were not read\n")
    assert re.fullmatch(r"[\d,]+ images?", rest[-1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_watching_goes_on_past_broken_files_until_it_is_ended(artifact: Path, tmp_path: Path, number: int) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "old.jpg").write_bytes(photo())
    with predicting(artifact, "--watch", "inbox", cwd=tmp_path) as running:
        assert running.note() == "watching 'inbox', ignoring 1 existing image; press Ctrl-C to stop"
        (inbox / "broken.jpg").write_bytes(b"no photo")
        assert "inbox/broken.jpg' (8 bytes) has an unknown image format" in running.line()
        (inbox / "new.jpg").write_bytes(photo())
        assert running.line().startswith("inbox/new.jpg ")
        code, rest, err = running.end(number)
    assert (code, rest, err) == (0, ["1 image, 1 unreadable"], "")


def test_a_watched_folder_that_vanishes_is_one_line(artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    with predicting(artifact, "--watch", "inbox", cwd=tmp_path) as running:
        running.note()
        (tmp_path / "inbox").rmdir()
        code, rest, err = running.end()
    assert (code, rest) == (1, ["0 images"])
    assert err == "tledge: cannot watch folder 'inbox': No such file or directory\n"


def test_a_camera_drops_what_there_is_no_time_for_and_may_vanish(artifact: Path, tmp_path: Path) -> None:
    with predicting(artifact, "--camera", 0, "--json", cwd=tmp_path, code=FAKE_CAMERA.format(frames=500)) as running:
        code, lines, err = running.end()
    rows = [json.loads(line) for line in lines]
    assert code == 1
    started, noted, gone = err.splitlines()
    assert started == "camera 0 via a stand-in; press Ctrl-C to stop"
    assert re.fullmatch(r"\d+ frames dropped so far: they arrive faster than the model classifies them", noted)
    assert gone == "tledge: camera 0 was disconnected after 500 frames; check its cable and power"
    dropped = [row["dropped"] for row in rows]
    assert dropped == sorted(dropped)
    assert rows[-1]["image"] == "camera 0 frame 500"
    assert len(rows) + dropped[-1] == 500, "each frame was classified or counted"
    assert dropped[-1] > 100


def test_sigterm_ends_a_camera_with_its_counts(artifact: Path, tmp_path: Path) -> None:
    with predicting(artifact, "--camera", 0, cwd=tmp_path, code=FAKE_CAMERA.format(frames=10**9)) as running:
        for _ in range(3):
            assert running.line().startswith("camera 0 frame ")
        code, rest, _ = running.end(signal.SIGTERM)
    assert code == 0
    assert re.fullmatch(r"\d+ images, [\d,]+ dropped", rest[-1])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_full_disk_is_one_line(artifact: Path, tmp_path: Path, options: list[str]) -> None:
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_bytes(photo())
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-P", "-c", MAIN, "predict", artifact, "a.jpg", "b.jpg", *options],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line == "tledge: cannot write the output: No space left on device"


def test_a_reader_that_has_seen_enough_is_no_error_to_speak_of(artifact: Path, tmp_path: Path) -> None:
    (tmp_path / "one.jpg").write_bytes(photo())
    with predicting(artifact, *["one.jpg"] * 3000, cwd=tmp_path) as running:
        running.line()
        assert running.process.stdout is not None
        running.process.stdout.close()
        assert running.process.stderr is not None
        assert running.process.stderr.read() == b""
        assert running.process.wait(60) == 141


def test_every_frame_of_a_video_and_every_fifth(artifact: Path, tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    writer = cv2.VideoWriter(str(tmp_path / "clip.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for number in range(12):
        writer.write(np.full((48, 64, 3), 20 * number, np.uint8))
    writer.release()
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    done = tledge("predict", artifact, "clip.avi", "--json", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    rows: list[dict[str, Any]] = [json.loads(line) for line in done.out.splitlines()]
    assert [row["image"] for row in rows] == [f"clip.avi 0:00:0{n / 10:.3f} (frame {n + 1})" for n in range(12)]
    done = tledge("predict", artifact, "broken.mp4", "clip.avi", "--every", 5, cwd=tmp_path)
    assert (done.code, done.err) == (1, "")
    broken, *lines, summary = done.out.splitlines()
    assert broken.startswith("not a readable video: 'broken.mp4' (8 bytes)")
    assert [line.split("(frame ")[1].split(")")[0] for line in lines] == ["1", "6", "11"]
    assert summary == "3 images, 1 unreadable"


@pytest.mark.slow
def test_memory_is_constant_over_5000_predictions(artifact: Path, tmp_path: Path) -> None:
    psutil = pytest.importorskip("psutil")
    contents: list[Callable[[], bytes]] = []
    for seed in range(5):
        stream = io.BytesIO()
        Image.fromarray(stripes(seed % 2 == 0, seed, size=(240 + 16 * seed, 320))).save(stream, "JPEG")
        contents.append(stream.getvalue)
    with predicting(artifact, "-", "--json", cwd=tmp_path) as running:
        process = psutil.Process(running.process.pid)
        held = {}
        for number in range(1, 5001):
            running.feed(contents[number % 5]())
            assert json.loads(running.line())["image"] == f"- frame {number}"
            if number in (500, 5000):
                held[number] = process.memory_info().rss
        code, rest, _ = running.end(signal.SIGTERM)
    assert (code, rest) == (0, [])
    assert held[5000] - held[500] < 10e6
