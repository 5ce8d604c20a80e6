import io
import re
import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from support import blobs, modules_after, stripes

from tledge.core import colour_conversion, images
from tledge.core.errors import ImageError, UnknownNameError


def save(path: Path, pixels: np.ndarray, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


@pytest.mark.unit
def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    pixels = stripes(vertical=True, seed=0, size=(20, 40))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held turned by 90 degrees
    path = save(tmp_path / "turned.png", pixels, exif=exif)
    upright = images.decode(path)
    assert upright.size == (20, 40)
    np.testing.assert_array_equal(np.asarray(upright), np.rot90(pixels, -1))


@pytest.mark.unit
def test_every_mode_becomes_rgb(tmp_path: Path) -> None:
    grey = np.tile(np.arange(0, 256, 16, np.uint8), (16, 1))
    expected = np.repeat(grey[..., np.newaxis], 3, axis=2)
    sixteen = Image.fromarray(grey.astype(np.uint16) * 257)
    sixteen.save(tmp_path / "sixteen.png")
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(grey).convert("P").save(tmp_path / "palette.gif")
    Image.fromarray(np.dstack([expected, np.full_like(grey, 255)])).save(tmp_path / "opaque.png")
    for path in sorted(tmp_path.iterdir()):
        np.testing.assert_allclose(np.asarray(images.decode(path), int), expected, atol=1, err_msg=path.name)
    Image.fromarray(expected).convert("CMYK").save(tmp_path / "print.jpg", quality=95)
    assert images.decode(tmp_path / "print.jpg").mode == "RGB"


@pytest.mark.unit
def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    save(tmp_path / "clear.png", np.zeros((4, 4, 4), np.uint8))
    assert np.asarray(images.decode(tmp_path / "clear.png")).min() == 255


@pytest.mark.unit
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.95])
def test_a_truncated_photo_is_named(tmp_path: Path, kept: float) -> None:
    buffer = io.BytesIO()
    Image.fromarray(stripes(vertical=True, seed=1, size=(200, 200))).save(buffer, "JPEG")
    path = tmp_path / "cut.jpg"
    path.write_bytes(buffer.getvalue()[: int(kept * len(buffer.getvalue()))])
    with pytest.raises(ImageError, match=r"not a readable image: '.*cut.jpg'"):
        images.decode(path)


@pytest.mark.unit
def test_empty_foreign_and_absent_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("this is no photo")
    with pytest.raises(ImageError, match=r"'.*empty.jpg' is empty \(0 bytes\)"):
        images.decode(tmp_path / "empty.jpg")
    with pytest.raises(ImageError, match=r"'.*text.jpg' \(16 bytes\) has an unknown image format"):
        images.decode(tmp_path / "text.jpg")
    with pytest.raises(ImageError, match="cannot read image '.*gone.jpg': No such file"):
        images.decode(tmp_path / "gone.jpg")


@pytest.mark.unit
def test_crop_keeps_shapes_and_stretch_keeps_everything() -> None:
    wide = Image.new("RGB", (300, 100))
    wide.paste((255, 0, 0), (0, 0, 100, 100))
    wide.paste((0, 255, 0), (100, 0, 200, 100))
    wide.paste((0, 0, 255), (200, 0, 300, 100))
    cropped = images.resize(wide, (50, 50), "crop")
    assert cropped.shape == (50, 50, 3)
    assert (cropped[:, 2:-2] == (0, 255, 0)).all()
    stretched = images.resize(wide, (30, 60), "stretch")
    assert stretched.shape == (30, 60, 3)
    assert (stretched[:, 5] == (255, 0, 0)).all()
    assert (stretched[:, -5] == (0, 0, 255)).all()


@pytest.mark.unit
def test_shrinking_is_antialiased() -> None:
    checkered = Image.fromarray(np.indices((64, 64)).sum(axis=0).astype(np.uint8) % 2 * 255).convert("RGB")
    assert np.abs(images.resize(checkered, (8, 8), "stretch").astype(int) - 127).max() <= 2


@pytest.mark.unit
def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown resize rule 'croop'. Did you mean 'crop'"):
        images.resize(Image.new("RGB", (4, 4)), (2, 2), "croop")


def large_photo(width: int = 1203, height: int = 901) -> Image.Image:
    """Blobs of all sizes with grain; the sides are no multiples of 8."""
    grain = np.random.default_rng(0).normal(0, 6, (height, width, 3))
    pixels = np.asarray(blobs(3).resize((width, height), Image.Resampling.BICUBIC), float) + grain
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def in_full(path: Path, size: tuple[int, int], rule: str) -> NDArray[np.int64]:
    return images.resize(images.decode(path), size, rule).astype(int)


JPEGS: dict[str, tuple[str, dict[str, Any]]] = {
    "baseline": ("RGB", {}),
    "no chroma subsampling": ("RGB", {"subsampling": "4:4:4"}),
    "progressive": ("RGB", {"progressive": True}),
    "restart markers": ("RGB", {"restart_marker_blocks": 7}),
    "greyscale": ("L", {}),
    "CMYK": ("CMYK", {}),
}


@pytest.mark.parametrize("kind", JPEGS)
@pytest.mark.parametrize("rule", images.RESIZE_RULES)
@pytest.mark.parametrize("side", [200, 100, 50])  # 1/2, 1/4 and 1/8
def test_a_jpeg_decoded_small_looks_as_one_decoded_in_full(tmp_path: Path, kind: str, rule: str, side: int) -> None:
    mode, options = JPEGS[kind]
    path = tmp_path / "large.jpg"
    large_photo().convert(mode).save(path, quality=90, **options)
    assert images.decode(path, at_least=(side, side)).size == (-(-1203 * side // 400), -(-901 * side // 400))
    difference = np.abs(images.load_pixels(path, (side, side), rule) - in_full(path, (side, side), rule))
    assert difference.mean() < 0.6
    assert difference.max() <= 8


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_jpeg_decoded_small_lies_where_it_would_in_full(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.jpg"
    large_photo(1201, 801).save(path, quality=95, exif=exif)  # 1/8 of them leaves one column and one row of eight
    size = (75, 50) if orientation > 4 else (50, 75)
    decoded = images.decode(path, at_least=size)
    assert decoded.size == ((101, 151) if orientation > 4 else (151, 101))
    difference = np.abs(images.load_pixels(path, size, "stretch") - in_full(path, size, "stretch"))
    assert difference.mean() < 0.6
    assert difference.max() <= 8


@pytest.mark.unit
@pytest.mark.parametrize(("height", "width"), [(639, 2000), (2000, 639), (600, 600)])
def test_photos_of_less_than_four_times_the_size_are_decoded_in_full(tmp_path: Path, height: int, width: int) -> None:
    path = tmp_path / "small.jpg"
    large_photo(width, height).save(path, quality=90)
    assert images.decode(path, at_least=(160, 160)).size == (width, height)
    for rule in images.RESIZE_RULES:
        np.testing.assert_array_equal(images.load_pixels(path, (160, 160), rule), in_full(path, (160, 160), rule))


@pytest.mark.unit
def test_the_first_photo_of_a_file_with_several_is_decoded_small(tmp_path: Path) -> None:
    path = tmp_path / "both eyes.jpg"
    large_photo().save(path, "MPO", save_all=True, append_images=[Image.new("RGB", (1203, 901), "red")], quality=90)
    with Image.open(path) as opened:
        assert opened.format == "MPO"
    assert np.abs(images.load_pixels(path, (50, 50), "crop") - in_full(path, (50, 50), "crop")).max() <= 8


@pytest.mark.unit
@pytest.mark.parametrize("kept", [0.02, 0.5, 0.95])
def test_a_truncated_photo_is_named_when_it_is_decoded_small(tmp_path: Path, kept: float) -> None:
    buffer = io.BytesIO()
    large_photo().save(buffer, "JPEG")
    path = tmp_path / "cut.jpg"
    path.write_bytes(buffer.getvalue()[: int(kept * len(buffer.getvalue()))])
    with pytest.raises(ImageError, match=r"not a readable image: '.*cut.jpg'"):
        images.load_pixels(path, (50, 50), "crop")


def huge_jpeg(path: Path) -> Path:
    """10,000 x 10,000 pixels of orange: one row of blocks of a low JPEG over and over, by its restart markers."""
    buffer = io.BytesIO()
    Image.new("RGB", (10_000, 48), (230, 120, 20)).save(buffer, "JPEG", restart_marker_rows=1, subsampling="4:2:0")
    content = buffer.getvalue()
    frame = content.index(b"\xff\xc0")
    rows = re.split(rb"\xff[\xd0-\xd7]", content[:-2])
    head = rows[0][: frame + 5] + struct.pack(">H", 10_000) + rows[0][frame + 7 :]
    scan = head + b"".join(b"\xff" + bytes([0xD0 + number % 8]) + rows[1] for number in range(624))
    path.write_bytes(scan + content[-2:])
    return path


def huge_png(path: Path, width: int = 10_000, height: int = 10_000) -> Path:
    """That many pixels of black, in a file of some kilobytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    packer = zlib.compressobj()
    packed = b"".join(packer.compress(bytes(1 + 3 * width)) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b""))
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_jpeg_of_100_megapixels_is_decoded_in_little_memory(tmp_path: Path) -> None:
    path = huge_jpeg(tmp_path / "huge.jpg")
    code = f"""
from pathlib import Path
from tledge.core import colour_conversion, images
def highest():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1e3
before = highest()
pixels = images.load_pixels(Path({str(path)!r}), (160, 160), "crop")
print(pixels.shape, (abs(pixels - [230.0, 120, 20]) < 3).all(), highest() - before < 30)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "(160, 160, 3) True True\n"
    assert done.stderr == ""


def test_what_takes_too_much_memory_is_refused_in_one_line(tmp_path: Path) -> None:
    read: list[Callable[[Path], object]] = [images.decode, lambda path: images.load_pixels(path, (160, 160), "crop")]
    path = huge_png(tmp_path / "huge.png")
    for way in read:
        with warnings.catch_warnings(), pytest.raises(ImageError) as caught:
            warnings.simplefilter("error")
            way(path)
        assert re.sub(r"take 40\d MB", "take 40x MB", str(caught.value)) == (
            f"not a readable image: '{path}' is too large: 100 megapixels (10,000 x 10,000) take 40x MB to decode as"
            " PNG; the limit for a photo is 256 MB; make it smaller or save it as a JPEG, which is decoded at a"
            " reduced size"
        )
    path = huge_jpeg(tmp_path / "huge.jpg")
    with pytest.raises(ImageError, match=r"100 megapixels .* 40\d MB to decode as JPEG; .* 256 MB; make it smaller$"):
        images.decode(path)


@pytest.mark.unit
def test_the_memory_of_a_progressive_jpeg_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "progressive.jpg"
    large_photo(1600, 1600).save(path, progressive=True, subsampling="4:2:0")
    reduced, coefficients, resized = 4 * 200 * 200, 2 * 1600 * 1600 * 1.5, 4 * 100 * 200
    needed = int(path.stat().st_size + reduced + coefficients + resized)
    monkeypatch.setattr(images, "LARGEST", needed)
    images.load_pixels(path, (100, 100), "crop")
    monkeypatch.setattr(images, "LARGEST", needed - 1)
    with pytest.raises(ImageError, match="too large: 3 megapixels"):
        images.load_pixels(path, (100, 100), "crop")


@pytest.mark.unit
def test_bytes_are_read_as_their_file(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    large_photo().save(path)
    expected = images.load_pixels(path, (64, 48), "crop")
    np.testing.assert_array_equal(images.load_pixels_from_bytes(path.read_bytes(), (64, 48), "crop"), expected)
    with pytest.raises(ImageError, match="'standard input' is empty"):
        images.load_pixels_from_bytes(b"", (64, 48), "crop", name="standard input")


@pytest.mark.unit
def test_every_row_of_a_tall_image_is_converted(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (3 * colour_conversion.STRIP + 5, 7, 4), np.uint8)
    save(tmp_path / "tall.png", colours)
    alpha = colours[..., 3:] / 255
    expected = colours[..., :3] * alpha + 255 * (1 - alpha)
    np.testing.assert_allclose(np.asarray(images.decode(tmp_path / "tall.png"), float), expected, atol=1)
    numbers = np.random.default_rng(1).integers(0, 256, (3 * colour_conversion.STRIP + 5, 7)).astype(np.uint16) * 257
    Image.fromarray(numbers).save(tmp_path / "sixteen.png")
    np.testing.assert_array_equal(np.asarray(images.decode(tmp_path / "sixteen.png"))[..., 1], numbers // 257)


@pytest.mark.unit
def test_no_rounding_puts_a_crop_outside_of_its_photo(tmp_path: Path) -> None:
    side = 49
    for across in range(200, 260):  # for some, width / 49 * 49 is more than the width
        image = Image.new("RGB", (across, across + 3))
        assert images.resize(image, (side, side), "crop").shape == (side, side, 3)
        assert images.resize(image.transpose(Image.Transpose.ROTATE_90), (side, side), "crop").shape == (side, side, 3)
    path = tmp_path / "photo.jpg"
    for width in range(400, 440):
        Image.new("RGB", (width, 401)).save(path)
        assert images.load_pixels(path, (side, side), "crop").shape == (side, side, 3)


def test_decoding_a_photo_loads_neither_the_library_of_heic_nor_that_of_eps(tmp_path: Path) -> None:
    blobs(1).save(tmp_path / "a.png")
    loaded = modules_after(
        f"from pathlib import Path\nfrom tledge.core.images import decode\ndecode(Path({str(tmp_path / 'a.png')!r}))"
    )
    assert "PIL.PngImagePlugin" in loaded
    assert not {"pillow_heif", "PIL.EpsImagePlugin"} & set(loaded)


def deep_png(value: int) -> bytes:
    """A PNG of one colour with 16 bits per channel, which Pillow cannot write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + np.full(4 * 3, value, ">u2").tobytes() for _ in range(4))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.unit
@pytest.mark.parametrize(("value", "shown"), [(0, 0), (255, 0), (4096, 16), (65535, 255)])
def test_16_bit_colours_are_shown_as_8(value: int, shown: int) -> None:
    assert np.asarray(images.decode_bytes(deep_png(value))).max() == shown


@pytest.mark.unit
@pytest.mark.parametrize("value", [256, 1023, 4095])
def test_12_bit_colours_in_16_bits_are_refused(value: int) -> None:
    with pytest.raises(ImageError, match=r"'12.png' has colours of 12 bits or fewer in 16 bits.*; save it with 8 bits"):
        images.decode_bytes(deep_png(value), "12.png")
