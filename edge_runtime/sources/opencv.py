"""OpenCV, imported only for videos and cameras."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from tledge.core.images import Pixels

ERRORS = 2
"""OpenCV's log level for errors."""


def load_opencv() -> Any:
    """Imports OpenCV with a log of errors only, since it warns about every broken frame."""
    cv2: Any = importlib.import_module("cv2")  # by name, since its type stubs are incomplete
    cv2.utils.logging.setLogLevel(ERRORS)
    return cv2


def frame_to_rgb(image: Any) -> Pixels:
    """Converts a frame from OpenCV, BGR or grey, to uint8 (height, width, 3), RGB."""
    pixels = np.asarray(image, np.uint8)
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        return np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)
    return np.ascontiguousarray(pixels[..., 2::-1])
