"""The image formats that are decoded, found by the first bytes of a file.

Pillow reads more formats, but some of them start other programs (EPS starts Ghostscript) and none of them holds photos.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

from tledge.core.errors import ImageError, MissingExtraError
from tledge.core.extras import is_installed
from tledge.core.regular_file import read_start

HEAD = 64
"""Bytes at the start of a file from which its format is found."""

SUFFIXES: Mapping[str, str] = {
    suffix: kind
    for kind, suffixes in {
        "JPEG": ".jpg .jpeg .jpe .jfif .jif .mpo",
        "PNG": ".png .apng",
        "WEBP": ".webp",
        "AVIF": ".avif .avifs",
        "HEIF": ".heic .heif .hif .heics .heifs",
        "TIFF": ".tif .tiff",
        "GIF": ".gif",
        "BMP": ".bmp .dib",
        "PPM": ".ppm .pgm .pbm .pnm .pfm",
        "JPEG2000": ".jp2 .j2k .jpf .jpx .j2c .jpc",
    }.items()
    for suffix in suffixes.split()
}
"""The usual suffixes of each format, lower case; the content of a file decides how it is decoded."""

UNREAD_SUFFIXES = frozenset(
    [
        ".3fr",
        ".arw",
        ".cr2",
        ".dng",
        ".erf",
        ".iiq",
        ".kdc",
        ".mef",
        ".mos",
        ".nef",
        ".nrw",
        ".orf",
        ".pef",
        ".rw2",
        ".rwl",
        ".srw",
        ".thm",
        ".part",
        ".partial",
        ".crdownload",
        ".download",
        ".filepart",
        ".tmp",
    ]
)
"""Files that start like a photo but are none: raw photos (like a TIFF with a thumbnail), thumbnails of videos and
incomplete downloads."""

EXTRA = "heic"
"""The extra that installs what decodes the formats in ``SHOWN``."""

SHOWN = {"HEIF": "HEIC", "AVIF": "AVIF"}
"""Formats that may need a library, by the name that users know."""

_STARTS = re.compile(
    rb"(?P<JPEG>\xff\xd8\xff)|(?P<PNG>\x89PNG\r\n\x1a\n)|(?P<WEBP>RIFF.{4}WEBP)|(?P<GIF>GIF8[79]a)"
    rb"|(?P<TIFF>II[*+]\0|MM\0[*+])|(?P<JPEG2000>\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n)"
    rb"|(?P<BMP>BM.{12}[\x0c\x10\x28\x34\x38\x40\x6c\x7c]\0\0\0)|(?P<PPM>P[1-6]\s+[\d#]|Pf\s)",
    re.DOTALL,
)
_AVIF, _HEIF = {b"avif", b"avis"}, {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_MODULES = {"WEBP": "WebPImagePlugin", "AVIF": "AvifImagePlugin", "TIFF": "TiffImagePlugin"}
_MODULES |= {"JPEG2000": "Jpeg2KImagePlugin", "PPM": "PpmImagePlugin"}


def format_of(head: bytes) -> str | None:
    """Returns the format of an image file, one of those in ``SUFFIXES``, or None if it is none of them.

    Args:
        head: the first ``HEAD`` bytes of the file. ISO/IEC 14496-12 and 23008-12 define the brands of AVIF and HEIF.
    """
    if match := _STARTS.match(head):
        return match.lastgroup
    if head[4:8] == b"ftyp":
        box = head[: int.from_bytes(head[:4], "big")]
        brands = {box[place : place + 4] for place in (8, *range(16, len(box), 4))}
        return "AVIF" if brands & _AVIF else "HEIF" if brands & _HEIF else None
    return None


def format_of_file(path: Path) -> str | None:
    """Reads the start of a file; returns its format, or None if it is no image or cannot be read."""
    try:
        return format_of(read_start(path, HEAD))
    except OSError:
        return None


def plugin_of(kind: str) -> Callable[..., object]:
    """Imports Pillow's plugin for a format and returns its factory.

    Raises:
        ImageError: a library is missing; names the extra that installs it.
    """
    from PIL import Image

    if missing := missing_library(kind):
        raise ImageError(f"cannot be decoded: {MissingExtraError([missing], EXTRA, f'decoding {SHOWN[kind]} photos')}")
    if kind == "HEIF":
        from pillow_heif import register_heif_opener

        register_heif_opener(thumbnails=False)
    elif kind in _MODULES:
        import_module(f"PIL.{_MODULES[kind]}")
    else:
        Image.preinit()
    return Image.OPEN[kind][0]


def missing_library(kind: str) -> str | None:
    """Returns the library that a format needs and that is not installed, or None."""
    if kind == "HEIF":
        return None if is_installed("pillow_heif") else "pillow-heif"
    if kind == "AVIF":
        from PIL import features

        return None if features.check("avif") else "Pillow 11.3"
    return None
