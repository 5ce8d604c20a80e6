"""OpenCV, loaded when a video or a camera needs it."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from tledge.core.images import Pixels

ERRORS = 2
"""The log level, as OpenCV numbers it."""


def load_opencv() -> Any:
    """The module, told to log errors only: it would warn of each broken frame for weeks."""
    cv2: Any = importlib.import_module("cv2")  # by name, since its types leave out much of what it has
    cv2.utils.logging.setLogLevel(ERRORS)
    return cv2


def frame_to_rgb(image: Any) -> Pixels:
    """What OpenCV decodes, blue first or grey, as uint8 (height, width, 3), RGB."""
    pixels = np.asarray(image, np.uint8)
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        return np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)
    return np.ascontiguousarray(pixels[..., 2::-1])
