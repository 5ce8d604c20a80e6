"""Files that are no photos, or say what they are not, in a folder of photos: reported in a line, in bounded memory."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from functools import cache
from pathlib import Path

import pytest
from command_trials import CommandForks
from photo_kinds import picture, plain_ppm, png_chunk, saved, turned

from tledge.core import images

MOST_MEMORY = 350_000_000
"""Bytes of a process that classifies photos with a small model, whatever they are."""


def whole_png(side: int) -> bytes:
    """A black square with all its pixels, in a thousandth of their size."""
    packer = zlib.compressobj(1)
    packed = b"".join(packer.compress(bytes(1 + 3 * side)) for _ in range(side)) + packer.flush()
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", packed) + png_chunk(b"IEND", b"")


@cache
def bombs() -> dict[str, bytes]:
    """Small files that announce a lot."""
    huge = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    small = saved(picture(64, 64), "PNG")
    texts = b"".join(png_chunk(b"zTXt", b"a\0\0" + b"x") for _ in range(100))
    webp = bytearray(saved(picture(64, 64).convert("RGBA"), "WEBP", exif=turned()))
    webp[24:30] = b"\xff\x3e\0\xff\x3e\0"
    j2k = bytearray(saved(picture(64, 64), "JPEG2000", no_jp2=True))
    j2k[8:16] = struct.pack(">II", 30_000, 30_000)
    jpeg = saved(picture(64, 64), "JPEG", progressive=True)
    scan = jpeg.index(b"\xff\xda")
    return {
        "size.png": small[:8] + png_chunk(b"IHDR", huge) + small[33:],
        "whole.png": whole_png(10_000),
        "texts.png": small[:33] + texts + small[33:],
        "canvas.webp": bytes(webp),
        "tile.j2k": bytes(j2k),
        "size.gif": b"GIF89a"
        + struct.pack("<HH", 65_000, 65_000)
        + b"\0\0\0,\0\0\0\0"
        + struct.pack("<HH", 65_000, 65_000)
        + b"\0\x08\0",
        "size.bmp": b"BM"
        + struct.pack("<IHHI", 54, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0),
        "size.ppm": b"P6\n60000 60000\n255\n",
        "comment.ppm": b"P6\n#" + b"a" * (1 << 20),
        "text.ppm": plain_ppm(picture(800, 800)) + b" " * (5 << 20),
        "size.pfm": b"Pf\n60000 60000\n-1.0\n",
        "junk.jpg": b"\xff\xd8\xff" + bytes(1 << 20),
        "scans.jpg": jpeg[:scan] + jpeg[scan:-2] * 200,
        "thin.bmp": b"BM"
        + struct.pack("<IHHI", 54, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, 1, 9_000_000, 1, 24, 0, 0, 0, 0, 0, 0),
        "empty.jpg": b"",
    }


def special_files(folder: Path) -> list[str]:
    """Creates what is not a regular file, or cannot be read; returns the names that are listed."""
    os.mkfifo(folder / "pipe.jpg")
    (folder / "zero.jpg").symlink_to("/dev/zero")
    (folder / "random.png").symlink_to("/dev/urandom")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "gone.jpg").symlink_to("nowhere.jpg")
    with (folder / "sparse.jpg").open("wb") as file:
        file.write(b"\xff\xd8\xff")
        file.truncate(8 << 30)
    (folder / "folder.jpg").mkdir()
    (folder / "pipe").symlink_to("pipe.jpg")
    (folder / "line\nend \x1b[31m.jpg").write_bytes(b"\xff\xd8\xff")
    return ["pipe.jpg", "zero.jpg", "random.png", "loop.jpg", "gone.jpg", "sparse.jpg"]


def test_a_folder_of_hostile_files_is_classified_in_bounded_memory(tmp_path: Path, tiny_artifacts: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    hostile = special_files(folder)
    for name, content in bombs().items():
        (folder / name).write_bytes(content)
    for number in range(10):
        saved_photo = saved(picture(200, 150, number), "JPEG")
        (folder / f"good{number}.jpg").write_bytes(saved_photo)
    with CommandForks() as commands:
        trial = commands.run("predict", tiny_artifacts / "float32.tflite", "photos", cwd=tmp_path)
    assert not trial.faults(), trial
    assert trial.peak_bytes < MOST_MEMORY, trial.peak_bytes
    text = trial.out + trial.err
    assert f"10 images, {len(hostile) + len(bombs()) + 1} unreadable" in text
    for number in range(10):
        assert sum(f"good{number}.jpg" in line for line in trial.out.splitlines()) == 1, (number, text)
    for name in [*hostile, *bombs()]:
        assert f"cannot read image 'photos/{name}'" in text or f"not a readable image: 'photos/{name}'" in text, name


@pytest.mark.parametrize("name", ["pipe.jpg", "zero.jpg", "sparse.jpg", "pipe"])
def test_a_special_file_by_its_name_is_refused(name: str, tmp_path: Path, tiny_artifacts: Path) -> None:
    special_files(tmp_path)
    with CommandForks() as commands:
        trial = commands.run("predict", tiny_artifacts / "float32.tflite", name, cwd=tmp_path)
    assert trial.code == 1
    assert not trial.faults(), trial
    assert "a named pipe, not a regular file" in trial.err + trial.out or name in ("zero.jpg", "sparse.jpg")


def test_a_closed_standard_input_is_an_error(tmp_path: Path, tiny_artifacts: Path) -> None:
    code = "import sys; sys.argv[0] = 'tledge'; from tledge.cli.main import main; main()"
    command = f"exec '{sys.executable}' -c \"{code}\" predict '{tiny_artifacts / 'float32.tflite'}' - <&-"
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done
    assert "standard input is closed" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.unit
@pytest.mark.parametrize("name", bombs())
def test_each_bomb_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(bombs()[name])
    with pytest.raises(images.ImageError):
        images.load_pixels(tmp_path / name, (160, 160), "stretch")


@pytest.mark.slow
def test_a_jpeg_of_48_megapixels_is_classified(tmp_path: Path, tiny_artifacts: Path) -> None:
    picture(8000, 6000).save(tmp_path / "large.jpg", quality=90)
    with CommandForks() as commands:
        trial = commands.run("predict", tiny_artifacts / "float32.tflite", "large.jpg", cwd=tmp_path)
    assert trial.code == 0, trial
    assert trial.peak_bytes < MOST_MEMORY
