"""The built-in data: 1,797 handwritten digits of 8 x 8 pixels from scikit-learn.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
Repository, 1998 (its test set).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tledge.core.extras import require

NAME = "digits"
IMAGE_SIZE = 32
"""Pixels. The 8 x 8 images are enlarged to the smallest size that the backbones support."""


def write_digits(folder: Path) -> None:
    """Writes the digits as PNG files, one folder per class: ``folder/7/0123.png``.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    require("sklearn", extra="train", purpose="the built-in data")
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    for label in digits.target_names:
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
    for index, (image, label) in enumerate(zip(pixels, digits.target, strict=True)):
        Image.fromarray(image).save(folder / str(label) / f"{index:04d}.png")
