"""What decoding an image file costs, found before it is decoded: bytes of memory, and kinds that take minutes.

A file of a few bytes can announce any size, and metadata of any length. Pillow's own limit is a number of pixels, which
take 1 to 20 bytes each, depending on the format. The factors here were measured for each kind of file.
"""

from __future__ import annotations

import math
import re
import struct
from typing import TYPE_CHECKING, Any

from tledge.core.colour_conversion import STRIP
from tledge.core.errors import ImageError

if TYPE_CHECKING:  # Pillow's plugins take time to import, and are only needed with the first image
    from PIL.ImageFile import ImageFile

MOST_SCANS = 100
"""Passes over a progressive JPEG; cameras and programs write 10. Each takes as long as decoding the whole photo."""

MOST_JUNK = 1 << 16
"""Bytes between the parts of a JPEG that belong to none, and bytes of a PPM's header; Pillow reads them one by one."""

MOST_PARTS = 100_000
"""Parts of a PNG; encoders write one for each 8 kB or more."""

SLOW_FILE = 4 << 20
"""Bytes of a file that Pillow decodes in Python, number by number: 4 MB take 5 s on a PC."""

LARGEST_TEXT = 4 << 20
"""Bytes that a compressed text in a PNG may take: Pillow's limit of a million characters, of 4 bytes each."""

_DECODERS = {"WEBP": 13.0, "AVIF": 8.0, "HEIF": 5.6}
"""Bytes per pixel that decoders take besides the image itself: planes of colours, canvases and copies of them."""

_DEEP = 6.0
"""More bytes per pixel of a photo with 10 or 12 bits per colour."""

_STRIPS = 24 * STRIP
"""Bytes per column of the strips that are converted to RGB, one at a time: several copies, of floats among them."""

_PLAIN_BLOCK = 1 << 20
"""Bytes of a PPM in plain text that Pillow splits into numbers at a time."""

_PLAIN_NUMBER = 40.0
"""Bytes of memory per byte of such a block: a Python object for each number, for this block and the one before."""

_ORIENTATION_IN_PNG = (b"eXIf", b"XML:com.adobe.xmp", b"Raw profile type exif")
"""Parts of a PNG that may turn it. They may follow the pixels, so that Pillow knows them only after decoding."""


def check_structure(kind: str, content: bytes) -> int:
    """Examines a file that is not opened yet.

    Returns:
        The bytes that opening it takes at most; 0 unless its format makes that more than a small multiple of the file.

    Raises:
        ImageError: reading its structure would take minutes.
    """
    if kind == "JPEG":
        _find_scan(content)
    elif kind == "PNG":
        return _text_in_png(content)
    elif kind == "WEBP" and (size := _webp_canvas(content)):
        return int(math.prod(size) * (_DECODERS["WEBP"] + 4))
    elif kind == "PPM" and not re.match(rb"P.(?:\s+(?:#[^\r\n]*[\r\n]\s*)*[^\s#]+){2}", content[:MOST_JUNK]):
        raise ImageError(f"is a broken PPM: no width and height in the first {MOST_JUNK:,} bytes")
    return 0


def memory_to_decode(
    image: ImageFile,
    content: bytes,
    *,
    full: tuple[int, int],
    turned: bool,
    deep: bool,
    at_least: tuple[int, int] | None,
) -> int:
    """Returns the bytes that decoding an opened image takes at most, those of its file included.

    Args:
        image: the image, not loaded.
        content: its file.
        full: (width, height) in the file, before it was reduced.
        turned: whether its EXIF orientation is not upright.
        deep: whether its colours have 16 bits.
        at_least: (height, width) to which it will be resized, if it will.

    Raises:
        ImageError: decoding would take minutes.
    """
    kind = str(image.format)
    turned = turned or (kind == "PNG" and any(name in content for name in _ORIENTATION_IN_PNG))
    pixels = math.prod(image.size)
    stored = _stored(image.mode)
    each = stored + stored * turned + 4 * (image.mode != "RGB") + 3 * deep + _DECODERS.get(kind, 0)
    if kind in ("AVIF", "HEIF") and image.info.get("bit_depth", 8) > 8:
        each += _DEEP
    needed = len(content) + pixels * each
    needed += _further(kind, image, content, full)
    if image.mode not in ("RGB", "L", "1", "CMYK"):
        needed += _STRIPS * image.width
    if at_least is not None:  # the first pass of resizing has the new width and the old height
        needed += 4 * at_least[1] * image.height
    return int(needed)


def _stored(mode: str) -> int:
    """Returns the bytes that Pillow takes for a pixel."""
    return 1 if mode in ("1", "L", "P") else 2 if mode.startswith("I;16") else 4


def _further(kind: str, image: Any, content: bytes, full: tuple[int, int]) -> float:
    """Returns further bytes, by format."""
    if kind == "JPEG":
        return _coefficients(image, content, full)
    if kind == "TIFF":
        return _strip(image)
    if kind == "JPEG2000":
        return _tile_of_jpeg2000(content, full)
    if kind in ("PPM", "BMP") and image.tile and image.tile[0][0] in ("ppm", "ppm_plain", "bmp_rle"):
        if len(content) > SLOW_FILE:
            raise ImageError(
                f"is a {kind} with runs, text or an unusual white, which takes minutes to decode above"
                f" {SLOW_FILE / 1e6:.0f} MB; received {len(content) / 1e6:,.0f} MB; save it as PNG or JPEG"
            )
        numbers = min(len(content), _PLAIN_BLOCK) if image.tile[0][0] == "ppm_plain" else 0
        return 3.0 * math.prod(full) * _stored(image.mode) + _PLAIN_NUMBER * numbers
    return 0.0


def _coefficients(image: Any, content: bytes, full: tuple[int, int]) -> float:
    """Returns the bytes of a JPEG's coefficients, 2 each, which its decoder keeps if it has several scans."""
    components = content[_find_scan(content) + 4 :][:1]
    layers = image.layer or [(0, 1, 1, 0)]
    if "progressive" not in image.info and (not components or components[0] >= len(layers)):
        return 0.0
    if content.count(b"\xff\xda") > MOST_SCANS:
        raise ImageError(f"is a JPEG with more than {MOST_SCANS} scans, which takes minutes to decode; save it again")
    areas = [across * down for _, across, down, _ in layers]
    return float(2.0 * math.prod(full) * sum(areas) / max(*areas, 1))


def _find_scan(content: bytes) -> int:
    """Returns where the first scan of a JPEG starts; its end if it has none. Raises ImageError if it is mostly junk."""
    at, junk, end = 2, 0, len(content)
    while at < end:
        start = content.find(b"\xff", at)
        if start < 0:
            start = end
        following = start + 1
        while following < end and content[following] == 0xFF and following - start <= MOST_JUNK:
            following += 1
        junk += start - at + following - start - 1
        if junk > MOST_JUNK:
            raise ImageError(f"is a broken JPEG: {junk:,} bytes before its first scan belong to nothing")
        marker = content[following : following + 3]
        if len(marker) < 3:
            return end
        if marker[0] == 0xDA:
            return following - 1
        if marker[0] in (0x00, 0x01, *range(0xD0, 0xDA)):
            junk += 2
            at = following + 1
        else:
            at = following + 1 + max(2, marker[1] << 8 | marker[2])
            junk += 4
    return end


def _text_in_png(content: bytes) -> int:
    """Returns the bytes of memory that the texts of a PNG may take."""
    at, texts, parts = 8, 0, 0
    while at + 8 <= len(content):
        length, name = struct.unpack_from(">I4s", content, at)
        parts += 1
        if parts > MOST_PARTS:
            raise ImageError(
                f"is a PNG with more than {MOST_PARTS:,} parts, which takes minutes to read; save it again"
            )
        texts += LARGEST_TEXT if name in (b"zTXt", b"iTXt", b"iCCP") else 0
        at += 12 + length
    return texts


def _webp_canvas(content: bytes) -> tuple[int, int] | None:
    """Returns the size of a WebP's canvas, which its decoder allocates when it opens the file. Source: RFC 9649."""
    chunk, head = content[12:16], content[:30].ljust(30, b"\0")
    if chunk == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if chunk == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 ":
        return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF
    return None


def _strip(image: Any) -> float:
    """Returns the bytes of a strip or tile of a TIFF, which its decoder unpacks as a whole; it may exceed the image."""
    tags = image.tag_v2
    bits = tags.get(258, 8)
    per_pixel = sum(bits) / 8 if isinstance(bits, tuple) else bits / 8 * tags.get(277, 1)
    if tags.get(322) and tags.get(323):
        return float(tags[322] * tags[323] * max(per_pixel, 4))
    rows = min(tags.get(278, image.height), image.height)
    return float(rows * image.width * per_pixel) if tags.get(259, 1) != 1 else 0.0


def _tile_of_jpeg2000(content: bytes, full: tuple[int, int]) -> float:
    """Returns the bytes that decoding a tile of a JPEG 2000 takes. Source: ISO/IEC 15444-1, A.5.1 and A.6.1."""
    at = content.find(b"\xff\x4f\xff\x51")
    if at < 0 or len(content) < at + 42:
        raise ImageError("is a broken JPEG2000: it has no sizes")
    width, height, left, top, across, down = map(int, struct.unpack_from(">6I", content, at + 8))
    width, height = max(width - left, 1), max(height - top, 1)
    components: int = struct.unpack_from(">H", content, at + 40)[0]
    tile = min(across, width) * min(down, height)
    tiles = math.ceil(width / max(across, 1)) * math.ceil(height / max(down, 1))
    blocks = 100.0 * 4 * tile / _precinct(content, at) * components  # the trees of each precinct
    return float(
        5.5 * tile * components + 2000.0 * min(tiles, 1 << 16) + blocks + 4 * max(0, width * height - math.prod(full))
    )


def _precinct(content: bytes, at: int) -> int:
    """Returns the pixels of the smallest precinct of a JPEG 2000; 32,768 squared unless the file says another size."""
    found = content.find(b"\xff\x52", at)
    style = content[found + 4 : found + 5]
    if found < 0 or not style or not style[0] & 1:
        return 1 << 12  # code blocks, which are 64 x 64
    levels = content[found + 9 : found + 10]
    sizes = content[found + 14 : found + 15 + (levels[0] if levels else 0)]
    return min((1 << (size & 15) + (size >> 4) for size in sizes), default=1)
