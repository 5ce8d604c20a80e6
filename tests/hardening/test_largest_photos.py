"""A folder of the largest accepted photos on a board with 512 MB: the memory that the documentation states."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest
from command_trials import CommandForks
from photo_kinds import turned
from PIL import Image

from tledge.core.images import LARGEST

MOST_MEMORY = 400_000_000
"""Bytes that ``predict`` takes at most with a MobileNet, as docs/how-to/predict.md says."""

MOBILENET = 37_000_000
"""Bytes that a float32 MobileNetV2 takes more than the tiny model: 92 MB in all, instead of 55 MB."""

WIDTH = 4000

PHOTOS: dict[str, tuple[float, str, str, dict[str, Any]]] = {
    "rgb.png": (4, "RGB", "PNG", {"compress_level": 1}),
    "turned.png": (12, "RGBA", "PNG", {"compress_level": 1, "exif": turned()}),
    "progressive.jpg": (6, "RGB", "JPEG", {"progressive": True, "subsampling": 0}),
    "photo.webp": (17, "RGB", "WEBP", {"method": 0}),
    "photo.avif": (12, "RGB", "AVIF", {"speed": 10}),
    "strips.tif": (4.0, "RGB", "TIFF", {"compression": "tiff_lzw"}),
    "photo.gif": (5, "P", "GIF", {}),
    "photo.jp2": (21.6, "RGB", "JPEG2000", {"quality_layers": [20]}),
}
"""Bytes per pixel that decoding is estimated to take, mode, format and options of a photo, by its name."""


def largest(name: str, share: float) -> bytes:
    """A grey photo estimated to take a share of what one may take."""
    each, mode, kind, options = PHOTOS[name]
    image = Image.new(mode, (WIDTH, int(share * LARGEST / each / WIDTH)), 128 if mode == "P" else (128,) * len(mode))
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def test_the_largest_photos_at_once_stay_within_the_stated_memory(
    tmp_path: Path, tiny_artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tests = str(Path(__file__).parent.parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([tests, os.environ.get("PYTHONPATH", tests)]))
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in PHOTOS:
        (folder / name).write_bytes(largest(name, 0.97))
        (folder / f"too-large-{name}").write_bytes(largest(name, 1.05))
    with CommandForks("small_board") as commands:
        trial = commands.run("predict", tiny_artifacts / "float32.tflite", "photos", cwd=tmp_path, limit_s=300)
    assert not trial.faults(), trial
    text = trial.out + trial.err
    for name in PHOTOS:
        assert f"photos/{name} " in trial.out, name
        assert f"photos/too-large-{name}' is too large" in text, name
    assert LARGEST / 2 < trial.peak_bytes < MOST_MEMORY - MOBILENET
