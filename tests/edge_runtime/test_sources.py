"""Where images come from: real files, videos and folders; of a camera only what reads it is a stand-in."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import Queue
from threading import Event
from threading import enumerate as threads

import numpy as np
import pytest
from frame_sample import SIZE, jpeg, names_of, shades_of, touch

from tledge.core import image_formats
from tledge.core.errors import ImageError, MissingExtraError, OptionError, SourceError
from tledge.core.images import Pixels
from tledge.edge_runtime.sources.camera import MOST_FAILURES, Camera, Latest, open_camera
from tledge.edge_runtime.sources.source_lookup import find_sources
from tledge.edge_runtime.sources.standard_input import StandardInput


class TestNames:
    @pytest.fixture(autouse=True)
    def _there(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        touch(tmp_path, "b.jpg", "a/2.JPG", "a/1.png", "a/deep/er/3.webp", "a/.hidden.jpg", "a/.cache/4.jpg")
        (tmp_path / "a" / "notes.txt").write_text("no photo")

    def test_files_keep_their_order_and_folders_are_sorted_and_walked(self) -> None:
        assert names_of(find_sources(["b.jpg", "a"])) == ["b.jpg", "a/1.png", "a/2.JPG", "a/deep/er/3.webp"]

    def test_a_glob_takes_images_only(self) -> None:
        assert names_of(find_sources(["a/*"])) == ["a/1.png", "a/2.JPG"]
        assert names_of(find_sources(["a/[13].*"])) == ["a/1.png"]
        assert names_of(find_sources(["**/*"])) == ["a/1.png", "a/2.JPG", "a/deep/er/3.webp", "b.jpg"]
        assert names_of(find_sources([f"{Path.cwd()}/*.jpg"])) == [f"{Path.cwd()}/b.jpg"]

    def test_what_exists_by_its_name_is_no_glob(self, tmp_path: Path) -> None:
        touch(tmp_path, "porch [1].jpg", "porch 1.jpg", "day [2]/x.jpg")
        assert names_of(find_sources(["porch [1].jpg", "day [2]"])) == ["porch [1].jpg", "day [2]/x.jpg"]

    def test_photos_are_known_by_content_and_the_rest_is_counted(self, tmp_path: Path) -> None:
        (tmp_path / "a" / "IMG_1.jfif").write_bytes(jpeg(1))
        (tmp_path / "a" / "nameless").write_bytes(jpeg(2))
        (tmp_path / "a" / "clip.mp4").touch()
        touch(tmp_path, "a/@eaDir/2.JPG/THUMB.jpg")
        found = find_sources(["a"])
        photos = ["a/1.png", "a/2.JPG", "a/IMG_1.jfif", "a/deep/er/3.webp", "a/nameless"]
        assert names_of(found) == photos
        (note,) = found.notes
        assert set(note.removeprefix("'a': left out: ").split(", ")) == {
            "1 .txt",
            "1 .mp4",
            "1 @eaDir/",
            "1 hidden",
            "1 .cache/",
        }
        found = find_sources(["a/[In]*"])
        assert names_of(found) == ["a/IMG_1.jfif", "a/nameless"]
        assert found.notes == ("'a/[In]*': left out: 1 .txt",)
        assert find_sources(["a/*.jfif", "b.jpg"]).notes == ()

    def test_globs_leave_thumbnail_folders_out_unless_they_name_them(self, tmp_path: Path) -> None:
        thumbnails = ["a/@eaDir/2.JPG/THUMB.jpg", "a/@eaDir/3.JPG/THUMB.jpg"]
        touch(tmp_path, *thumbnails, "a/deep/@eaDir/4.jpg", "a/5.jpg")
        found = find_sources(["a/**/*.jpg"])
        assert names_of(found) == ["a/5.jpg"]
        assert found.notes == ("'a/**/*.jpg': left out: 2 @eaDir/",)
        assert names_of(find_sources(["a/@eaDir/*/*.jpg"])) == thumbnails
        with pytest.raises(SourceError, match=r"\(left out: 1 @eaDir/\)"):
            find_sources(["a/deep/*/4.jpg"])

    def test_heic_photos_that_cannot_be_decoded_are_counted(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(image_formats, "is_installed", lambda module: False)
        for name in ("x.heic", "y.HEIC"):
            (tmp_path / "a" / name).write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
        note = "decoding 2 HEIC photos needs pillow-heif, not installed here: pip install 'tledge[heic]'"
        assert find_sources(["a"]).notes[-1] == f"'a': {note}"
        assert find_sources(["a/*"]).notes[-1] == f"'a/*': {note}"

    def test_a_glob_without_images_is_an_error(self) -> None:
        with pytest.raises(SourceError, match="no image or video matches 'b/\\*.jpg', and no file has that name"):
            find_sources(["b/*.jpg"])
        with pytest.raises(SourceError, match=r"matches 'a/n\*' \(left out: 1 .txt\)"):
            find_sources(["a/n*"])

    def test_a_folder_without_images_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(SourceError, match="no images in folder 'empty'; expected .jpg"):
            find_sources(["empty"])

    def test_an_empty_folder_among_others_is_a_frame_that_cannot_be_read(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        first, empty, none, last = find_sources(["b.jpg", "empty", "b/*.jpg", "b.jpg"]).frames(Event())
        assert first.name == last.name == "b.jpg"
        for frame, reason in ((empty, "no images in folder 'empty'"), (none, "no image or video matches 'b/")):
            with pytest.raises(ImageError, match=reason):
                frame.load(SIZE, "stretch")
        with pytest.raises(SourceError, match="no images in folder 'empty'"):
            find_sources(["empty", "b/*.jpg"])

    def test_a_file_that_is_not_there_is_named_when_its_turn_comes(self) -> None:
        first, gone = find_sources(["b.jpg", "gone.jpg"]).frames(Event())
        assert first.load(SIZE, "stretch").shape == (16, 16, 3)
        with pytest.raises(ImageError, match="cannot read image 'gone.jpg': No such file"):
            gone.load(SIZE, "stretch")

    def test_only_a_dash_is_standard_input_and_only_once(self, tmp_path: Path) -> None:
        touch(tmp_path, "-")
        assert names_of(find_sources(["./-"])) == ["-"]
        assert isinstance(find_sources(["-"]).sources[0], StandardInput)
        with pytest.raises(OptionError, match="it was named twice"):
            find_sources(["-", "b.jpg", "-"])

    def test_an_empty_name_is_not_the_current_folder(self) -> None:
        with pytest.raises(OptionError, match="empty name"):
            find_sources(["b.jpg", ""])

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_what_may_not_be_read_is_named(self, tmp_path: Path) -> None:
        touch(tmp_path, "locked/x.jpg", "shut.jpg")
        (tmp_path / "shut.jpg").chmod(0)
        (tmp_path / "locked").chmod(0)
        try:
            for frame in find_sources(["shut.jpg", "locked/x.jpg"]).frames(Event()):
                with pytest.raises(ImageError, match=f"cannot read image '{frame.name}': Permission denied"):
                    frame.load(SIZE, "stretch")
            with pytest.raises(SourceError, match="cannot read folder 'locked': Permission denied"):
                find_sources(["locked"])
        finally:
            (tmp_path / "locked").chmod(0o700)

    def test_the_end_is_heeded_between_files(self) -> None:
        ended = Event()
        frames = find_sources(["a"]).frames(ended)
        next(frames)
        ended.set()
        assert list(frames) == []

    def test_a_video_without_opencv_names_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tledge.core.extras.is_installed", lambda module: module != "cv2")
        with pytest.raises(MissingExtraError, match=r"the video 'clip.mp4' needs .*tledge\[camera\]"):
            find_sources(["clip.mp4"])


FRAMES = 20


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with clip.avi and clip.mp4: 20 frames at 10 a second, frame n is 12 n in blue and 0 in red."""
    cv2 = pytest.importorskip("cv2")
    folder = tmp_path_factory.mktemp("videos")
    for name, code in (("clip.avi", "MJPG"), ("clip.mp4", "mp4v")):
        writer = cv2.VideoWriter(str(folder / name), cv2.VideoWriter_fourcc(*code), 10, (64, 48))
        assert writer.isOpened()
        for number in range(1, FRAMES + 1):
            writer.write(np.full((48, 64, 3), (12 * number, 0, 0), np.uint8))
        writer.release()
    return folder


class TestVideo:
    @pytest.mark.parametrize("name", ["clip.avi", "clip.mp4"])
    def test_every_frame_in_order_with_its_time(self, videos: Path, name: str) -> None:
        frames = list(find_sources([str(videos / name)]).frames(Event()))
        assert len(frames) == FRAMES
        assert frames[0].name == f"{videos / name} 0:00:00.000 (frame 1)"
        assert frames[-1].name == f"{videos / name} 0:00:01.900 (frame 20)"
        assert {frame.dropped for frame in frames} == {None}
        for number, frame in enumerate(frames, 1):
            red, _, blue = frame.load(SIZE, "stretch").reshape(-1, 3).mean(axis=0)
            assert blue == pytest.approx(12 * number, abs=8)
            assert red < 10

    def test_every_seventh(self, videos: Path) -> None:
        found = names_of(find_sources([str(videos / "*.avi")], every=7))
        assert [name.rsplit("frame ", 1)[1] for name in found] == ["1)", "8)", "15)"]

    def test_among_photos_it_keeps_its_turn(self, videos: Path, tmp_path: Path) -> None:
        touch(tmp_path, "a.jpg", "b.jpg")
        found = names_of(
            find_sources([str(tmp_path / "a.jpg"), str(videos / "clip.avi"), str(tmp_path / "b.jpg")], every=FRAMES)
        )
        assert [Path(name.split(" ")[0]).name for name in found] == ["a.jpg", "clip.avi", "b.jpg"]

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", r"not a readable video: '.*broken.mp4' \(0 bytes\)"),
            (b"no video", r"not a readable video: '.*broken.mp4' \(8 bytes\) is truncated or has an unknown format"),
            (None, "cannot read video '.*broken.mp4': No such file"),
        ],
    )
    def test_a_broken_one_is_named(self, tmp_path: Path, content: bytes | None, reason: str) -> None:
        pytest.importorskip("cv2")
        if content is not None:
            (tmp_path / "broken.mp4").write_bytes(content)
        (frame,) = find_sources([str(tmp_path / "broken.mp4")]).frames(Event())
        with pytest.raises(ImageError, match=reason):
            frame.load(SIZE, "stretch")

    def test_one_that_is_cut_off_gives_what_it_has_and_is_named(self, videos: Path, tmp_path: Path) -> None:
        content = (videos / "clip.avi").read_bytes()
        half = (content.index(b"movi") + content.rindex(b"idx1")) // 2
        (tmp_path / "cut.avi").write_bytes(content[:half])
        *frames, last = find_sources([str(tmp_path / "cut.avi")]).frames(Event())
        assert 0 < len(frames) < FRAMES
        for frame in frames:
            assert frame.load(SIZE, "stretch").shape == (16, 16, 3)
        with pytest.raises(ImageError, match=f"not a complete video: '.*cut.avi' ends after {len(frames)} of about 20"):
            last.load(SIZE, "stretch")

    def test_the_end_is_heeded_between_frames(self, videos: Path) -> None:
        ended = Event()
        frames = find_sources([str(videos / "clip.avi")]).frames(ended)
        next(frames)
        ended.set()
        assert list(frames) == []


class Grabber:
    """Stands for what OpenCV or picamera2 has opened: yields frames on request, then none."""

    through = "a stand-in"

    def __init__(self, reads: Sequence[int | None], wait: Callable[[int], None] = lambda _: None) -> None:
        self._reads = list(reads)
        self._wait = wait
        self.count = 0
        self.closed = 0

    def read(self) -> Pixels | None:
        self._wait(self.count)
        shade = self._reads[self.count] if self.count < len(self._reads) else None
        self.count += 1
        return None if shade is None else np.full((48, 64, 3), shade, np.uint8)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tledge.edge_runtime.sources.camera.PAUSE", 0.0)


@pytest.mark.usefixtures("_no_pause")
class TestCamera:
    def test_what_there_is_no_time_for_is_dropped_and_counted(self) -> None:
        taken, filled = Event(), Event()

        def wait(count: int) -> None:
            if count == 1:  # the first frame has been put: it is taken before any other comes
                taken.wait(10)
            if count == 100:
                filled.set()
                hold.wait(10)

        hold = Event()
        grabber = Grabber(range(100), wait)
        camera = Camera("0", grabber)
        ended = Event()
        frames = camera.frames(ended)
        first = next(frames)
        assert (first.name, first.dropped, shades_of([first])) == ("camera 0 frame 1", 0, [0])
        taken.set()
        assert filled.wait(10)
        newest = [next(frames), next(frames)]  # of the other 99, the newest two are kept
        assert [frame.name for frame in newest] == ["camera 0 frame 99", "camera 0 frame 100"]
        assert shades_of(newest) == [98, 99]
        assert camera.dropped == 97
        ended.set()
        hold.set()
        assert list(frames) == []
        assert grabber.closed == 1

    def test_one_that_vanishes_is_an_error_after_its_last_frame(self) -> None:
        grabber = Grabber([10])
        frames = Camera("/dev/video2", grabber).frames(Event())
        assert shades_of([next(frames)]) == [10]
        with pytest.raises(SourceError, match="camera /dev/video2 was disconnected after 1 frame; check its"):
            next(frames)
        assert grabber.count == 1 + MOST_FAILURES
        assert grabber.closed == 1

    def test_a_broken_frame_is_named_and_the_others_follow(self) -> None:
        one_at_a_time = Queue[None]()
        frames = Camera("0", Grabber([10, None, 30], lambda count: count < 3 or one_at_a_time.get(timeout=10))).frames(
            Event()
        )
        first = next(frames)
        found = [first, next(frames)] if first.name == "camera 0 frame 1" else [first]
        broken = found[-1]
        assert broken.name == "camera 0 frame 2"
        with pytest.raises(ImageError, match="not a readable frame: 'camera 0 frame 2'"):
            broken.load(SIZE, "stretch")
        last = next(frames)
        assert (last.name, shades_of([last])) == ("camera 0 frame 3", [30])
        for _ in range(MOST_FAILURES):
            one_at_a_time.put(None)
        with pytest.raises(SourceError, match="after 3 frames"):
            next(frames)

    def test_every_third_frame(self) -> None:
        go = Event()
        frames = Camera("0", Grabber(range(4), lambda count: count < 4 or go.wait(10)), every=3).frames(Event())
        assert [next(frames).name, next(frames).name] == ["camera 0 frame 1", "camera 0 frame 4"]
        go.set()
        with pytest.raises(SourceError):
            next(frames)

    def test_an_error_of_its_library_reaches_whoever_takes_frames(self) -> None:
        def fail(_: int) -> None:
            raise RuntimeError("the driver crashed")

        grabber = Grabber([1], fail)
        with pytest.raises(RuntimeError, match="the driver crashed"):
            list(Camera("0", grabber).frames(Event()))
        assert grabber.closed == 1

    def test_leaving_early_gives_the_camera_back(self) -> None:
        grabber = Grabber([1] * 100_000, lambda _: time.sleep(0.001))
        frames = Camera("7", grabber).frames(Event())
        next(frames)
        frames.close()  # type: ignore[attr-defined]
        assert grabber.closed == 1
        assert "camera 7" not in {thread.name for thread in threads()}

    @pytest.mark.parametrize("text", ["", "front", "-1", "picamera:x", "video2", "123456"])
    def test_what_names_no_camera_is_wrong(self, text: str) -> None:
        with pytest.raises(OptionError, match=f"`camera` must be a number, .*; received '{text}'"):
            open_camera(text)

    def test_one_that_is_not_there_says_what_to_look_at(self) -> None:
        pytest.importorskip("cv2")
        with pytest.raises(SourceError, match="OpenCV cannot read camera '/dev/nothing': .* \\(group 'video'\\)"):
            open_camera("/dev/nothing")

    def test_without_a_library_the_extra_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tledge.edge_runtime.sources.camera.is_installed", lambda _: False)
        with pytest.raises(MissingExtraError, match=r"`camera='0'` needs .*tledge\[camera\]"):
            open_camera("0")
        with pytest.raises(SourceError, match="picamera2 is not installed here: sudo apt install python3-picamera2"):
            open_camera("picamera:1")


@pytest.mark.unit
def test_the_newest_items_are_kept_and_the_others_counted() -> None:
    latest: Latest[int] = Latest(capacity=2)
    for item in range(10):
        latest.put(item)
    latest.finish(OSError("gone"))
    ended = Event()
    assert [latest.take(ended), latest.take(ended)] == [8, 9]
    assert latest.dropped == 8
    with pytest.raises(OSError, match="gone"):
        latest.take(ended)
    ended.set()
    assert latest.take(ended) is None
