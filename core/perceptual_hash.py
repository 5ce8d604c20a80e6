"""Thumbnails of photos and their lowest frequencies, whose signs survive resizing and recompression.

Source: C. Zauner, Implementation and benchmarking of perceptual image hash functions, 2010, section 3.2.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

from tledge.core.images import Floats

THUMBNAIL = 16
"""Height and width of a thumbnail, in pixels."""

FREQUENCIES = 8
"""Frequencies of the cosine transform in each direction."""

CHECKED_AT = (256, 256)
"""Pixels at which a photo is decoded for its thumbnail; JPEGs of 1024 pixels and more are decoded at a reduced size."""

Thumbnails = npt.NDArray[np.uint8]


def thumbnail(image: Image.Image) -> Thumbnails:
    """Returns the grey thumbnail of a photo, uint8 (16, 16)."""
    return np.asarray(image.convert("L").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR), np.uint8)


def lowest_frequencies(thumbnails: Thumbnails) -> Floats:
    """Returns the lowest frequencies of a discrete cosine transform of thumbnails (n, 16, 16).

    Returns:
        float32 (n, 64): 8 vertical times 8 horizontal frequencies, row by row. The first, which is constant, is
        replaced by the next vertical one.
    """
    steps = np.arange(THUMBNAIL)
    basis = np.cos(np.pi * (2 * steps + 1) * np.arange(FREQUENCIES + 1)[:, np.newaxis] / (2 * THUMBNAIL))
    transformed = np.einsum("ui,nij,vj->nuv", basis, thumbnails.astype(np.float32), basis, optimize=True)
    lowest: Floats = transformed[:, :FREQUENCIES, :FREQUENCIES].astype(np.float32).reshape(-1, FREQUENCIES**2)
    lowest[:, 0] = transformed[:, FREQUENCIES, 0]
    return lowest
