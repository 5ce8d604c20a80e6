"""What decoding a photo takes at most: estimated for each kind, never less than what it takes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from photo_kinds import KINDS

from tledge.core.decoding_cost import memory_to_decode
from tledge.core.extras import is_installed
from tledge.core.images import LARGEST

ALLOWED = 1 << 20
"""Bytes that a measured peak may exceed the estimate by: buffers of the libraries, which do not grow with the photo."""


def needed_for(kind: str, size: tuple[int, int], file: int, **info: Any) -> int:
    """The estimate for an RGB photo of which the file has this many bytes."""
    image: Any = SimpleNamespace(format=kind, size=size, height=size[1], mode="RGB", info=info)
    return memory_to_decode(image, bytes(file), full=size, turned=False, deep=False, at_least=(224, 224))


@pytest.mark.unit
@pytest.mark.parametrize("chroma", [420, 444])
def test_a_heic_photo_of_a_phone_is_accepted(chroma: int) -> None:
    size = (5712, 4284)  # the 24 megapixels that iPhones take by default
    assert needed_for("HEIF", size, 10 << 20, bit_depth=8, chroma=chroma) <= LARGEST
    assert needed_for("HEIF", (8064, 6048), 10 << 20, bit_depth=8, chroma=chroma) > LARGEST


@pytest.mark.unit
def test_heic_is_counted_as_measured() -> None:
    pixels = 4000 * 3000
    assert needed_for("HEIF", (4000, 3000), 0, bit_depth=8) >= 9.4 * pixels
    assert needed_for("HEIF", (4000, 3000), 0, bit_depth=10) >= 15.0 * pixels


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_kind_takes_more_than_estimated() -> None:
    kinds = [kind for kind in KINDS if not kind.startswith("heif") or is_installed("pillow_heif")]
    script = Path(__file__).parent.parent / "decoding_peaks.py"
    done = subprocess.run([sys.executable, script, *kinds], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    peaks = [json.loads(line) for line in done.stdout.splitlines()]
    assert [peak["kind"] for peak in peaks] == kinds
    assert [peak for peak in peaks if peak["measured"] > peak["estimated"] + ALLOWED] == []
    assert sum(peak["measured"] > ALLOWED for peak in peaks) > len(peaks) / 2  # something was measured
