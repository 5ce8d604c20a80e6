"""Every kind of odd photo that people have, as real files in one data set."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import blobs, check_one_line_error, stripes, tledge, write_stripes

from tledge.core.errors import DataError
from tledge.core.images import decode, load_pixels
from tledge.core.progress import Progress
from tledge.train.data.dataset import read_dataset
from tledge.train.data.split_draw import draw_splits


def jpeg(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


def png(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 8
    return jpeg(blobs(5), exif=exif)


def animated() -> bytes:
    buffer = io.BytesIO()
    blobs(6).save(buffer, "GIF", save_all=True, append_images=[blobs(7)])
    return buffer.getvalue()


def sixteen_bit() -> bytes:
    return png(Image.fromarray(np.asarray(blobs(8).convert("L")).astype(np.uint16) * 257))


GOOD = {
    "grey.jpg": lambda: jpeg(blobs(1).convert("L")),
    "print.jpg": lambda: jpeg(blobs(2).convert("CMYK")),
    "sixteen bit.png": sixteen_bit,
    "palette.png": lambda: png(blobs(3).convert("P")),
    "animated.gif": animated,
    "turned.jpg": turned,
    "a PNG.jpg": lambda: png(blobs(4)),
    'it\'s "mine" — Füße 猫.jpg': lambda: jpeg(blobs(9)),
    "transparent.png": lambda: png(blobs(10).convert("RGBA")),
}


def bomb() -> bytes:
    """A PNG of a few bytes that says it is 60,000 x 60,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    rows = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + rows + chunk(b"IEND", b"")


BROKEN = {
    "bomb.png": (bomb, "is too large"),
    "empty.jpg": (lambda: b"", "is empty (0 bytes)"),
    "cut.jpg": (lambda: jpeg(blobs(11))[:2000], "is a truncated JPEG (2,000 bytes)"),
    "cut.png": (lambda: png(blobs(11))[:2000], "truncated"),
    "text.jpg": (lambda: b"this is no photo", "has an unknown image format"),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_stripes(tmp_path / "photos", per_class=6)


@pytest.mark.parametrize("name", GOOD)
def test_odd_photos_are_read_as_a_person_sees_them(name: str, root: Path) -> None:
    path = root / "across" / name
    path.write_bytes(GOOD[name]())
    dataset = read_dataset(root, Progress())
    assert f"across/{name}" in {sample.path for sample in dataset.samples}
    splits = draw_splits(dataset, 0).splits
    everything = splits.train + splits.validation + splits.test
    assert path in splits.paths(everything)
    pixels = load_pixels(path, (32, 32), "crop")
    assert pixels.shape == (32, 32, 3)
    assert 20 < pixels.mean() < 235
    assert pixels.std() > 5
    assert decode(path).size == ((150, 200) if name == "turned.jpg" else (200, 150))


@pytest.mark.unit
@pytest.mark.parametrize("name", BROKEN)
def test_broken_photos_are_named_with_what_is_wrong(name: str, root: Path) -> None:
    make, reason = BROKEN[name]
    (root / "across" / name).write_bytes(make())
    with pytest.raises(DataError) as caught:
        read_dataset(root, Progress())
    assert f"across/{name}'" in str(caught.value)
    assert reason in str(caught.value)
    assert "or pass `skip_broken=True`" in str(caught.value)
    assert read_dataset(root, Progress(), skip_broken=True).skipped == (f"across/{name}",)


@pytest.mark.unit
def test_loops_of_links_end(root: Path) -> None:
    (root / "across" / "loop").symlink_to(root, target_is_directory=True)
    (root / "across" / "self.jpg").symlink_to(root / "across" / "self.jpg")
    with pytest.raises(DataError, match=r"cannot read image '.*self.jpg'"):
        read_dataset(root, Progress())
    assert len(read_dataset(root, Progress(), skip_broken=True).samples) == 12


def test_too_few_photos_are_said_in_one_line(tmp_path: Path) -> None:
    cases = {
        "one class": ({"a": 5}, ["only one class", "'a'"]),
        "three in all": ({"a": 2, "b": 1}, ["too few distinct images of class 'a'", "3 or more are needed"]),
        "one of a class": ({"a": 9, "b": 1}, ["too few distinct images of class 'b'", ": 1 ("]),
    }
    for number, (name, (classes, parts)) in enumerate(cases.items()):
        for place, (label, count) in enumerate(classes.items()):
            (tmp_path / name / label).mkdir(parents=True)
            for index in range(count):
                pixels = stripes(True, 1000 * number + 100 * place + index)
                Image.fromarray(pixels).save(tmp_path / name / label / f"{index}.png")
        done = tledge("train", "--data", name, "--weights", "none", "--image-size", "32", cwd=tmp_path)
        check_one_line_error(done, *parts)
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())
