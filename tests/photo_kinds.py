"""Photos of every format and kind that is decoded, as the bytes of their files."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PIL import Image


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    """An RGB image with shapes and a little noise."""
    random = np.random.default_rng(seed)
    rows, columns = np.arange(height)[:, np.newaxis], np.arange(width)
    waves = [128 + 90 * np.sin(rows / (40 + 9 * band)) * np.cos(columns / (30 + 7 * band)) for band in range(3)]
    noise = random.integers(-3, 4, (height, width, 1), np.int8)
    return Image.fromarray((np.stack(waves, axis=2).astype(np.int16) + noise).clip(0, 255).astype(np.uint8))


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The bytes of an image file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def sixteen_bit_png(image: Image.Image) -> bytes:
    """A PNG with 16 bits per colour, which Pillow cannot write."""
    pixels = np.asarray(image).astype(">u2") * 257
    rows = np.concatenate([np.zeros((image.height, 1), np.uint8), pixels.view(np.uint8).reshape(image.height, -1)], 1)
    header = struct.pack(">IIBBBBB", *image.size, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        png_chunk(name, content)
        for name, content in ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 1)), (b"IEND", b""))
    )


def png_chunk(name: bytes, content: bytes) -> bytes:
    """A part of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def interlaced_png(image: Image.Image) -> bytes:
    """A PNG in seven passes (Adam7), which Pillow cannot write."""
    pixels = np.asarray(image)
    passes = b""
    for top, left, down, right in (
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    ):
        part = pixels[top::down, left::right]
        passes += np.concatenate([np.zeros((len(part), 1), np.uint8), part.reshape(len(part), -1)], 1).tobytes()
    header = struct.pack(">IIBBBBB", *image.size, 8, 2, 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        png_chunk(name, content)
        for name, content in ((b"IHDR", header), (b"IDAT", zlib.compress(passes, 1)), (b"IEND", b""))
    )


def rle_bmp(image: Image.Image) -> bytes:
    """A BMP with 256 colours in runs."""
    rows = []
    for row in np.asarray(image.convert("L"))[::-1]:
        starts = np.flatnonzero(np.diff(row, prepend=row[0].astype(int) - 1))
        lengths = np.diff(starts, append=len(row))
        for start, length in zip(starts, lengths, strict=True):
            rows += [bytes((min(length - done, 255), row[start])) for done in range(0, length, 255)]
        rows.append(b"\0\0")
    content = b"".join(rows) + b"\0\1"
    palette = b"".join(bytes((grey, grey, grey, 0)) for grey in range(256))
    header = struct.pack("<IiiHHIIiiII", 40, *image.size, 1, 8, 1, len(content), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 1024 + len(content), 0, 0, 54 + 1024) + header + palette + content


def plain_ppm(image: Image.Image) -> bytes:
    """A PPM with its numbers as text."""
    numbers = b" ".join(b"%d" % value for value in np.asarray(image).ravel())
    return b"P3\n%d %d\n255\n" % image.size + numbers + b"\n"


def oddly_scaled_ppm(image: Image.Image) -> bytes:
    """A PPM whose white is 254, which Pillow decodes in Python."""
    return b"P6\n%d %d\n254\n" % image.size + (np.asarray(image) // 255 * 254).tobytes()


def pfm(image: Image.Image) -> bytes:
    """Greyscale floats from 0 to 1."""
    return b"Pf\n%d %d\n-1.0\n" % image.size + (np.asarray(image.convert("L")) / 255).astype("<f4").tobytes()


def grey_numbers(image: Image.Image, dtype: str) -> Image.Image:
    """Greyscale integers of 16 bits or floats from 0 to 1."""
    grey = np.asarray(image.convert("L"))
    return Image.fromarray(grey.astype(np.uint16) * 257 if dtype == "uint16" else (grey / 255).astype(np.float32))


def turned(orientation: int = 6) -> Image.Exif:
    """Metadata that says how the photo is turned."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def heif(image: Image.Image, **options: Any) -> bytes:
    """A HEIC photo; needs pillow-heif."""
    from pillow_heif import register_heif_opener

    register_heif_opener(thumbnails=False)
    return saved(image, "HEIF", **options)


KINDS: Mapping[str, Callable[[Image.Image], bytes]] = {
    "jpeg-baseline": lambda image: saved(image, "JPEG", quality=90),
    "jpeg-turned": lambda image: saved(image, "JPEG", quality=90, exif=turned()),
    "jpeg-progressive": lambda image: saved(image, "JPEG", quality=90, progressive=True),
    "jpeg-progressive-444": lambda image: saved(image, "JPEG", quality=90, progressive=True, subsampling=0),
    "jpeg-grey": lambda image: saved(image.convert("L"), "JPEG"),
    "jpeg-cmyk": lambda image: saved(image.convert("CMYK"), "JPEG"),
    "jpeg-cmyk-progressive": lambda image: saved(image.convert("CMYK"), "JPEG", progressive=True),
    "png-rgb": lambda image: saved(image, "PNG", compress_level=1),
    "png-turned": lambda image: saved(image, "PNG", compress_level=1, exif=turned()),
    "png-rgba": lambda image: saved(image.convert("RGBA"), "PNG", compress_level=1),
    "png-rgba-turned": lambda image: saved(image.convert("RGBA"), "PNG", compress_level=1, exif=turned()),
    "png-grey": lambda image: saved(image.convert("L"), "PNG", compress_level=1),
    "png-grey-alpha": lambda image: saved(image.convert("LA"), "PNG", compress_level=1),
    "png-grey-turned": lambda image: saved(image.convert("L"), "PNG", compress_level=1, exif=turned()),
    "png-palette": lambda image: saved(image.quantize(64), "PNG", compress_level=1),
    "png-palette-clear": lambda image: saved(image.quantize(64), "PNG", compress_level=1, transparency=0),
    "png-1-bit": lambda image: saved(image.convert("1"), "PNG"),
    "png-16-bit": sixteen_bit_png,
    "png-grey-16-bit": lambda image: saved(grey_numbers(image, "uint16"), "PNG", compress_level=1),
    "png-interlaced": interlaced_png,
    "webp": lambda image: saved(image, "WEBP", method=0),
    "webp-lossless": lambda image: saved(image, "WEBP", lossless=True, method=0, quality=0),
    "webp-rgba": lambda image: saved(image.convert("RGBA"), "WEBP", method=0),
    "webp-animated": lambda image: saved(image, "WEBP", method=0, save_all=True, append_images=[image.rotate(180)]),
    "webp-turned": lambda image: saved(image, "WEBP", method=0, exif=turned()),
    "avif": lambda image: saved(image, "AVIF", speed=10),
    "avif-rgba": lambda image: saved(image.convert("RGBA"), "AVIF", speed=10),
    "avif-444": lambda image: saved(image, "AVIF", speed=10, subsampling="4:4:4"),
    "avif-turned": lambda image: saved(image, "AVIF", speed=10, exif=turned()),
    "heif": lambda image: heif(image, quality=50),
    "heif-444": lambda image: heif(image, quality=50, chroma=444),
    "heif-rgba": lambda image: heif(image.convert("RGBA"), quality=50),
    "heif-turned": lambda image: heif(image, quality=50, exif=turned()),
    "tiff-raw": lambda image: saved(image, "TIFF"),
    "tiff-lzw": lambda image: saved(image, "TIFF", compression="tiff_lzw"),
    "tiff-one-strip": lambda image: saved(image, "TIFF", compression="tiff_lzw", strip_size=1 << 30),
    "tiff-jpeg": lambda image: saved(image, "TIFF", compression="jpeg"),
    "tiff-turned": lambda image: saved(image, "TIFF", compression="tiff_lzw", tiffinfo={0x0112: 6}),
    "tiff-rgba": lambda image: saved(image.convert("RGBA"), "TIFF", compression="tiff_adobe_deflate"),
    "tiff-cmyk": lambda image: saved(image.convert("CMYK"), "TIFF", compression="tiff_lzw"),
    "tiff-grey-16-bit": lambda image: saved(grey_numbers(image, "uint16"), "TIFF"),
    "tiff-float": lambda image: saved(grey_numbers(image, "float32"), "TIFF", compression="tiff_lzw"),
    "tiff-frames": lambda image: saved(image, "TIFF", compression="tiff_lzw", save_all=True, append_images=[image] * 3),
    "gif": lambda image: saved(image.quantize(64), "GIF"),
    "gif-clear": lambda image: saved(image.quantize(64), "GIF", transparency=0),
    "bmp": lambda image: saved(image, "BMP"),
    "bmp-grey": lambda image: saved(image.convert("L"), "BMP"),
    "bmp-runs": rle_bmp,
    "ppm": lambda image: saved(image, "PPM"),
    "ppm-plain": plain_ppm,
    "ppm-odd-white": oddly_scaled_ppm,
    "ppm-grey-16-bit": lambda image: saved(grey_numbers(image, "uint16"), "PPM"),
    "pfm": pfm,
    "jpeg2000": lambda image: saved(image, "JPEG2000", quality_layers=[20]),
    "jpeg2000-lossless": lambda image: saved(image, "JPEG2000"),
    "jpeg2000-tiles": lambda image: saved(image, "JPEG2000", quality_layers=[20], tile_size=(512, 512)),
    "jpeg2000-grey-16-bit": lambda image: saved(grey_numbers(image, "uint16"), "JPEG2000"),
}
"""Functions that make a photo of each kind of an RGB image, by the name of the kind."""
