"""Images on standard input: real pipes."""

import io
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

import pytest
from frame_sample import SIZE, jpeg, png, shades_of
from PIL import Image
from support import stripes

from tledge.core.errors import ImageError, SourceError
from tledge.edge_runtime.sources import jpeg_stream, standard_input
from tledge.edge_runtime.sources.frame import Frame
from tledge.edge_runtime.sources.jpeg_stream import JpegSplitter
from tledge.edge_runtime.sources.standard_input import StandardInput

pytestmark = pytest.mark.unit


@contextmanager
def pipe(**options: int) -> Iterator[tuple[StandardInput, Callable[[bytes], None], Callable[[], None]]]:
    """Standard input on a pipe of our own; what writes to it, and what closes it."""
    reading, writing = os.pipe()
    closed: list[bool] = []

    def close() -> None:
        if not closed:
            closed.append(True)
            os.close(writing)

    def write(content: bytes) -> None:
        while content:
            content = content[os.write(writing, content) :]

    try:
        yield StandardInput(reading, **options), write, close
    finally:
        close()
        os.close(reading)


def all_from_pipe(content: bytes, **options: int) -> list[Frame]:
    with pipe(**options) as (source, write, close):

        def feed() -> None:
            write(content)
            close()

        feeder = Thread(target=feed, daemon=True)
        feeder.start()
        frames = list(source.frames(Event()))
        feeder.join(10)
    return frames


class TestJpegStream:
    @pytest.mark.parametrize("piece", [1, 2, 3, 7, 1000, 1_000_000])
    @pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 1}])
    def test_it_is_cut_into_its_images(self, piece: int, options: dict[str, object]) -> None:
        photos = [jpeg(shade, **options) for shade in (10, 80, 200)]
        stream = photos[0] + photos[1] + b"\r\n--boundary\r\nContent-Length: 12\r\n\r\n\xff\x00" + photos[2] + b"\r\n"
        splitter = JpegSplitter()
        found = [
            image for at in range(0, len(stream), piece) for image in splitter.feed(stream[at : at + piece])
        ] + list(splitter.finish())
        assert found == photos

    def test_real_detail_is_no_marker(self) -> None:
        photos = []
        for seed in range(4):
            stream = io.BytesIO()
            Image.fromarray(stripes(seed % 2 == 0, seed, size=(240, 320))).save(stream, "JPEG", quality=98)
            photos.append(stream.getvalue())
        assert list(JpegSplitter().feed(b"".join(photos))) == photos

    def test_a_thumbnail_in_exif_ends_nothing(self) -> None:
        exif = b"Exif\0\0" + b"II*\0\x08\0\0\0\0\0\0\0\0\0" + jpeg(5)
        photo = jpeg(60, exif=exif)
        assert photo.count(b"\xff\xd8\xff") == photo.count(b"\xff\xd9") == 2
        splitter = JpegSplitter()
        assert list(splitter.feed(photo + photo)) == [photo, photo]
        assert list(splitter.finish()) == []

    @pytest.mark.parametrize("keep", [25, 100, 170, 300, 500, 609, 611, 613, 640, 660, 670])
    def test_one_that_is_cut_off_ends_where_the_next_begins(self, keep: int) -> None:
        whole = jpeg(60)
        cut = whole[:keep]
        splitter = JpegSplitter()
        found = list(splitter.feed(whole + cut + whole + whole)) + list(splitter.finish())
        assert found == [whole, cut, whole, whole]

    def test_a_segment_that_lies_of_its_length_costs_no_other_image(self) -> None:
        whole = jpeg(60)
        liar = whole[:4] + b"\x40\x00" + whole[6:]
        others = [jpeg(shade) for shade in range(100, 150)]
        found = list(JpegSplitter().feed(liar + b"".join(others)))
        assert found == [liar, *others]


class TestStandardInput:
    def test_a_stream_is_named_and_counted(self) -> None:
        frames = all_from_pipe(b"".join(jpeg(shade) for shade in (10, 80, 200)))
        assert [frame.name for frame in frames] == ["- frame 1", "- frame 2", "- frame 3"]
        assert shades_of(frames) == [10, 80, 200]

    def test_every_second_one(self) -> None:
        frames = all_from_pipe(b"".join(jpeg(shade) for shade in (10, 80, 200, 30, 50)), every=2)
        assert [frame.name for frame in frames] == ["- frame 1", "- frame 3", "- frame 5"]
        assert shades_of(frames) == [10, 200, 50]

    def test_each_comes_as_soon_as_it_is_whole(self) -> None:
        with pipe() as (source, write, close):
            frames = source.frames(Event())
            for shade in (10, 80, 200):
                write(jpeg(shade))
                assert shades_of([next(frames)]) == [shade]  # the pipe is still open
            close()
            assert list(frames) == []

    def test_a_cut_off_last_frame_is_named(self) -> None:
        first, cut = all_from_pipe(jpeg(10) + jpeg(80)[:-20])
        assert shades_of([first]) == [10]
        with pytest.raises(ImageError, match="'- frame 2' is a truncated JPEG"):
            cut.load(SIZE, "stretch")

    @pytest.mark.parametrize(
        "before",
        [b"--frame\r\nContent-Type: image/jpeg\r\n\r\n", jpeg(10)[200:], b"HTTP/1.1 200 OK\r\n" * 9000],
        ids=["parts", "joined late", "much"],
    )
    def test_what_begins_as_no_image_is_a_stream_from_its_first_jpeg_on(self, before: bytes) -> None:
        with pipe() as (source, write, close):
            feeder = Thread(target=write, args=[before + jpeg(80)], daemon=True)
            feeder.start()
            frames = source.frames(Event())
            assert shades_of([next(frames)]) == [80]  # the pipe is still open
            feeder.join(10)
            write(b"\r\n--frame\r\n\r\n" + jpeg(200))
            assert shades_of([next(frames)]) == [200]
            close()
            assert list(frames) == []

    def test_pieces_of_any_size(self) -> None:
        with pipe() as (source, write, close):
            frames = source.frames(Event())
            content = jpeg(80)

            def feed() -> None:
                for at in range(0, 40, 5):
                    write(content[at : at + 5])
                    time.sleep(0.01)
                write(content[40:])

            feeder = Thread(target=feed, daemon=True)
            feeder.start()
            assert shades_of([next(frames)]) == [80]
            feeder.join(10)
            close()

    @pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM"])
    def test_one_image_of_another_format(self, kind: str) -> None:
        stream = io.BytesIO()
        Image.new("RGB", (300, 200), (70, 70, 70)).save(stream, kind)
        (frame,) = all_from_pipe(stream.getvalue())
        assert frame.name == "-"
        assert shades_of([frame]) == pytest.approx([70], abs=1)

    def test_a_jpeg_inside_another_format_is_no_stream(self) -> None:
        stream = io.BytesIO()
        Image.new("RGB", (300, 200), (70, 70, 70)).save(stream, "TIFF", compression="jpeg")
        assert b"\xff\xd8\xff" in stream.getvalue()
        (frame,) = all_from_pipe(stream.getvalue())
        assert shades_of([frame]) == pytest.approx([70], abs=1)

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "'-' is empty"),
            (b"no", "'-' \\(2 bytes\\) has an unknown image format"),
            (b"no photo, but a text of some length", "has an unknown image format"),
            (png(1) + png(2), "'-' has several PNG images; only JPEGs can be streamed"),
            (png(1)[:-30], "'-' is a (truncated|broken) PNG"),
        ],
    )
    def test_what_is_no_image_is_named(self, content: bytes, reason: str) -> None:
        (frame,) = all_from_pipe(content)
        with pytest.raises(ImageError, match=reason):
            frame.load(SIZE, "stretch")

    def test_memory_is_bounded_whatever_comes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        largest = 1 << 17
        monkeypatch.setattr(standard_input, "LARGEST", largest)
        monkeypatch.setattr(jpeg_stream, "LARGEST", largest)
        head = jpeg(60)
        head = head[: head.index(b"\xff\xda") + 14]
        endless, after = all_from_pipe(head + bytes(largest) + bytes(1 << 16) + jpeg(80))
        with pytest.raises(ImageError, match="'- frame 1' is a JPEG that does not end within 131,072 bytes"):
            endless.load(SIZE, "stretch")
        assert shades_of([after]) == [80]
        with pipe() as (source, write, _):  # nothing else that is too long is gathered, nor waited for
            feeder = Thread(target=write, args=[b"no photo" * (largest // 8) + b"!"], daemon=True)
            feeder.start()
            (frame,) = source.frames(Event())
            feeder.join(10)
        with pytest.raises(ImageError, match="'-' is longer than 131,072 bytes; only JPEGs"):
            frame.load(SIZE, "stretch")

    def test_the_end_is_heeded_while_nothing_comes(self) -> None:
        ended = Event()
        with pipe() as (source, write, _):
            frames = source.frames(ended)
            write(jpeg(10) + jpeg(80)[:100])
            next(frames)
            ended.set()
            assert list(frames) == []

    def test_a_descriptor_that_is_closed_is_an_error(self) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        os.close(writing)
        with pytest.raises(SourceError, match="cannot read standard input: Bad file descriptor"):
            list(StandardInput(reading).frames(Event()))
