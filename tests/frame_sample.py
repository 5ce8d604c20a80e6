"""Small photos that are told from one another by their shade, and frames of them."""

import io
from collections.abc import Sequence
from pathlib import Path
from threading import Event

from PIL import Image

from tledge.edge_runtime.sources.frame import Frame, Source

SIZE = (16, 16)


def names_of(source: Source) -> list[str]:
    return [frame.name for frame in source.frames(Event())]


def jpeg(shade: int, **options: object) -> bytes:
    """A photo of one shade of grey, by which its decoded frame is told from others."""
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), (shade,) * 3).save(stream, "JPEG", **options)
    return stream.getvalue()


def png(shade: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), (shade,) * 3).save(stream, "PNG")
    return stream.getvalue()


def shades_of(frames: Sequence[Frame]) -> list[int]:
    return [round(float(frame.load(SIZE, "stretch").mean())) for frame in frames]


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(jpeg(100))
